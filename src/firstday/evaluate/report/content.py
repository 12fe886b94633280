"""What a report says: values that the templates lay out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import firstday
from firstday.artifact.trained_model import TrainedModel
from firstday.cold.cold_model import Epoch
from firstday.config import Config
from firstday.evaluate.paper_figures import Comparison
from firstday.evaluate.plots import MOST_GROUPS, SIZE_NAMES, drawn_by_size, used_sizes
from firstday.evaluate.results import REFERENCE, Results, Row, by_precision, find_main, mean_fit_seconds
from firstday.evaluate.slices import MIN_USERS
from firstday.recommend.segment_description import SegmentRow, describe_segments
from firstday.recommend.strategies import STRATEGIES


def explain_protocol(protocol: str, config: Config) -> tuple[str, str]:
    """Say in one sentence who is cold, and in one what day one and truth are.

    Parameters
    ----------
    protocol
        Its name.
    config
        The settings that it follows.
    """
    if protocol == "registration":
        dates = config.registration
        day = "the 24 hours from registration on" if dates.day_one == "24-hours" else "the day of registration"
        return (
            f"Cold users are those who registered in the {dates.cold_days:g} days after the cut-off; nothing that "
            "anyone did from then on is in anything that was trained.",
            f"Day one is {day}, and a list has to find what they used in the rest of their first "
            f"{dates.target_days:g} days.",
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
            "did is in anything that was trained.",
            f"Of their items, {min(rules.sizes)} to {max(rules.sizes)} and at most half are drawn as day one; a list "
            "has to find the rest.",
        )
    return (
        f"Cold users are made by the protocol {protocol}; nothing that they did is in anything that was trained.",
        "A list is made from day one alone and has to find what they used afterwards.",
    )


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
    comparisons: Sequence[Comparison] = (),
) -> dict[str, Any]:
    """Return what the report of an evaluation says; see `write_report`."""
    rows, found = by_precision(results), results.breakdown
    first = f"the run with seed {results.seeds[0]}"
    return {
        "results": results,
        "rows": rows,
        "reading": [f"{row.strategy} {row.metrics['precision'].mean:.1f} %" for row in rows],
        "reference": REFERENCE if any(row.strategy == REFERENCE for row in rows) else None,
        "finding": find_main(results),
        "protocol": explain_protocol(results.protocol, config),
        "convention": "hits / min(K, relevant items)" if results.divide_by == "min" else "hits / K",
        "about": _about(rows),
        "tunings": _tunings(results),
        "sizes": used_sizes(results),
        "n_drawn": len(drawn_by_size(results)),
        "size_names": SIZE_NAMES,
        "counts": {size: n for row in rows for size, n in row.n_by_day_one_size.items()},
        "groups": None if found is None else found.groups,
        "min_users": MIN_USERS,
        "most_groups": MOST_GROUPS,
        "popularity": None if found is None else found.popularity,
        "history": tuple(history) or (() if found is None else found.history),
        "history_of": "the model that is kept" if history else first,
        "stopped_by": config.cold_model.stopped_by,
        "segments": summarise_segments(segments or (() if found is None else found.segments)),
        "segments_of": "the model that is kept" if segments else first,
        "k": results.k,
        "dataset": results.dataset,
        "summary": dataset_summary,
        "example": example,
        "settings": to_toml(config),
        "version": firstday.__version__,
        "command": command,
        "comparisons": comparisons,
    }


def gather_model(model: TrainedModel, manifest: Mapping[str, Any], command: str | None = None) -> dict[str, Any]:
    """Return what the report of a model says; see `write_model_report`."""
    return {
        "manifest": manifest,
        "metrics": manifest["metrics"],
        "features": manifest["features"],
        "dimensions": model.encoder.dimensions,
        "method": model.config.embedding.method,
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


def _about(rows: Sequence[Row]) -> dict[str, str]:
    """Return what each strategy does, in the first line of its own documentation."""
    texts = {row.strategy: STRATEGIES[row.strategy].__doc__ for row in rows if row.strategy in STRATEGIES}
    return {name: text.strip().splitlines()[0] for name, text in texts.items() if text}


def _tunings(results: Results) -> list[dict[str, Any]]:
    """Return how each tuned peer was tuned, in words."""
    found = []
    for name, tunings in results.tunings.items():
        if not tunings[0].grid:  # as published, nothing was tried
            continue
        chosen = [", ".join(f"{option} {value}" for option, value in tuning.options.items()) for tuning in tunings]
        found.append(
            {
                "name": name,
                "n_tried": math.prod(len(values) for values in tunings[0].grid.values()),
                "fit_seconds": mean_fit_seconds(tunings),
                "chosen": list(dict.fromkeys(chosen)),
            }
        )
    return found
