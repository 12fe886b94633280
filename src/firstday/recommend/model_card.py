"""Model card: training data, quality per user class, limits and personal data of a model, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firstday.model.folder import read_manifest
from firstday.model.trained_model import KNOWLEDGE, TrainedModel
from firstday.recommend.support import fallback_of

CARD = "card.md"
"""File name of the card that `firstday train` writes next to the files of a version; never read back."""
MIN_PEOPLE = 10
"""Counts below this may identify an individual."""
DATA_ROWS = {
    "users": "Users",
    "warm_users": "Warm users",
    "learned_from": "Warm users used to train vectors and networks",
    "validation_users": "Validation users",
    "items": "Items",
    "items_without_vector": "Items without a vector, never recommended",
    "items_unlisted": "Items never recommended",
    "interactions": "Interactions",
    "first_interaction": "First interaction",
    "last_interaction": "Last interaction",
    "impressions": "Impressions counted",
    "friends": "Friendships",
    "protocol": "Protocol",
    "pairs": "Signals",
    "entities": "Entities",
    "groups": "Profile columns and their numbers of values",
    "vectors": "Vectors",
    "segments": "Segments",
}


def describe_data(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield titles and values of facts about the training data, from a dataset's summary or a manifest's `data`."""
    yield "Dataset", str(data.get("dataset", "unknown"))
    for name, title in DATA_ROWS.items():
        if value := data.get(name):
            if isinstance(value, Mapping):
                value = ", ".join(f"{key} {n:,}" for key, n in value.items())
            yield title, f"{value:,}" if isinstance(value, int) else str(value)


def describe_manifest(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield titles and values of facts about a model, from the manifest of its folder."""
    yield "Version", f"{manifest['version']}, created {manifest['created_at']} by firstday {manifest['firstday']}"
    yield from describe_data(manifest.get("data", {}))
    features, recommend = manifest["features"], manifest["config"]["recommend"]
    yield "Features", f"{features['n_inputs']:,} numbers: {', '.join(features['blocks'])}"
    yield "Default list", f"{recommend['k']} items by {recommend['strategy']}"


def describe_selection(model: TrainedModel) -> list[dict[str, Any]]:
    """Return the strategy of `auto` for each class with validation users, and its evidence, as JSON values.

    Precision is that of each strategy's lists for validation users, with fallbacks and fill-up items, in %.
    """
    guard = model.learned["auto"]
    return [
        {
            "known": known,
            "strategy": guard.strategy_of(number, fallback_of(model)),
            "n_users": evidence.n_users,
            "precision": dict(evidence.precision),
            "precision_ci": {name: list(ends) for name, ends in evidence.intervals.items()},
        }
        for number, (known, evidence) in enumerate(zip(KNOWLEDGE, guard.classes, strict=False))
        if evidence.n_users
    ]


def describe_quality(model: TrainedModel) -> Iterator[str]:
    """Describe `auto` by what is known about a user, what was learned, and what further components add to `blend`."""
    for row in describe_selection(model):
        precision = ", ".join(
            f"{name} {row['precision'][name]:.1f} [{low:.1f}, {high:.1f}]"
            for name, (low, high) in row["precision_ci"].items()
        )
        yield (
            f"Known {row['known']}: auto is {row['strategy']}; P@{model.config.recommend.k} on {row['n_users']:,} "
            f"validation users, in %: {precision}."
        )
    yield from (value.describe() for value in model.learned.values() if hasattr(value, "describe"))
    for name, gain in model.facts.get("metrics", {}).get("components", {}).items():
        points = " and ".join(
            f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] points of P@{k}" for k, (mean, low, high) in gain["gain"].items()
        )
        outcome = "is part of the default list" if gain["kept"] else "is left out of the default list"
        yield f"{name} {outcome}: it adds {points} on {gain['users']:,} validation users."


def _limits(data: Mapping[str, Any]) -> list[str]:
    limits = [
        "Not for decisions about people: the model ranks items by their use among similar people.",
        "Not for users with a long history: a model of established users is better.",
        "Little is known about items that nobody used in the training data; they are listed if added as new items.",
        "Items and profile values absent from the training data are ignored, and reported.",
        "Quality was measured on what people did without these lists. Only an experiment shows their effect.",
        "Quality differs: groups with few warm users, and users about whom little is known, get more general lists.",
    ]
    if "last_interaction" in data:
        limits.append(f"The training data ends on {data['last_interaction']}.")
    if data.get("protocol") == "sampled":
        limits.append("Day ones were drawn at random, because the data has no timestamps; real ones may be harder.")
    if data.get("vectors") == "precomputed":
        limits.append("The vectors are precomputed: if they were trained on later behaviour, results are inflated.")
    return limits


def _personal_data(model: TrainedModel) -> list[str]:
    columns = []
    for name, groups in model.profile_groups.items():
        n_small = np.count_nonzero((groups.sizes > 0) & (groups.sizes < MIN_PEOPLE))
        columns.append(f"{name} ({n_small:,} values with fewer than {MIN_PEOPLE} people)")
    individuals = "No data of individuals: neither ids nor items of any user (recommend.warm_users is 0)."
    if model.warm is not None:
        individuals = (
            f"The ids, items and vectors of {len(model.warm):,} people, readable by anyone who has the model. "
            "recommend.warm_users = 0 trains a model without them, and so without the strategies neighbors and friends."
        )
    return [
        f"Counts of people and of their items for each value of these profile columns: {', '.join(columns) or 'none'}.",
        individuals,
        "The model contains no friendships, no timestamps, and nothing from a service's store.",
        "Users deleted from the tables are absent from the next version, but not from earlier ones that are kept.",
    ]


QUALITY = [
    "P@K is hits in % of the maximum possible; brackets are 95 % intervals over users.",
    "Early stopping and the weights of blend used the same users, so results are slightly inflated. "
    "firstday evaluate reports results on unseen users, also by age, country and other groups.",
]


def write_card(model: TrainedModel, manifest: Mapping[str, Any]) -> str:
    """Return the card of a model as Markdown, given the manifest of the model's folder."""
    data = manifest.get("data", {})
    facts = [f"{title}: {value}" for title, value in describe_manifest(manifest)]
    sections = {
        "Summary": [*facts, *data.get("notes", ())],
        "Quality": [*describe_quality(model), *QUALITY],
        "Limits": _limits(data),
        "Personal data": _personal_data(model),
    }
    lists = [f"## {heading}\n\n{''.join(map(_write_line, lines))}" for heading, lines in sections.items()]
    return "\n".join(["# Model card\n", *lists])


def _write_line(text: str) -> str:
    """Return a text as one line of a list, with Markdown characters escaped."""
    escaped = re.sub(r"[\\<*_`]", r"\\\g<0>", text)
    return f"- {' '.join(escaped.split())}\n"


def put_card(model: TrainedModel, folder: Path) -> None:
    """Write the card next to the files of the current version; loading ignores it."""
    manifest = read_manifest(folder)
    (folder / manifest["version"] / CARD).write_text(write_card(model, manifest), encoding="utf-8")
