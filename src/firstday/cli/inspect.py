"""firstday inspect: print the contents of a model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from firstday.cli.options import (
    JsonFlag,
    ModelArgument,
    PluginOption,
    ReportOption,
    check_output,
    command_line,
    load_plugins,
    print_json,
)
from firstday.cli.printing import print_quality, print_table
from firstday.evaluation.report.render import render_model
from firstday.evaluation.text_table import Table
from firstday.files import write_file
from firstday.model.folder import list_versions, read_manifest
from firstday.model.trained_model import TrainedModel
from firstday.recommend.model_card import describe_default, describe_selection, make_card, write_markdown
from firstday.recommend.recommender import open_model
from firstday.recommend.segment_description import SegmentRow, describe_segments

PLACE = 11  # in firstday --help


def inspect(
    model: ModelArgument,
    segments: Annotated[int, typer.Option(min=1, help="Number of segments to show, largest first.")] = 20,
    as_json: JsonFlag = False,
    plugin: PluginOption = None,
    report: ReportOption = None,
    knows: Annotated[str | None, typer.Option(help="Id of a user: only print whether the model stores it.")] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Write a model card to this .md or .html file: data, metrics by what is known, limits, personal data; "
            "alone or with -, print it as Markdown.",
        ),
    ] = None,
) -> None:
    """Show a MODEL's data, features, training curve, and segments with size and top items.

    Example: firstday inspect model --segments 5 --report model.html

    Example: firstday inspect model --card card.html

    Example: firstday inspect model --knows u81
    """
    load_plugins(plugin)
    check_output(None if str(card) == "-" else card, ".md", ".html")
    check_output(report, ".html")
    manifest = read_manifest(model)
    trained_model = open_model(model).model
    if knows is not None:
        stored = trained_model.warm
        typer.echo("yes" if stored is not None and stored.ids.index_of(knows) >= 0 else "no")
        return
    if report is not None:
        write_file(report, render_model(trained_model, manifest, command_line()))
    if card is not None:
        if card.suffix.lower() == ".html":
            text = render_model(trained_model, manifest, is_card=True)
        else:
            text = write_markdown(trained_model, manifest)
        if str(card) == "-":
            typer.echo(text)
        else:
            write_file(card, text)
    elif as_json:
        facts = {name: value for name, value in manifest.items() if name not in ("files", "model")}
        print_json(
            {
                **facts,
                "versions": [asdict(version) for version in list_versions(model)],
                "blending": asdict(trained_model.learned["blend"]),
                "selection": describe_selection(trained_model),
                "history": [asdict(epoch) for epoch in trained_model.cold.history],
                "segments": [_segment_json(row) for row in describe_segments(trained_model)],
            }
        )
    else:
        _print(model, manifest, trained_model, segments)


def _segment_json(row: SegmentRow) -> dict[str, Any]:
    top = [{"item_id": item.item_id, "title": item.title, "share": round(item.share, 4)} for item in row.top]
    return {"segment": row.number, "users": row.n_users, "spread": round(row.spread, 4), "top_items": top}


def _print(path: Path, manifest: dict[str, Any], model: TrainedModel, n_segments: int) -> None:
    """Print facts from the model card, the selection of `auto`, and the largest segments."""
    title, sections = make_card(model, manifest)
    typer.echo(f"{title}, version {manifest['version']}, {manifest['created_at']}, firstday {manifest['firstday']}")
    facts = next(block for block in sections["Summary"] if isinstance(block, tuple))
    print_table(Table("", [{"Summary": name, "": text} for name, text in facts[1:]], words=("Summary", "")))
    others = [f"{other.version} ({other.created_at})" for other in list_versions(path) if not other.in_place]
    if others:
        typer.echo(f"Versions for firstday rollback: {', '.join(others)}")
    if model.learned["auto"].classes:
        print_quality(model)
    for sentence in describe_default(model):
        typer.echo(sentence)
    largest = describe_segments(model, n_segments=n_segments)
    likes = "most used items (share of the segment's users)"
    rows = [
        {
            "segment": str(row.number),
            "users": f"{row.n_users:,}",
            "spread": f"{row.spread:.2f}",
            likes: ", ".join(f"{item.name} ({item.share:.0%})" for item in row.top),
        }
        for row in largest
    ]
    typer.echo(f"{len(largest)} of {len(model.segments):,} segments, largest first:")
    print_table(Table("", rows, words=(likes,)))
    typer.echo("Spread: mean squared distance of a segment's users to its centroid; vectors have length 1.")
