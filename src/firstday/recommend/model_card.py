"""Model card: training data, quality per user class, intended use, limits and personal data of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firstday.errors import count_of
from firstday.model.folder import read_manifest
from firstday.model.trained_model import KNOWLEDGE, TrainedModel
from firstday.recommend.registry import find_strategy
from firstday.recommend.support import fallback_of, strategies_of

CARD = "card.md"
"""File name of the card that `firstday train` writes next to the files of a version; never read back."""
MIN_PEOPLE = 10
"""Counts below this may identify an individual."""
Block = str | list[str] | tuple[tuple[str, ...], ...]
"""A paragraph, a list, or the rows of a table, header first; tables of names and values have an empty header."""


def make_card(model: TrainedModel, manifest: Mapping[str, Any]) -> tuple[str, dict[str, tuple[Block, ...]]]:
    """Return the title of a model's card and its blocks by section, given the manifest of the model's folder."""
    data = manifest.get("data", {})
    features = manifest["features"]
    recommend = model.config.recommend
    version = (
        f"Version {manifest['version']}, created {manifest['created_at']} by firstday {manifest['firstday']}. It "
        "recommends to new users, from their profile, their friends and their first day."
    )
    facts = (
        ("", ""),
        *describe_data(data),
        ("Vectors", f"{data.get('vectors', model.config.embedding.method)}, {model.dimensions:,} dimensions"),
        ("Segments", f"{len(model.segments):,}"),
        ("Features", f"{features['n_inputs']:,} numbers: {', '.join(features['blocks'])}"),
        ("Default list", f"{recommend.k} items by {recommend.strategy}"),
        ("Seed", str(model.config.seed)),
    )
    choice = "Available with --strategy; auto is blend, or the fallback for users whose lists blend makes worse."
    strategies = [f"{name}: {find_strategy(name).describe}" for name in strategies_of(model)]
    settings = [f"{name}: {value}" for name, value in model.config._repr_facts_().items()]
    sections: dict[str, tuple[Block, ...]] = {
        "Summary": (version, facts, list(data.get("notes", ()))),
        "Quality": _describe_quality(model),
        "Strategies": (choice, strategies),
        "Intended use": (INTENDED_USES,),
        "Out of scope, and limits": (_limits(data),),
        "Personal data": (_personal_data(model),),
        "Settings that differ from the defaults": (settings,),
    }
    return f"Model card: {data.get('dataset', 'a model')}", sections


INTENDED_USES = [
    "Lists for users who are new to the service, until a model of established users covers them.",
    "Items of the training data, soon after the end of the log; train a new version every night.",
    "Comparing strategies on your own data, with firstday evaluate and, before a roll-out, with an experiment.",
]
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
}


def describe_data(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield titles and values of facts about the training data, from a dataset's summary or a manifest's `data`."""
    yield "Dataset", str(data.get("dataset", "unknown"))
    for name, title in DATA_ROWS.items():
        if value := data.get(name):
            if isinstance(value, Mapping):
                value = ", ".join(f"{key} {n:,}" for key, n in value.items())
            yield title, f"{value:,}" if isinstance(value, int) else str(value)


def _describe_quality(model: TrainedModel) -> tuple[Block, ...]:
    k = model.config.recommend.k
    probabilities = []
    if calibration := model.calibrations.get("blend"):
        probabilities.append(
            "A probability of use is that of a user who comes back and uses something new. It is the same under "
            f"any rule, and was fitted on {calibration.n_users:,} validation users."
        )
    return (
        f"P@{k} (hits in % of the maximum possible), with 95 % confidence intervals, by what is known about a user:",
        tabulate_quality(model),
        describe_default(model),
        probabilities,
        "Early stopping and the weights of blend used the same users, so results are slightly inflated. "
        "firstday evaluate reports results on unseen users, also by age, country and other groups.",
    )


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


def describe_default(model: TrainedModel) -> list[str]:
    """Describe what was learned, whom `auto` answers by the fallback, and what further components add to `blend`."""
    sentences = [value.describe() for value in model.learned.values() if hasattr(value, "describe")]
    n_users = Counter[str]()
    for row in describe_selection(model):
        n_users[row["strategy"]] += row["n_users"]
    if n_fallback := n_users.total() - n_users["blend"]:
        whom = count_of(n_fallback, n_users.total(), "validation users")
        sentences.append(
            f"auto answers {whom} by {fallback_of(model)}, as nothing is known of them or blend was worse."
        )
    for name, gain in model.facts.get("metrics", {}).get("components", {}).items():
        points = " and ".join(
            f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] points of P@{k}" for k, (mean, low, high) in gain["gain"].items()
        )
        outcome = "is part of the default list" if gain["kept"] else "is left out of the default list"
        sentences.append(f"{name} {outcome}: it adds {points} on {gain['users']:,} validation users.")
    return sentences


def tabulate_quality(model: TrainedModel) -> tuple[tuple[str, ...], ...]:
    """Return the strategy of `auto` and its precision by what is known about a user, header first."""
    table = [("known", "strategy of auto", f"P@{model.config.recommend.k}", "popular", "evaluated on")]
    for row in describe_selection(model):
        strategy = row["strategy"]
        users = f"{row['n_users']:,} users"
        better = strategy if strategy in row["precision"] else "popular"
        table.append((row["known"], strategy, _precision(row, better), _precision(row, "popular"), users))
    return tuple(table)


def _precision(row: Mapping[str, Any], strategy: str) -> str:
    """Format a strategy's precision for a user class, with its interval."""
    if strategy not in row["precision"]:
        return ""
    mean = row["precision"][strategy]
    low, high = row["precision_ci"][strategy]
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


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


def write_markdown(model: TrainedModel, manifest: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    title, sections = make_card(model, manifest)
    texts = [f"# {_escape(title)}"]
    for heading, blocks in sections.items():
        texts += [f"## {heading}", *(_write_block(block) for block in blocks if block)]
    return "\n\n".join(texts) + "\n"


def _write_block(block: Block) -> str:
    if isinstance(block, str):
        return _escape(block)
    if isinstance(block, list):
        return "\n".join(_escape(f"- {line}") for line in block)
    header, *rows = block
    rule = ("---",) * len(header)
    return "\n".join(f"| {' | '.join(map(_escape, row))} |" for row in (header, rule, *rows))


def _escape(text: str) -> str:
    """Return a text on one line, with Markdown characters escaped."""
    for mark in ("\\", "|", "<", "*", "_", "`"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def put_card(model: TrainedModel, folder: Path) -> None:
    """Write the card next to the files of the current version; loading ignores it."""
    manifest = read_manifest(folder)
    (folder / manifest["version"] / CARD).write_text(write_markdown(model, manifest), encoding="utf-8")
