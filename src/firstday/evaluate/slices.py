"""What groups of users get, how popular the lists are, and the model of the first seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.cold.cold_model import Epoch
from firstday.data.splits.split import Cohort
from firstday.metrics import LEVEL, Interval, bootstrap_means
from firstday.recommend.query import Query
from firstday.recommend.segment_description import SegmentRow, describe_segments

MIN_USERS = 30
"""Groups of fewer users are put together: their means would be mostly chance."""
AGE = "age"
AGE_BANDS = (18, 25, 35, 45, 55, 65)
"""Where a new band of ages begins, in years."""
UNKNOWN = "not known"


@dataclass(frozen=True)
class UserGroup:
    """Cold users who share a profile value, or all those whose values are too rare.

    Parameters
    ----------
    label
        The value; for several rare ones, how many they are.
    n_users
        Distinct users.
    precision
        By strategy, in %.
    n_values
        How many values of the column are in it.
    """

    label: str
    n_users: int
    precision: Mapping[str, Interval]
    n_values: int = 1

    @property
    def is_small(self) -> bool:
        """Whether there are too few users to judge by."""
        return self.n_users < MIN_USERS


@dataclass(frozen=True)
class Grouping:
    """The groups of one profile column: bands of ages in order, other values by size, then rare and unknown ones."""

    column: str
    groups: tuple[UserGroup, ...]


@dataclass(frozen=True)
class Gap:
    """How much more or less a group gets than all other cold users.

    Parameters
    ----------
    column, label
        The group.
    strategy
        Whose lists.
    inside, outside
        Precision of the group and of all others, in %.
    difference
        Inside minus outside in points; the interval holds for all groups at once (Bonferroni).
    baseline
        The same difference for `popular`, in points; None where that is the strategy, or was not evaluated.
    n_compared
        How many groups were compared.
    """

    column: str
    label: str
    strategy: str
    inside: float
    outside: float
    difference: Interval
    baseline: float | None
    n_compared: int


@dataclass(frozen=True)
class GroupFigures:
    """What groups of users get, by profile column.

    Parameters
    ----------
    groupings
        One for each column that tells users apart.
    gap
        The largest gap beyond noise of the leader; None where there is none.
    baseline_gap
        The same of `popular`; None where that is the leader, or was not evaluated.
    n_compared
        How many groups were compared with all others.
    """

    groupings: tuple[Grouping, ...]
    gap: Gap | None
    baseline_gap: Gap | None
    n_compared: int


def label_profiles(query: Query) -> dict[str, np.ndarray]:
    """Return the profile value of each user that asks, as text, by column; ages as bands.

    Returns
    -------
    dict
        Arrays of str, shape (n_users,), `UNKNOWN` where missing.
    """
    found = {}
    if query.signals.ages is not None:
        ages = query.signals.ages
        bands = np.array([*name_bands(), UNKNOWN], dtype=object)
        found[AGE] = bands[np.where(ages < 0, -1, np.searchsorted(AGE_BANDS, ages, side="right"))]
    for column, codes in query.signals.groups.items():
        values = np.array([*query.model.catalogue.groups[column], UNKNOWN], dtype=object)
        found[column] = values[codes]
    return found


def name_bands() -> list[str]:
    """Return the names of the bands of ages, youngest first."""
    return [_name_band(band, band) for band in range(len(AGE_BANDS) + 1)]


def _name_band(first: int, last: int) -> str:
    """Name a run of bands of ages."""
    if first == 0:
        return f"under {AGE_BANDS[last]}" if last < len(AGE_BANDS) else "any age"
    return f"{AGE_BANDS[first - 1]} " + (f"to {AGE_BANDS[last] - 1}" if last < len(AGE_BANDS) else "and over")


def measure_groups(
    profiles: Mapping[str, np.ndarray],
    precision: Mapping[str, np.ndarray],
    users: np.ndarray,
    *,
    leader: str,
    baseline: str,
) -> GroupFigures:
    """Judge strategies on each group of users.

    Parameters
    ----------
    profiles
        From `label_profiles`, one row for each user and seed, shape (n,).
    precision
        By strategy, in %, shape (n,).
    users
        Whose each row is, integers, shape (n,).
    leader
        The strategy whose largest gap is sought.
    baseline
        The strategy to compare the gap with.
    """
    groupings, candidates = [], []
    columns = np.stack(list(precision.values()), axis=1)
    for column, labels in profiles.items():
        parts = _divide(column, labels, users)
        if len(parts) < 2:
            continue
        groups = []
        for label, members, n_values in parts:
            means = bootstrap_means(columns[members], users[members])
            n_users = len(np.unique(users[members]))
            groups.append(UserGroup(label, n_users, dict(zip(precision, means, strict=True)), n_values))
            if min(n_users, len(np.unique(users[~members]))) >= MIN_USERS:
                candidates.append((column, label, members))
        groupings.append(Grouping(column, tuple(groups)))
    gaps = {
        name: _find_gap(name, baseline, candidates, precision, users) if name in precision else None
        for name in (leader, baseline)
    }
    return GroupFigures(tuple(groupings), gaps[leader], gaps[baseline] if baseline != leader else None, len(candidates))


def _find_gap(
    strategy: str,
    baseline: str,
    candidates: Sequence[tuple[str, str, np.ndarray]],
    precision: Mapping[str, np.ndarray],
    users: np.ndarray,
) -> Gap | None:
    """Return a strategy's largest gap beyond noise among groups (column, label, members), or None."""
    gaps = []
    for column, label, members in candidates:
        inside, outside, error = _compare(precision[strategy], users, members)
        reach = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / len(candidates)) * error
        by = inside - outside
        if abs(by) > reach:
            other = None
            if baseline in precision and baseline != strategy:
                one, rest, _ = _compare(precision[baseline], users, members)
                other = one - rest
            difference = Interval(by, by - reach, by + reach)
            gaps.append(Gap(column, label, strategy, inside, outside, difference, other, len(candidates)))
    # Of two groups that are all users, each is the other's gap: name the one that gets less.
    return max(gaps, key=lambda gap: (round(abs(gap.difference.mean), 9), -gap.difference.mean), default=None)


def _divide(column: str, labels: np.ndarray, users: np.ndarray) -> list[tuple[str, np.ndarray, int]]:
    """Return label, members and number of values of each group, those of too few users put together."""
    labels = labels.astype(str)
    found = {label: labels == label for label in np.unique(labels).tolist()}
    sizes = {label: len(np.unique(users[members])) for label, members in found.items()}
    unknown = [(UNKNOWN, found[UNKNOWN], 1)] if UNKNOWN in found else []
    if column == AGE:
        return _join_bands(found, sizes, labels) + unknown
    known = sorted(found.keys() - {UNKNOWN}, key=lambda label: (-sizes[label], label))
    rare = [label for label in known if sizes[label] < MIN_USERS]
    if len(rare) < 2:
        rare = []
    parts = [(label, found[label], 1) for label in known if label not in rare]
    if rare:
        parts.append((f"{len(rare)} rarer values", np.isin(labels, rare), len(rare)))
    return parts + unknown


def _join_bands(
    found: Mapping[str, np.ndarray], sizes: Mapping[str, int], labels: np.ndarray
) -> list[tuple[str, np.ndarray, int]]:
    """Join neighbouring bands of ages until each has enough users."""
    names = name_bands()
    runs: list[list[int]] = []
    filled = MIN_USERS
    for band, name in enumerate(names):
        if filled >= MIN_USERS:
            runs.append([])
            filled = 0
        runs[-1].append(band)
        filled += sizes.get(name, 0)
    if filled < MIN_USERS and len(runs) > 1:
        runs[-2:] = [runs[-2] + runs[-1]]
    parts = []
    for run in runs:
        members = np.isin(labels, [names[band] for band in run])
        if members.any():
            parts.append((_name_band(run[0], run[-1]), members, sum(names[band] in found for band in run)))
    return parts


def _compare(values: np.ndarray, users: np.ndarray, members: np.ndarray) -> tuple[float, float, float]:
    """Return the mean inside and outside a group, and the standard error of their difference, users being the units."""
    means, variances = [], []
    for rows in (members, ~members):
        _, unit = np.unique(users[rows], return_inverse=True)
        sums, counts = np.bincount(unit, weights=values[rows]), np.bincount(unit)
        mean = sums.sum() / counts.sum()
        n = len(counts)
        variances.append(((sums - mean * counts) ** 2).sum() / counts.sum() ** 2 * n / max(1, n - 1))
        means.append(float(mean))
    return means[0], means[1], float(np.sqrt(sum(variances)))


def join_profiles(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Put the profiles of several seeds one after another."""
    return {column: np.concatenate([part[column] for part in parts]) for column in (parts[0] if parts else {})}


N_PARTS = 10


@dataclass(frozen=True)
class PopularityShares:
    """Items in ten parts, each with a tenth of warm users' use, the most used items first.

    Parameters
    ----------
    n_items
        Items of each part; items that no warm user used are in the last.
    used
        Share of each part in what cold users went on to use, in %.
    places
        Share of each part in the places of lists, by strategy, in %.
    """

    n_items: tuple[int, ...]
    used: tuple[float, ...]
    places: Mapping[str, tuple[float, ...]]


def divide_by_use(model: TrainedModel) -> np.ndarray:
    """Return the part of each item, 0 for the most used ones to 9, int64, shape (n_items,)."""
    uses = np.asarray(model.everyone.counts.column_sums(), dtype=np.float64)
    order = model.popular_items
    total = max(uses.sum(), 1.0)
    # An item lies where the middle of its use lies, so that one of more than a tenth of all use stays whole.
    middle = np.cumsum(uses[order]) - uses[order] / 2
    part = np.empty(len(uses), dtype=np.int64)
    part[order] = np.minimum((N_PARTS * middle / total).astype(np.int64), N_PARTS - 1)
    part[uses == 0] = N_PARTS - 1
    return part


def count_by_part(items: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Count items by part, those below 0 left out, int64, shape (N_PARTS,)."""
    return np.bincount(part[items[items >= 0]], minlength=N_PARTS)


def to_shares(counts: np.ndarray) -> tuple[float, ...]:
    """Return counts as shares of their sum, in %."""
    return tuple((100 * counts / max(1, counts.sum())).tolist())


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
