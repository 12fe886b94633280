"""Search space: values around those of the starting configuration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from firstday.config import Config

STEPS = (0.5, 1.0, 2.0)
FACTORS: Mapping[str, tuple[float, ...]] = {
    "embedding.dimensions": (0.25, *STEPS),
    "embedding.als_confidence": (0.125, 0.25, *STEPS, 4.0),
    "embedding.als_regularization": (1 / 16, 0.25, 1.0, 4.0, 16.0),
    "segments.n_segments": STEPS,
    "cold_model.batch_size": STEPS,
    "cold_model.epochs": STEPS,
    "cold_model.day_ones_per_pass": STEPS,
    "ranker.batch_size": STEPS,
    "ranker.epochs": STEPS,
    "ranker.day_ones_per_pass": STEPS,
    "ranker.hidden": STEPS,
}
"""Factors of each setting's starting value. The range is narrow, since trials far from the start can take several times
as long and are rarely better; to continue, search again from the result."""
SHARES: Mapping[str, tuple[float, ...]] = {
    "ranker.input_dropout": (0.0, 0.2, 0.4),
    "ranker.dropout": (0.25, 0.5, 0.75),
}
"""Values to try for settings that are shares, in addition to the starting value."""


@dataclass(frozen=True)
class Choice:
    """A setting to tune: its dotted name, the values to try in ascending order, and the index of the starting value."""

    name: str
    values: tuple[Any, ...]
    start: int


def list_choices(
    config: Config, n_warm: int, n_days: int, n_items: int, *, is_precomputed: bool = False
) -> tuple[Choice, ...]:
    """Return the search space around a configuration, without settings that are 0 or have no effect in it.

    Unset values start from what follows from `n_warm`, the number of training users, who have `n_days` day ones each.
    """
    dimensions = config.embedding.resolve_dimensions(n_warm, n_items)
    max_dimensions = max(1, min(4096, n_warm - 1, n_items - 1))
    derived = {  # start, minimum and maximum
        "embedding.dimensions": (dimensions, 1, max_dimensions),
        "segments.n_segments": (config.segments.resolve(n_warm), 1, n_warm),
    }
    unused = [] if config.ranker.enabled else ["ranker."]
    for name, network in (("cold_model", config.cold_model), ("ranker", config.ranker)):
        in_pass = min(n_warm * n_days, n_warm * network.day_ones_per_pass, network.most_rows)
        derived[f"{name}.batch_size"] = network.resolve_batch(in_pass), 2, in_pass
        derived[f"{name}.day_ones_per_pass"] = network.day_ones_per_pass, 1, n_days
        if n_days == 1:
            unused.append(f"{name}.day_ones_per_pass")
    if is_precomputed or config.embedding.method == "precomputed":
        unused.append("embedding.")
    elif config.embedding.method != "als":
        unused.append("embedding.als_")
    choices = []
    for name, numbers in (*FACTORS.items(), *SHARES.items()):
        section, key = name.split(".")
        start, *bounds = derived.get(name) or (getattr(getattr(config, section), key),)
        values = numbers if name in SHARES else scale(start, numbers, *bounds)
        ordered = tuple(sorted({*values, start}))
        if len(ordered) > 1 and not name.startswith(tuple(unused)):
            choices.append(Choice(name, ordered, ordered.index(start)))
    return tuple(choices)


def scale(start: Any, factors: Iterable[float], least: float = 1, most: float = math.inf) -> set[Any]:
    """Return the starting value times each factor; integers, also in a tuple, are rounded.

    `least` and `most` are bounds for single integers.
    """
    if isinstance(start, tuple):
        return {tuple(max(1, round(width * factor)) for width in start) for factor in factors}
    values = {start * factor for factor in factors}
    if isinstance(start, int):
        return {round(value) for value in values if least <= round(value) <= most}
    return values
