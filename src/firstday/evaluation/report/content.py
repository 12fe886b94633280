"""Content of reports: the values that the templates render."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config
from firstday.evaluation.comparison_tables import (
    compare_groups,
    compare_popularity,
    compare_sizes,
    compare_strategies,
    compare_with_paper,
    describe_lists,
    describe_tunings,
)
from firstday.evaluation.paper_figures import Space
from firstday.evaluation.plots import MOST_GROUPS, drawn_by_size
from firstday.evaluation.results import HEAD_METRICS, MINUS, UNKNOWN_VECTORS, Figure, Results
from firstday.evaluation.slices import BASELINE, MIN_USERS, REFERENCE, TENTH, group_slice
from firstday.recommend.model_card import describe_data, make_card
from firstday.recommend.registry import find_strategy, is_plugin, strategy_names
from firstday.recommend.segment_description import SegmentRow, describe_segments

NO_LISTS = 0.5
"""User coverage in % below which a strategy counts as having made no lists of its own."""


@dataclass(frozen=True)
class WorkedExample:
    """One new user, from profile to list, in words.

    Parameters
    ----------
    profile
        Profile of the user.
    liked
        Items used on day one.
    segment, segment_size
        The predicted segment, and its number of warm users.
    segment_likes
        Items its users use most.
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
    described: str | None = None,
    example: WorkedExample | None = None,
    command: str | None = None,
    space: Space | None = None,
) -> dict[str, Any]:
    """Return the content of an evaluation report.

    Parameters
    ----------
    results
        From `evaluate`, with at least one strategy.
    dataset_summary, config
        `Dataset.summary`, and the configuration that was evaluated.
    described
        Describes the model whose training and segments are in the results; by default that of the first seed.
    example, command
        A worked example, and the command that reproduces the results.
    space
        Embedding space of the paper's data, to compare with the paper's figures.
    """
    leader = results.leader
    return {
        "results": results,
        "leader": leader,
        "finding": _main_finding(results),
        "protocol": explain_protocol(results.protocol, config, precomputed=results.precomputed),
        "fell_back": _fell_back(results),
        "about": {name: find_strategy(name).describe for name in results.best_first if name in strategy_names()},
        "strategies": compare_strategies(results),
        "sizes": [
            compare_sizes(results, metric) for metric in ("precision", HEAD_METRICS[0]) if results.find(leader, metric)
        ],
        "drawn": drawn_by_size(results),
        "lists": describe_lists(results),
        "tunings": describe_tunings(results),
        "groups": {column: compare_groups(results, column) for column in results.groups},
        "group_slice": group_slice,
        "baseline": BASELINE if BASELINE in results.strategies and leader != BASELINE else None,
        "min_users": MIN_USERS,
        "most_groups": MOST_GROUPS,
        "popularity": compare_popularity(results) if results.items_by_popularity else None,
        "tenths": [share.mean for share in results.split_metric(leader, TENTH).values()],
        "history": results.history,
        "described": described or f"the run with seed {results.seeds[0]}",
        "stopped_by": config.cold_model.stopped_by,
        "segments": summarise_segments(results.segments),
        "data": list(describe_data({"dataset": results.dataset, **dataset_summary})),
        "example": example,
        "settings": [line for name, value in config._repr_facts_().items() for line in _write_setting(name, value)],
        "k": results.k,
        "command": command,
        "paper": space and compare_with_paper(results, space),
    }


def _main_finding(results: Results) -> dict[str, Any]:
    """Compare the leader with `popular`; a plug-in, or where there is no `popular`, with the best other strategy.

    Returns
    -------
    dict
        ``other``: the strategy that the leader is compared with, None if there is no other. ``gain``: in %, None if the
        other has no hits. ``difference``: paired by user, None if not measured. ``best``: the strategy with the highest
        precision, None if that is the leader.
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
    """Return the difference with its sign reversed."""
    assert difference.low is not None
    assert difference.high is not None
    return replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low)


def _fell_back(results: Results) -> dict[str, str]:
    """Explain for each strategy whose lists (almost) all come from a fallback why this is so."""
    coverage = {name: results.get(name, "user_coverage").mean for name in results.best_first if name != "auto"}
    why = "on validation users it was not better than popular or group"
    return {
        name: f"{name} made no list of its own: {why}{'' if name == REFERENCE else ', or it had nothing to go on'}."
        for name, users in coverage.items()
        if users < NO_LISTS
    }


def explain_protocol(protocol: str, config: Config, *, precomputed: bool = False) -> tuple[str, str]:
    """Return two sentences: who is cold, and what day one and truth are.

    Parameters
    ----------
    protocol
        Name of the protocol.
    config
        Settings of the protocol.
    precomputed
        Whether embeddings were precomputed; adds a caveat that their training data is unknown.
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


def gather_model(
    model: TrainedModel, manifest: Mapping[str, Any], command: str | None = None, *, is_card: bool = False
) -> dict[str, Any]:
    """Return the content of a model report: its card and, unless `is_card`, its segments and training."""
    title, sections = make_card(model, manifest)
    return {
        "title": title,
        "sections": sections,
        "history": () if is_card else model.cold.history,
        "described": "this model",
        "stopped_by": model.config.cold_model.stopped_by,
        "segments": None if is_card else summarise_segments(describe_segments(model)),
        "k": model.config.recommend.k,
        "command": command,
    }


FEW_USERS = 10
"""Minimum number of users for a segment's list to be informative."""


def summarise_segments(rows: Sequence[SegmentRow]) -> dict[str, Any] | None:
    """Return the segments of a model, largest first, with remarks; None without segments."""
    if not rows:
        return None
    sizes = np.array([row.n_users for row in rows])
    return {
        "rows": sorted(rows, key=lambda row: -row.n_users),
        "n_users": int(sizes.sum()),
        "quartiles": np.quantile(sizes, [0.25, 0.75], method="nearest").tolist(),
        "spread": float(np.average([row.spread for row in rows], weights=sizes)),
        "few": FEW_USERS,
        "n_small": int((sizes < FEW_USERS).sum()),
    }


def _write_setting(name: str, value: Any) -> Iterator[str]:
    """Format a setting as TOML, which agrees with JSON except for tables."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _write_setting(f"{name}.{json.dumps(key, ensure_ascii=False)}", part)
    else:
        yield f"{name} = {json.dumps(value, ensure_ascii=False)}"
