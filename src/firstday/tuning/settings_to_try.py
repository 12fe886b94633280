"""Settings that a search tries: around those of a configuration, each with the values that are tried."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from firstday.config import Config, RankerConfig

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
}
"""Settings that are tried, and what their values at the start are multiplied by. Few steps, since a trial far from the
start costs several times as much and is seldom better; a search from where another one ended goes further."""
SHARES: Mapping[str, tuple[float, ...]] = {
    "ranker.input_dropout": (0.0, 0.2, 0.4),
    "ranker.dropout": (0.25, 0.5, 0.75),
}
"""Settings that are shares, and the values that are tried beside that of the start."""


@dataclass(frozen=True)
class Choice:
    """A setting that is tried.

    Parameters
    ----------
    name
        Dotted.
    values
        What is tried, ascending.
    start
        The place of the start's value among them. Where the start leaves it to the data, it is what follows from the
        data.
    """

    name: str
    values: tuple[Any, ...]
    start: int


def list_choices(
    config: Config, n_learners: int, n_days: int, n_items: int, *, is_precomputed: bool = False
) -> tuple[Choice, ...]:
    """Return the settings to try around those of a configuration.

    Parameters
    ----------
    config
        To start from. A setting of it that is 0 is not tried, nor one that has no effect with it.
    n_learners
        How many users are learned from: what follows from that is where empty settings start.
    n_days
        How many day ones of each.
    n_items
        How many items there are.
    is_precomputed
        Whether vectors come with the tables, so that nothing about them can be tried.
    """
    n_warm = min(n_learners, config.training.most_users)
    embedding = {
        "dimensions": config.embedding.resolve_dimensions(n_warm, n_items),
        "als_confidence": config.embedding.als_confidence,
        "als_regularization": config.embedding.als_regularization,
    }
    if is_precomputed or config.embedding.method == "precomputed":
        embedding = {}
    elif config.embedding.method != "als":
        embedding = {"dimensions": embedding["dimensions"]}
    starts: dict[str, float] = {f"embedding.{name}": value for name, value in embedding.items()}
    starts["segments.n_segments"] = config.segments.resolve(n_warm)
    bounds: dict[str, tuple[float, float]] = {
        "embedding.dimensions": (1, max(1, min(4096, n_warm - 1, n_items - 1))),
        "segments.n_segments": (1, n_warm),
    }
    networks = {"cold_model": config.cold_model, **({"ranker": config.ranker} if config.ranker.enabled else {})}
    for name, network in networks.items():
        in_pass = min(n_warm * n_days, n_warm * network.day_ones_per_pass, network.most_rows)
        starts[f"{name}.batch_size"], bounds[f"{name}.batch_size"] = network.resolve_batch(in_pass), (2, in_pass)
        starts[f"{name}.epochs"] = network.epochs
        if n_days > 1:
            starts[f"{name}.day_ones_per_pass"] = network.day_ones_per_pass
            bounds[f"{name}.day_ones_per_pass"] = (1, n_days)
    choices = [scale(name, start, FACTORS[name], *bounds.get(name, (1, math.inf))) for name, start in starts.items()]
    if config.ranker.enabled:
        choices += _list_for_ranker(config.ranker)
    return tuple(choice for choice in choices if len(choice.values) > 1)


def _list_for_ranker(config: RankerConfig) -> list[Choice]:
    """Return the settings to try that the ranker alone has."""
    widths = tuple(dict.fromkeys(tuple(max(1, round(width * factor)) for width in config.hidden) for factor in STEPS))
    choices = [Choice("ranker.hidden", widths, widths.index(config.hidden))]
    for name, shares in SHARES.items():
        start = getattr(config, name.removeprefix("ranker."))
        values = tuple(sorted({*shares, start}))
        choices.append(Choice(name, values, values.index(start)))
    return choices


def scale(name: str, start: float, factors: Iterable[float], least: float = 1, most: float = math.inf) -> Choice:
    """Return the values to try for a number: the start times some factors, whole numbers where it is one.

    Parameters
    ----------
    name
        Of the setting.
    start
        Its value to start from.
    factors
        What it is multiplied by; 1 is among them.
    least, most
        Bounds of whole numbers; the start may lie outside of them.
    """
    if isinstance(start, int):
        scaled: set[float] = {round(start * factor) for factor in factors}
        values: tuple[float, ...] = tuple(sorted({v for v in scaled if least <= v <= most} | {start}))
    else:
        values = tuple(sorted({start * factor for factor in factors}))
    return Choice(name, values, values.index(start))
