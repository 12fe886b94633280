"""Roles of the signals of some tables: what training and lists make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import compress, product
from typing import Any

from firstday.config import DEFAULT_AFFINITY, Config
from firstday.data.events import ITEM


def describe_signals(summary: Mapping[str, Any], config: Config) -> Iterator[dict[str, Any]]:
    """Yield each signal's interactions by entity, its roles, and advice on its features, given a `Summary`'s fields.

    All are JSON values. Every signal of a first day is a feature; one without roles is nothing else.
    """
    signals = config.signals
    counts = summary["pairs"]
    for signal, weight in signals.affinity.items():
        through_items = [*product([signal], summary["entities"])]
        pairs = [pair for pair in ((signal, ITEM), *through_items) if " x ".join(pair) in counts]
        if not pairs:
            continue
        is_use = signal in signals.use and (signal, ITEM) in pairs
        excludes = any(signals.max_rejected(pair, 1) for pair in pairs)
        advice = ""
        is_derived = any(map(config.features.derives, through_items))
        if is_use and through_items and not is_derived and signal not in DEFAULT_AFFINITY:
            advice = f"has no features on the entities of its items; add '{signal} x *' to features.through_items"
        yield {
            "signal": signal,
            "interactions": {entity: counts[f"{signal} x {entity}"] for _, entity in pairs},
            "roles": [*compress(("use", "taste", "excludes"), (is_use, weight, excludes))],
            "advice": advice,
        }
