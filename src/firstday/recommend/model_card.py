"""The card of a model: what it was trained on, how good it is for whom, what it is for and not for, what it holds."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstday.artifact.folder import read_manifest
from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config
from firstday.recommend.auto import tabulate_selection
from firstday.recommend.registry import find_strategy, strategies_of

CARD = "card.md"
"""What the card is called that `firstday train` puts beside the files of a version; nothing reads it."""
FEW = 10
"""A count of fewer people may tell something about one of them."""


@dataclass(frozen=True)
class CardTable:
    """A table of a card: what stands above the columns, and the rows."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class CardSection:
    """A part of a card: a title, and below it paragraphs, lists and tables."""

    title: str
    parts: tuple[str | list[str] | CardTable, ...]


def make_card(model: TrainedModel, manifest: Mapping[str, Any]) -> tuple[str, list[CardSection]]:
    """Return the title and the sections of a model's card.

    Parameters
    ----------
    model
        The model.
    manifest
        From `firstday.artifact.folder.read_manifest`.
    """
    data = manifest.get("data", {})
    version = (
        f"Version {manifest['version']}, made {manifest['created_at']} by firstday {manifest['firstday']}. It makes "
        "lists for users of whom little is known: a profile, friends, and what they did on their first day."
    )
    sections = [
        CardSection("What it is", (version, CardTable(("", ""), tuple(_describe_making(model, manifest))))),
        CardSection("Trained on", (CardTable(("", ""), tuple(_describe_data(data))), list(data.get("notes", ())))),
        CardSection("How good it is", tuple(_describe_quality(model, manifest))),
        CardSection(
            "Strategies", ("What it can answer by (--strategy); auto is what was best above.", _strategies(model))
        ),
        CardSection("Meant for", (list(MEANT_FOR),)),
        CardSection("Not meant for, and limits", (_limits(model, data),)),
        CardSection("Personal data in it", (_personal_data(model),)),
        CardSection("Settings", tuple(_describe_settings(model.config))),
    ]
    return f"Model card: {data.get('dataset', 'a model')}", sections


MEANT_FOR = (
    "First lists for users who are new to the service, and the next ones until a model of established users has them.",
    "The catalogue that it was trained on, and days near to its last one: train it again every night.",
    "Comparing strategies on your own data: firstday evaluate, and an experiment before one is shipped.",
)


def method_of_vectors(model: TrainedModel, data: Mapping[str, Any]) -> str:
    """Return what made the vectors; given the data facts of the manifest, if they tell what was really used."""
    return str(data.get("vectors", model.config.embedding.method))


def _describe_making(model: TrainedModel, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say how the model came about."""
    method = method_of_vectors(model, manifest.get("data", {}))
    given = "brought along" if method == "precomputed" else f"by {method}"
    yield "Vectors", f"{given}, {model.dimensions:,} numbers each"
    yield "Segments", f"{len(model.segments):,}"
    yield "Features", f"{manifest['features']['n_inputs']:,} numbers: {', '.join(manifest['features']['blocks'])}"
    yield "Lists", f"{model.config.recommend.k} items by {model.config.recommend.strategy}, unless asked otherwise"
    yield "Seed", str(model.config.seed)


DATA_ROWS = {
    "users": "Users",
    "warm_users": "Warm users, who were counted",
    "learned_from": "Of these, learned from",
    "validation_users": "Users held out to choose by",
    "items": "Items",
    "items_without_vector": "Items without a vector, in no list",
    "interactions": "Interactions",
    "first_interaction": "First interaction",
    "last_interaction": "Last interaction",
    "impressions": "Impressions counted",
    "friends": "Friendships",
    "protocol": "Protocol",
}


def _describe_data(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Count what the model was trained on."""
    yield "Dataset", str(data.get("dataset", "unknown"))
    for name, title in DATA_ROWS.items():
        if data.get(name):
            yield title, f"{data[name]:,}" if isinstance(data[name], int) else str(data[name])
    for name, title in (("pairs", "Signals"), ("entities", "Entities"), ("groups", "Profile columns, distinct values")):
        if data.get(name):
            yield title, ", ".join(f"{key} {n:,}" for key, n in data[name].items())


def _describe_quality(model: TrainedModel, manifest: Mapping[str, Any]) -> Iterator[str | list[str] | CardTable]:
    """Say how good the lists are, by what is known of the user."""
    metrics, rows = manifest.get("metrics", {}), []
    k, measured = metrics.get("k", model.config.recommend.k), metrics.get("precision", {})
    for row, users in tabulate_selection(model):
        cells = [_with_interval(row, name) for name in (row["strategy"], "popular")]
        rows.append((row["known"], row["strategy"], *cells, users))
    if rows:
        yield f"P@{k}, the part of what a list of {k} can find, in % with 95 % intervals, by what is known of a user:"
        yield CardTable(("known", "auto answers by", f"P@{k}", "popular", "judged on"), tuple(rows))
    else:
        precision = ", ".join(f"{name} {value:.1f} %" for name, value in measured.items())
        yield f"P@{k} for users held out of training: {precision or 'not measured'}. Nothing was chosen by class."
    yield (
        "The same users decided when training stopped, and between strategies: the figures flatter a little. "
        "firstday evaluate judges on users whom nothing has seen, and by age, country and other groups."
    )


def _with_interval(row: Mapping[str, Any], strategy: str) -> str:
    """Write the precision of a strategy for a class."""
    if strategy not in row["precision"]:
        return ""
    ends = row["precision_ci"].get(strategy)
    return f"{row['precision'][strategy]:.1f}" + ("" if ends is None else f" [{ends[0]:.1f}, {ends[1]:.1f}]")


def _strategies(model: TrainedModel) -> list[str]:
    return [f"{name}: {find_strategy(name).describe}" for name in strategies_of(model)]


def _limits(model: TrainedModel, data: Mapping[str, Any]) -> list[str]:
    """Say what the model cannot do."""
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
        limits.append("Knowing its vectors: they were brought along, and what they have seen cannot be known here.")
    return limits


def _personal_data(model: TrainedModel) -> list[str]:
    """Say what the model holds of people."""
    kept, groups = model.warm, model.profile_groups
    small = {name: int(((of.sizes > 0) & (of.sizes < FEW)).sum()) for name, of in groups.items()}
    columns = ", ".join(f"{name} ({n:,} values of fewer than {FEW} people)" for name, n in small.items())
    facts = []
    if groups:
        facts.append(f"For each value of these profile columns, how many people have it, and what they use: {columns}.")
    else:
        facts.append("No profile columns.")
    if kept is None:
        facts.append("No single person: no ids and nobody's items (recommend.warm_users is 0).")
    else:
        facts.append(
            f"The ids of {len(kept):,} people, the items and the vector of each: whoever has the model can read them. "
            "recommend.warm_users = 0 trains one without them, and without neighbors and friends."
        )
    facts.append("Who somebody's friends are is not in it, nor times, nor anything from the store of a service.")
    facts.append(
        "Whoever is deleted from the tables is gone from the next version; versions that are kept still know them."
    )
    return facts


def _describe_settings(config: Config) -> Iterator[str | list[str] | CardTable]:
    """Name the settings that are not the defaults."""
    values, defaults = _flatten(config.model_dump(mode="json")), _flatten(Config().model_dump(mode="json"))
    changed = tuple((name, str(value)) for name, value in values.items() if value != defaults.get(name))
    yield "All defaults." if not changed else "All others are the defaults:"
    if changed:
        yield CardTable(("setting", "value"), changed)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their whole names, such as ``recommend.k``."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def write_markdown(model: TrainedModel, manifest: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    title, sections = make_card(model, manifest)
    blocks = [f"# {_words(title)}"]
    for section in sections:
        blocks.append(f"## {section.title}")
        for part in section.parts:
            if isinstance(part, CardTable):
                rows = (part.head, ("---",) * len(part.head), *part.rows)
                blocks.append("\n".join(f"| {' | '.join(map(_words, row))} |" for row in rows))
            elif isinstance(part, str):
                blocks.append(_words(part))
            elif part:
                blocks.append("\n".join(f"- {_words(line)}" for line in part))
    return "\n\n".join(blocks) + "\n"


def _words(text: str) -> str:
    """Return a text on one line, without what Markdown would take for its own."""
    for mark in ("\\", "|", "<", "*", "_", "`"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


STYLE = (
    "body{font:1rem/1.55 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "div{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .9rem .3rem 0;border-bottom:1px solid #8886}"
)


def write_html(model: TrainedModel, manifest: Mapping[str, Any]) -> str:
    """Return the card as one page that needs nothing else."""
    title, sections = make_card(model, manifest)
    body = [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        body.append(f"<h2>{html.escape(section.title)}</h2>")
        for part in section.parts:
            if isinstance(part, CardTable):
                head = f"<thead>{_row(part.head, 'th')}</thead>" if any(part.head) else ""
                rows = "\n".join(_row(row, "td") for row in part.rows)
                body.append(f"<div><table>{head}<tbody>\n{rows}\n</tbody></table></div>")
            elif isinstance(part, str):
                body.append(f"<p>{html.escape(part)}</p>")
            elif part:
                body.append("<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in part) + "</ul>")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>\n'
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def put_card(model: TrainedModel, folder: Path) -> None:
    """Write the card beside the files of the version that is in place; it is no part of what is loaded."""
    manifest = read_manifest(folder)
    (folder / manifest["version"] / CARD).write_text(write_markdown(model, manifest), encoding="utf-8")
