"""What a report says: values that the templates lay out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import firstday
from firstday.artifact.trained_model import TrainedModel
from firstday.cold.cold_model import Epoch
from firstday.config import Config
from firstday.evaluation.paper_figures import TABLE, Space, in_paper_order, subtract_paper, title_of
from firstday.evaluation.plots import MOST_GROUPS, SIZE_NAMES, drawn_by_size
from firstday.evaluation.results import (
    MINUS,
    MINUS_OTHERS,
    OF_OTHERS,
    ROUTE,
    UNKNOWN_VECTORS,
    Figure,
    Results,
    mean_fit_seconds,
)
from firstday.evaluation.slices import BASELINE, MIN_USERS, REFERENCE, TENTH, group_slice, size_slice
from firstday.recommend.registry import find_strategy, is_plugin, strategy_names
from firstday.recommend.segment_description import SegmentRow, describe_segments
from firstday.training.option_search import describe_choices

NO_LISTS = 0.5
"""% of users: a strategy with fewer lists of its own made none to speak of."""


@dataclass(frozen=True)
class WorkedExample:
    """One new user, from profile to list, in words.

    Parameters
    ----------
    profile
        Who it is.
    liked
        What they used on day one.
    segment, segment_size
        The predicted segment, and how many warm users it has.
    segment_likes
        What its users use most.
    items
        The list, best first.
    """

    profile: str
    liked: tuple[str, ...]
    segment: int
    segment_size: int
    segment_likes: tuple[str, ...]
    items: tuple[str, ...]


def gather_evaluation(
    results: Results,
    *,
    dataset_summary: Mapping[str, Any],
    config: Config,
    history: Sequence[Epoch] = (),
    segments: Sequence[SegmentRow] = (),
    example: WorkedExample | None = None,
    command: str | None = None,
    space: Space | None = None,
) -> dict[str, Any]:
    """Return what the report of an evaluation says; see `write_report`."""
    names, leader = results.best_first, results.leader
    first = f"the run with seed {results.seeds[0]}"
    return {
        "results": results,
        "strategies": names,
        "reading": [f"{name} {results.get(name, 'precision').mean:.1f} %" for name in names],
        "reference": REFERENCE if REFERENCE in names else None,
        "leader": leader,
        "finding": _main_finding(results),
        "protocol": explain_protocol(results.protocol, config, precomputed=results.precomputed),
        "convention": "hits / min(K, relevant items)" if results.divide_by == "min" else "hits / K",
        "about": _first_lines(names),
        "routes": {name: _routes(results, name) for name in names},
        "fell_back": _fell_back(results),
        "tunings": _tunings(results),
        "sizes": results.sizes(),
        "size_slice": size_slice,
        "size_names": SIZE_NAMES,
        "n_drawn": len(drawn_by_size(results)),
        "gap": _gap(results, leader),
        "baseline_gap": _gap(results, BASELINE) if leader != BASELINE else None,
        "n_compared": len(results.compared_groups(leader)),
        "group_slice": group_slice,
        "min_users": MIN_USERS,
        "most_groups": MOST_GROUPS,
        "tenths": {name: [share.mean for share in results.split_metric(name, TENTH).values()] for name in names},
        "history": tuple(history) or results.history,
        "history_of": "the model that is kept" if history else first,
        "stopped_by": config.cold_model.stopped_by,
        "segments": summarise_segments(segments or results.segments),
        "segments_of": "the model that is kept" if segments else first,
        "k": results.k,
        "dataset": results.dataset,
        "summary": dataset_summary,
        "example": example,
        "settings": to_toml(config),
        "version": firstday.__version__,
        "command": command,
        "paper": [] if space is None else _paper_rows(results, space),
    }


def _main_finding(results: Results) -> dict[str, Any]:
    """Compare `segment` with `popular`, or the nearest thing to it that was evaluated; a plug-in with the best other.

    Returns
    -------
    dict
        ``other``: what the leader is compared with, None where it stands alone; ``gain``: in %, None where the other
        has no hit; ``difference``: user by user, None where it was not measured; ``best``: the strategy with the most
        precision, None where that is the leader.
    """
    names, leader = results.best_first, results.leader
    precision = {name: results.get(name, "precision").mean for name in names}
    others = [name for name in names if name != leader]
    other = BASELINE if BASELINE in others and not is_plugin(leader) else next(iter(others), None)
    gain = 100 * (precision[leader] / precision[other] - 1) if other and precision[other] > 0 else None
    direct = results.find(leader, f"{MINUS}{other}")
    back = results.find(other, f"{MINUS}{leader}") if other else None
    return {
        "other": other,
        "gain": gain,
        "difference": direct or (back and _turn_round(back)),
        "best": names[0] if precision[names[0]] > precision[leader] else None,
    }


def _turn_round(difference: Figure) -> Figure:
    """Return the difference of the other strategy to this one."""
    assert difference.low is not None
    assert difference.high is not None
    return replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low)


def _gap(results: Results, strategy: str) -> dict[str, Any] | None:
    """Return the largest gap of a strategy between a profile group and all others, and beside it that of `popular`."""
    group = results.largest_gap(strategy)
    if group is None:
        return None
    of_slice = group_slice(*group)
    return {
        "group": group,
        "inside": results.get(strategy, "precision", of_slice).mean,
        "outside": results.get(strategy, OF_OTHERS, of_slice).mean,
        "difference": results.get(strategy, MINUS_OTHERS, of_slice),
        "baseline": results.find(BASELINE, MINUS_OTHERS, of_slice) if strategy != BASELINE else None,
    }


def _first_lines(names: Sequence[str]) -> dict[str, str]:
    """Return what each strategy does, in one sentence."""
    known = strategy_names()
    return {name: find_strategy(name).describe for name in names if name in known}


def _routes(results: Results, strategy: str) -> list[tuple[str, float]]:
    """Return the routes of a strategy with their shares of users, fractions of 1, the most used first."""
    routes = [(route, figure.mean / 100) for route, figure in results.split_metric(strategy, ROUTE).items()]
    return sorted(routes, key=lambda route: -route[1])


def _fell_back(results: Results) -> dict[str, str]:
    """Say of each strategy (almost) all of whose lists a fallback made that it is so, and why."""
    coverage = {name: results.get(name, "user_coverage").mean for name in results.best_first if name != "auto"}
    why = "on validation users it was not better than popular or group"
    return {
        name: f"{name} made no list of its own: {why}{'' if name == REFERENCE else ', or it had nothing to go on'}."
        for name, users in coverage.items()
        if users < NO_LISTS
    }


def _tunings(results: Results) -> list[dict[str, Any]]:
    """Return how each tuned baseline was tuned, in words; what is as published, with nothing to try, is left out."""
    return [
        {
            "name": name,
            "n_tried": tunings[0].n_tried,
            "fit_seconds": mean_fit_seconds(tunings),
            "chosen": describe_choices(tunings),
        }
        for name, tunings in results.tunings.items()
        if tunings[0].grid
    ]


def _paper_rows(results: Results, space: Space) -> list[dict[str, Any]]:
    """Return the paper's figures beside each strategy, in the order of its table."""
    return [
        {
            "strategy": name,
            "title": title_of(name),
            "figures": TABLE[space].get(name),
            "minus": subtract_paper(results, name, space),
        }
        for name in in_paper_order(results.strategies)
    ]


def explain_protocol(protocol: str, config: Config, *, precomputed: bool = False) -> tuple[str, str]:
    """Say in one sentence who is cold, and in one what day one and truth are.

    Parameters
    ----------
    protocol
        Its name.
    config
        The settings that it follows.
    precomputed
        Whether vectors were brought along: then nobody here can say what they have seen, and a sentence more says so.
    """
    trained = "was trained here" if precomputed else "was trained"
    more = f" {UNKNOWN_VECTORS}" if precomputed else ""
    if protocol == "registration":
        dates = config.registration
        day = "the 24 hours from registration on" if dates.day_one == "24-hours" else "the day of registration"
        return (
            "Cold users are those who registered between a cut-off and the next one; nothing that came after their "
            f"cut-off is in anything that {trained}.{more}",
            f"Day one is {day}, and a list has to find what they used in the rest of their target window.",
        )
    if protocol == "kdd21":
        return (
            "Warm and cold users are those of the paper: they were told apart before the data was released.",
            "Of day one, features alone are known; a list has to find what users streamed in their first 30 days, and "
            "nothing is left out of it.",
        )
    if protocol == "sampled":
        rules = config.sampled
        share = 100 * (1 - rules.warm - rules.validation)
        return (
            f"Cold users are a random {share:.0f} % of those with at least {rules.min_items} items; nothing that they "
            f"did is in anything that {trained}.{more}",
            f"Of their items, {min(rules.sizes)} to {max(rules.sizes)} and at most half are drawn as day one; a list "
            "has to find the rest.",
        )
    return (
        f"Cold users are made by the protocol {protocol}; nothing that they did is in anything that {trained}.{more}",
        "A list is made from day one alone and has to find what they used afterwards.",
    )


def gather_model(model: TrainedModel, manifest: Mapping[str, Any], command: str | None = None) -> dict[str, Any]:
    """Return what the report of a model says; see `write_model_report`."""
    return {
        "manifest": manifest,
        "metrics": manifest["metrics"],
        "features": manifest["features"],
        "dimensions": model.encoder.dimensions,
        "method": manifest["data"].get("vectors", model.config.embedding.method),
        "history": model.cold.history,
        "history_of": "this model",
        "stopped_by": model.config.cold_model.stopped_by,
        "segments": summarise_segments(describe_segments(model)),
        "segments_of": "this model",
        "k": manifest["metrics"]["k"],
        "dataset": manifest["data"]["dataset"],
        "summary": manifest["data"],
        "settings": to_toml(model.config),
        "version": manifest["firstday"],
        "command": command,
    }


ALL_UP_TO = 12
"""So many segments are shown all at once."""
N_LARGEST, N_SMALLEST = 5, 3
FEW_USERS = 10
"""A list that fewer people make says little."""


@dataclass(frozen=True)
class SegmentSummary:
    """Segments, largest first, and what to say of them.

    Parameters
    ----------
    rows
        All of them.
    first
        Those to show at once: all, or the largest.
    last
        The smallest, where not all are shown at once.
    n_users
        Users in all.
    quartiles
        Sizes below which a quarter, a half and three quarters of the segments are.
    spread
        Mean squared distance of all users to their centroids.
    n_small, small
        How many segments have fewer than `small` users.
    """

    rows: tuple[SegmentRow, ...]
    first: tuple[SegmentRow, ...]
    last: tuple[SegmentRow, ...]
    n_users: int
    quartiles: tuple[int, int, int]
    spread: float
    n_small: int
    small: int = FEW_USERS


def summarise_segments(rows: Sequence[SegmentRow]) -> SegmentSummary | None:
    """Choose what to show of the segments of a model, largest first; None where there are none."""
    if not rows:
        return None
    rows = tuple(sorted(rows, key=lambda row: -row.n_users))
    sizes = np.array([row.n_users for row in rows])
    low, middle, high = (int(size) for size in np.quantile(sizes, [0.25, 0.5, 0.75], method="nearest"))
    few = len(rows) <= ALL_UP_TO
    return SegmentSummary(
        rows,
        rows if few else rows[:N_LARGEST],
        () if few else rows[-N_SMALLEST:],
        int(sizes.sum()),
        (low, middle, high),
        float(np.average([row.spread for row in rows], weights=sizes)),
        int((sizes < FEW_USERS).sum()),
    )


def to_toml(config: Config) -> str:
    """Return a configuration as TOML that `load_config` reads back; settings without a value are comments."""
    values = config.model_dump(mode="json")
    flat = {name: value for name, value in values.items() if not isinstance(value, dict)}
    parts = [_section(flat)]
    parts += [f"[{name}]\n{_section(value)}" for name, value in values.items() if isinstance(value, dict)]
    return "\n\n".join(parts) + "\n"


def _section(values: Mapping[str, Any]) -> str:
    """Return one section's lines."""
    return "\n".join(f"# {n} is not set" if v is None else f"{n} = {_literal(v)}" for n, v in values.items())


def _literal(value: Any) -> str:
    """Return a value as TOML, which agrees with JSON but for tables; DEL must be escaped."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_literal(name)} = {_literal(v)}" for name, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
