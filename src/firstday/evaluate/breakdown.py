"""What a report tells beside the strategies' figures: groups of users, popularity, and the model of the first seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from firstday.cold.model import Epoch
from firstday.data.split import Cohort
from firstday.evaluate.groups import GroupFigures, join_profiles, label_profiles, measure_groups
from firstday.evaluate.popularity import N_PARTS, PopularityShares, count_by_part, divide_by_use, to_shares
from firstday.evaluate.segment_rows import SegmentRow, describe_segments
from firstday.recommend.query import Query


@dataclass(frozen=True)
class Breakdown:
    """What groups of users get, how popular the lists are, and what the model looks like.

    Parameters
    ----------
    groups
        By profile column.
    popularity
        By popularity of items.
    segments, history
        Segments, largest first, and training of the cold model, of the first seed.
    """

    groups: GroupFigures
    popularity: PopularityShares
    segments: tuple[SegmentRow, ...]
    history: tuple[Epoch, ...]


@dataclass(frozen=True, eq=False)
class SeedFacts:
    """What is kept of one seed's model and cold users.

    Parameters
    ----------
    profiles
        From `label_profiles`.
    used
        What cold users went on to use by popularity, int64, shape (`N_PARTS`,).
    n_items
        Items of each part, int64, shape (`N_PARTS`,).
    segments, history
        As in `Breakdown`; empty but for the first seed.
    """

    profiles: Mapping[str, np.ndarray]
    used: np.ndarray
    n_items: np.ndarray
    segments: tuple[SegmentRow, ...] = ()
    history: tuple[Epoch, ...] = ()


def look_at_seed(query: Query, cohort: Cohort, *, is_first: bool) -> SeedFacts:
    """Keep what a breakdown needs of one seed, so that the model can go.

    Parameters
    ----------
    query
        The cold users, asking the model.
    cohort
        What they went on to use.
    is_first
        Whether this seed's model is the one to describe.
    """
    part = divide_by_use(query.model)
    return SeedFacts(
        label_profiles(query),
        count_by_part(cohort.truth.columns, part),
        np.bincount(part, minlength=N_PARTS),
        describe_segments(query.model) if is_first else (),
        query.model.cold.history if is_first else (),
    )


def break_down(
    seeds: Sequence[SeedFacts],
    precision: Mapping[str, np.ndarray],
    places: Mapping[str, np.ndarray],
    users: np.ndarray,
    *,
    reference: str,
    baseline: str,
) -> Breakdown:
    """Put the seeds together.

    Parameters
    ----------
    seeds
        What was kept of each.
    precision
        By strategy, in %, one for each user and seed, shape (n,).
    places
        By strategy, places of all lists by popularity of the items, shape (`N_PARTS`,).
    users
        Whose each row is, integers, shape (n,).
    reference
        The strategy whose largest gap is sought; the best one where it was not evaluated.
    baseline
        The strategy to compare the gap with.
    """
    leader = reference if reference in precision else max(precision, key=lambda name: precision[name].mean())
    profiles = join_profiles([seed.profiles for seed in seeds])
    return Breakdown(
        measure_groups(profiles, precision, users, leader=leader, baseline=baseline),
        PopularityShares(
            tuple(seeds[0].n_items.tolist()),
            to_shares(np.sum([seed.used for seed in seeds], axis=0)),
            {name: to_shares(counts) for name, counts in places.items()},
        ),
        seeds[0].segments,
        seeds[0].history,
    )


def breakdown_json(found: Breakdown) -> dict[str, object]:
    """Return what concerns all strategies as JSON values, figures in %."""
    gap = found.groups.gap
    return {
        "popularity": {
            "n_items": list(found.popularity.n_items),
            "used": [round(share, 4) for share in found.popularity.used],
        },
        "largest_gap": None
        if gap is None
        else {
            "strategy": gap.strategy,
            "column": gap.column,
            "group": gap.label,
            "precision": round(gap.inside, 4),
            "others": round(gap.outside, 4),
            "difference": round(gap.difference.mean, 4),
            "difference_ci": [round(gap.difference.low, 4), round(gap.difference.high, 4)],
            "n_compared": gap.n_compared,
        },
    }


def strategy_json(found: Breakdown, strategy: str) -> dict[str, object]:
    """Return what concerns one strategy as JSON values, figures in %."""
    by_group = {}
    for grouping in found.groups.groupings:
        by_group[grouping.column] = {
            group.label: {
                "precision": round(group.precision[strategy].mean, 4),
                "precision_ci": [round(group.precision[strategy].low, 4), round(group.precision[strategy].high, 4)],
                "n_users": group.n_users,
            }
            for group in grouping.groups
        }
    shares = [round(share, 4) for share in found.popularity.places[strategy]]
    return {"by_group": by_group, "places_by_popularity": shares}
