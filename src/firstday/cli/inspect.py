"""firstday inspect: print the contents of a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from firstday.cli.options import JsonFlag, ModelArgument, PluginOption, load_plugins, print_json
from firstday.cli.printing import print_table
from firstday.evaluation.text_table import Table
from firstday.model.folder import list_versions, read_manifest
from firstday.model.trained_model import TrainedModel
from firstday.recommend.model_card import describe_manifest, describe_quality, describe_selection
from firstday.recommend.recommender import open_model
from firstday.recommend.segment_description import SegmentRow, describe_segments

PLACE = 11  # in firstday --help


def inspect(
    model: ModelArgument,
    segments: Annotated[int, typer.Option(min=1, help="Number of segments to show, largest first.")] = 20,
    as_json: JsonFlag = False,
    plugin: PluginOption = None,
    knows: Annotated[str | None, typer.Option(help="Id of a user: only print whether the model stores it.")] = None,
) -> None:
    """Show a MODEL's data, features, versions, quality, and segments with size and top items.

    Example: firstday inspect model --segments 5

    Example: firstday inspect model --knows u81
    """
    load_plugins(plugin)
    manifest = read_manifest(model)
    trained_model = open_model(model).model
    if knows is not None:
        stored = trained_model.warm
        typer.echo("yes" if stored is not None and stored.ids.index_of(knows) >= 0 else "no")
        return
    versions = list_versions(model)
    if as_json:
        facts = {name: value for name, value in manifest.items() if name not in ("files", "model")}
        print_json(
            {
                **facts,
                "versions": [asdict(version) for version in versions],
                "blending": asdict(trained_model.learned["blend"]),
                "selection": describe_selection(trained_model),
                "history": [asdict(epoch) for epoch in trained_model.cold.history],
                "segments": [_segment_json(row) for row in describe_segments(trained_model)],
            }
        )
        return
    for title, value in describe_manifest(manifest):
        typer.echo(f"{title}: {value}")
    others = [f"{other.version} ({other.created_at})" for other in versions if not other.in_place]
    if others:
        typer.echo(f"Versions for firstday rollback: {', '.join(others)}")
    for sentence in describe_quality(trained_model):
        typer.echo(sentence)
    _print_segments(trained_model, segments)


def _segment_json(row: SegmentRow) -> dict[str, Any]:
    top = [{"item_id": item.item_id, "title": item.title, "share": round(item.share, 4)} for item in row.top]
    return {"segment": row.number, "users": row.n_users, "spread": round(row.spread, 4), "top_items": top}


def _print_segments(model: TrainedModel, n_segments: int) -> None:
    """Print the largest segments."""
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
