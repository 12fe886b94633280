"""Roles of the signals of some tables: what training and lists make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import compress
from typing import Any

from firstday.config import DEFAULT_AFFINITY, Config
from firstday.data.events import ITEM


def describe_signals(summary: Mapping[str, Any], config: Config) -> Iterator[dict[str, Any]]:
    """Yield each signal's interactions by entity, its roles, and advice on its features, given a `Summary`'s fields.

    All are JSON values. Every signal of a first day is a feature; one without roles is nothing else.
    """
    signals = config.signals
    entities = summary["entities"]
    for signal, weight in signals.affinity.items():
        counts = {entity: n for entity in (ITEM, *entities) if (n := summary["pairs"].get(f"{signal} x {entity}"))}
        if not counts:
            continue
        is_use = signal in signals.use and ITEM in counts
        excludes = any(signals.max_rejected((signal, entity), 1) for entity in counts)
        is_derived = any(config.features.derives((signal, entity)) for entity in entities)
        advice = ""
        if is_use and entities and not is_derived and signal not in DEFAULT_AFFINITY:
            advice = f"has no features on the entities of its items; add '{signal} x *' to features.through_items"
        yield {
            "signal": signal,
            "interactions": counts,
            "roles": [*compress(("use", "taste", "excludes"), (is_use, weight, excludes))],
            "advice": advice,
        }
