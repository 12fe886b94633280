"""Model card: training data, quality per user class, intended use, limits and personal data of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from firstday.artifact.folder import read_manifest
from firstday.artifact.trained_model import TrainedModel
from firstday.recommend.registry import find_strategy, strategies_of
from firstday.recommend.strategies.auto import tabulate_selection

CARD = "card.md"
"""File name of the card that `firstday train` writes next to the files of a version; never read back."""
FEW = 10
"""Counts below this may identify an individual."""


Table = tuple[tuple[str, ...], ...]
"""Rows, header first; tables of names and values have an empty header."""
Part = str | list[str] | Table
"""A paragraph, a list or a table."""
FACTS = ("", "")


def make_card(model: TrainedModel, manifest: Mapping[str, Any]) -> tuple[str, dict[str, tuple[Part, ...]]]:
    """Return the title of a model's card and its parts by section; `manifest` is that of the model's folder."""
    data = manifest.get("data", {})
    version = (
        f"Version {manifest['version']}, made {manifest['created_at']} by firstday {manifest['firstday']}. It makes "
        "lists for users about whom little is known: a profile, friends, and their actions on the first day."
    )
    changed = tuple((name, str(value)) for name, value in model.config._repr_facts_().items())
    sections: dict[str, tuple[Part, ...]] = {
        "Summary": (version, (FACTS, *_describe_making(model, manifest))),
        "Training data": ((FACTS, *describe_data(data)), list(data.get("notes", ()))),
        "Quality": tuple(_describe_quality(model, manifest)),
        "Strategies": (
            "Available with --strategy; auto selects the best per class of users.",
            _strategies(model),
        ),
        "Intended use": (list(MEANT_FOR),),
        "Out of scope, and limits": (_limits(model, data),),
        "Personal data": (_personal_data(model),),
        "Settings": ("Settings that differ from the defaults:", (("setting", "value"), *changed))
        if changed
        else ("All defaults.",),
    }
    return f"Model card: {data.get('dataset', 'a model')}", sections


MEANT_FOR = (
    "Lists for users who are new to the service, until a model of established users covers them.",
    "The catalogue of its training data, soon after the last day of the log: train a new version every night.",
    "Comparing strategies on your own data: by firstday evaluate, and by an experiment before a roll-out.",
)


def method_of_vectors(model: TrainedModel, data: Mapping[str, Any]) -> str:
    """Return the embedding method: the one the manifest's data facts record, else the configured one."""
    return str(data.get("vectors", model.config.embedding.method))


def _describe_making(model: TrainedModel, manifest: Mapping[str, Any]) -> Table:
    method = method_of_vectors(model, manifest.get("data", {}))
    given = "precomputed" if method == "precomputed" else f"by {method}"
    features = manifest["features"]
    return (
        ("Vectors", f"{given}, {model.dimensions:,} numbers each"),
        ("Segments", f"{len(model.segments):,}"),
        ("Features", f"{features['n_inputs']:,} numbers: {', '.join(features['blocks'])}"),
        ("Lists", f"{model.config.recommend.k} items by {model.config.recommend.strategy}, by default"),
        ("Seed", str(model.config.seed)),
    )


DATA_ROWS = {
    "users": "Users",
    "warm_users": "Warm users",
    "learned_from": "Warm users that vectors and networks learned from",
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
    """Return counts of the training data, given a dataset's summary or the data facts of a manifest."""
    yield "Dataset", str(data.get("dataset", "unknown"))
    for name, title in DATA_ROWS.items():
        if value := data.get(name):
            if isinstance(value, Mapping):
                value = ", ".join(f"{key} {n:,}" for key, n in value.items())
            yield title, f"{value:,}" if isinstance(value, int) else str(value)


def _describe_quality(model: TrainedModel, manifest: Mapping[str, Any]) -> Iterator[Part]:
    metrics = manifest.get("metrics", {})
    k = metrics.get("k", model.config.recommend.k)
    head = ("known", "strategy of auto", f"P@{k}", "popular", "evaluated on")
    rows = tuple(
        (row["known"], row["strategy"], *(_with_interval(row, name) for name in (row["strategy"], "popular")), users)
        for row, users in tabulate_selection(model)
    )
    if rows:
        yield f"P@{k}, in % of the hits possible with {k} items, with 95 % intervals, by what is known about a user:"
        yield (head, *rows)
    else:
        precision = ", ".join(f"{name} {value:.1f} %" for name, value in metrics.get("precision", {}).items())
        yield f"P@{k} for users held out of training: {precision or 'not measured'}. No strategy was selected by class."
    yield (
        "Early stopping and the selection of strategies used the same users, so results are slightly inflated. "
        "firstday evaluate reports results on unseen users, also by age, country and other groups."
    )


def _with_interval(row: Mapping[str, Any], strategy: str) -> str:
    """Format a strategy's precision for a user class, with its interval."""
    if strategy not in row["precision"]:
        return ""
    ends = row["precision_ci"].get(strategy)
    return f"{row['precision'][strategy]:.1f}" + ("" if ends is None else f" [{ends[0]:.1f}, {ends[1]:.1f}]")


def _strategies(model: TrainedModel) -> list[str]:
    return [f"{name}: {find_strategy(name).describe}" for name in strategies_of(model)]


def _limits(model: TrainedModel, data: Mapping[str, Any]) -> list[str]:
    until = f" Nothing after {data['last_interaction']} is in it." if "last_interaction" in data else ""
    limits = [
        "Not for decisions about people: the model ranks items by their use among similar people.",
        "Not for users with a long history: a model of established users is better.",
        "Items that nobody used in the training data are not recommended, except at single ranks by explore.",
        f"Items and profile values absent from the training data are ignored, and reported.{until}",
        "Quality was measured on what people did without these lists. Only an experiment shows their effect.",
        "Quality differs: groups with few warm users, and users about whom little is known, get more general lists.",
    ]
    if data.get("protocol") == "sampled":
        limits.append("Day ones were drawn at random, because the data has no timestamps; real ones may be harder.")
    if method_of_vectors(model, data) == "precomputed":
        limits.append("The vectors are precomputed: if they were trained on later behaviour, results are inflated.")
    return limits


def _personal_data(model: TrainedModel) -> list[str]:
    kept, groups = model.warm, model.profile_groups
    small = {name: int(((of.sizes > 0) & (of.sizes < FEW)).sum()) for name, of in groups.items()}
    columns = ", ".join(f"{name} ({n:,} values of fewer than {FEW} people)" for name, n in small.items())
    return [
        f"Counts of people and of their items for each value of these profile columns: {columns}."
        if groups
        else "No profile columns.",
        "No data of individuals: neither ids nor items of any user (recommend.warm_users is 0)."
        if kept is None
        else f"The ids, items and vectors of {len(kept):,} people, readable by anyone who has the model. "
        "recommend.warm_users = 0 trains a model without them, and without neighbors and friends.",
        "No friendships, no timestamps, and nothing from a service's store.",
        "Users deleted from the tables are absent from the next version, but not from earlier ones that are kept.",
    ]


def write_markdown(model: TrainedModel, manifest: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    title, sections = make_card(model, manifest)
    blocks = [f"# {_words(title)}"]
    for heading, parts in sections.items():
        blocks.append(f"## {heading}")
        for part in filter(None, parts):
            if isinstance(part, tuple):
                rows = (part[0], ("---",) * len(part[0]), *part[1:])
                blocks.append("\n".join(f"| {' | '.join(map(_words, row))} |" for row in rows))
            else:
                lines = [part] if isinstance(part, str) else [f"- {line}" for line in part]
                blocks.append("\n".join(map(_words, lines)))
    return "\n\n".join(blocks) + "\n"


def _words(text: str) -> str:
    """Return a text on one line, with Markdown characters escaped."""
    for mark in ("\\", "|", "<", "*", "_", "`"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def put_card(model: TrainedModel, folder: Path) -> None:
    """Write the card next to the files of the current version; loading ignores it."""
    manifest = read_manifest(folder)
    (folder / manifest["version"] / CARD).write_text(write_markdown(model, manifest), encoding="utf-8")
