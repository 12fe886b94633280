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
"""Counts below this may reveal something about an individual."""


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
        "lists for users of whom little is known: a profile, friends, and what they did on their first day."
    )
    changed = tuple((name, str(value)) for name, value in model.config._repr_facts_().items())
    sections: dict[str, tuple[Part, ...]] = {
        "What it is": (version, (FACTS, *_describe_making(model, manifest))),
        "Trained on": ((FACTS, *describe_data(data)), list(data.get("notes", ()))),
        "How good it is": tuple(_describe_quality(model, manifest)),
        "Strategies": ("What it can answer by (--strategy); auto is what was best above.", _strategies(model)),
        "Meant for": (list(MEANT_FOR),),
        "Not meant for, and limits": (_limits(model, data),),
        "Personal data in it": (_personal_data(model),),
        "Settings": ("All others are the defaults:", (("setting", "value"), *changed))
        if changed
        else ("All defaults.",),
    }
    return f"Model card: {data.get('dataset', 'a model')}", sections


MEANT_FOR = (
    "First lists for users who are new to the service, and the next ones until a model of established users has them.",
    "The catalogue that it was trained on, and days near to its last one: train it again every night.",
    "Comparing strategies on your own data: firstday evaluate, and an experiment before one is shipped.",
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
        ("Lists", f"{model.config.recommend.k} items by {model.config.recommend.strategy}, unless asked otherwise"),
        ("Seed", str(model.config.seed)),
    )


DATA_ROWS = {
    "users": "Users",
    "warm_users": "Warm users, who were counted",
    "learned_from": "Of these, learned from",
    "validation_users": "Users held out to choose by",
    "items": "Items",
    "items_without_vector": "Items without a vector, in no list",
    "items_unlisted": "Items in no list, those that are not recommendable included",
    "interactions": "Interactions",
    "first_interaction": "First interaction",
    "last_interaction": "Last interaction",
    "impressions": "Impressions counted",
    "friends": "Friendships",
    "protocol": "Protocol",
    "pairs": "Signals",
    "entities": "Entities",
    "groups": "Profile columns, distinct values",
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
    head = ("known", "auto answers by", f"P@{k}", "popular", "judged on")
    rows = tuple(
        (row["known"], row["strategy"], *(_with_interval(row, name) for name in (row["strategy"], "popular")), users)
        for row, users in tabulate_selection(model)
    )
    if rows:
        yield f"P@{k}, the part of what a list of {k} can find, in % with 95 % intervals, by what is known of a user:"
        yield (head, *rows)
    else:
        precision = ", ".join(f"{name} {value:.1f} %" for name, value in metrics.get("precision", {}).items())
        yield f"P@{k} for users held out of training: {precision or 'not measured'}. Nothing was chosen by class."
    yield (
        "The same users decided when training stopped, and between strategies: the figures flatter a little. "
        "firstday evaluate judges on users whom nothing has seen, and by age, country and other groups."
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
        "Decisions about people: it ranks items by what people alike used, and knows nothing else of anybody.",
        "Users with a long history: a model of established users knows them better.",
        "Items that nobody used in its data: no list has them, but for single places of explore.",
        f"Other days and catalogues: items and profile values that it does not know are ignored, and named.{until}",
        "Promises: it was judged on what people did without it. What its lists change, an experiment tells.",
        "Equal quality for all: groups with few warm users, and users of whom little is known, get more general lists.",
    ]
    if data.get("protocol") == "sampled":
        limits.append("Time: day ones were drawn at random, since the data has no clock; real ones may be harder.")
    if method_of_vectors(model, data) == "precomputed":
        limits.append("Knowing its vectors: they are precomputed, and may have been trained on any data.")
    return limits


def _personal_data(model: TrainedModel) -> list[str]:
    kept, groups = model.warm, model.profile_groups
    small = {name: int(((of.sizes > 0) & (of.sizes < FEW)).sum()) for name, of in groups.items()}
    columns = ", ".join(f"{name} ({n:,} values of fewer than {FEW} people)" for name, n in small.items())
    return [
        f"For each value of these profile columns, how many people have it, and what they use: {columns}."
        if groups
        else "No profile columns.",
        "No single person: no ids and nobody's items (recommend.warm_users is 0)."
        if kept is None
        else f"The ids of {len(kept):,} people, the items and the vector of each: whoever has the model can read them. "
        "recommend.warm_users = 0 trains one without them, and without neighbors and friends.",
        "Who somebody's friends are is not in it, nor times, nor anything from the store of a service.",
        "Whoever is deleted from the tables is gone from the next version; versions that are kept still know them.",
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
