"""firstday inspect: what is in a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from firstday.artifact.files import load_model, read_manifest
from firstday.artifact.model import TrainedModel
from firstday.cli.options import JsonFlag, ModelArgument

BARS = "▁▂▃▄▅▆▇█"


def inspect(
    model: ModelArgument,
    segments: Annotated[int, typer.Option(min=1, help="How many segments to show, largest first.")] = 20,
    items: Annotated[int, typer.Option(min=1, help="How many top items of each.")] = 5,
    as_json: JsonFlag = False,
) -> None:
    """Show a MODEL's data, features, training curve and segments with size and top items.

    Example: firstday inspect model --segments 5
    """
    manifest, opened = read_manifest(model), load_model(model)
    if as_json:
        kept = {name: value for name, value in manifest.items() if name not in ("files", "catalogue")}
        rows = _rows(opened, len(opened.segments), items)
        typer.echo(json.dumps({**kept, "segments": rows}, ensure_ascii=False, indent=1))
        return
    _print(model, manifest, opened, segments, items)


def _rows(model: TrainedModel, n_segments: int, n_items: int) -> list[dict[str, Any]]:
    """Describe segments, largest first."""
    segments, catalogue = model.segments, model.catalogue
    largest = np.argsort(-segments.items.sizes, kind="stable")[:n_segments].tolist()
    return [
        {
            "segment": segment,
            "users": int(segments.items.sizes[segment]),
            "spread": round(float(segments.spread[segment]), 4),
            "top_items": [
                {"item_id": catalogue.items[ix], "title": catalogue.title_of(ix), "share": round(float(share), 4)}
                for ix, share in zip(
                    segments.top_items[segment, :n_items].tolist(),
                    segments.top_shares[segment, :n_items].tolist(),
                    strict=True,
                )
                if ix >= 0
            ],
        }
        for segment in largest
    ]


def _print(path: Path, manifest: dict[str, Any], model: TrainedModel, n_segments: int, n_items: int) -> None:
    """Print the model for people."""
    console = Console(highlight=False)
    data, metrics, features = manifest["data"], manifest["metrics"], manifest["features"]
    precision = ", ".join(f"{name} {value:.1f} %" for name, value in metrics["precision"].items())
    curve = [epoch.precision or 0.0 for epoch in model.cold.history]
    lines = [
        f"{path}: firstday {manifest['firstday']}, version {manifest['version']}, {manifest['created_at']}",
        f"data: {data['dataset']}, {data['warm_users']:,} warm users, {data['items']:,} items, "
        f"{data['interactions']:,} interactions",
        f"embedding: {manifest['config']['embedding']['method']}, {model.encoder.dimensions} numbers",
        f"features: {features['n_inputs']:,} inputs; blocks: {', '.join(features['blocks'])}",
        f"P@{metrics['k']} on {data['validation_users']:,} validation users: {precision}",
        f"training: {len(curve)} epochs, validation P@{metrics['k']} {_sparkline(curve)} "
        f"{curve[0]:.1f} to {max(curve):.1f} %",
    ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    shown = min(n_segments, len(model.segments))
    console.print(f"{shown} of {len(model.segments):,} segments, largest first:", markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("segment", "users", "spread"):
        table.add_column(name, justify="right")
    table.add_column("most used items (share of the segment's users)")
    for row in _rows(model, n_segments, n_items):
        items = ", ".join(f"{item['title'] or item['item_id']} ({item['share']:.0%})" for item in row["top_items"])
        table.add_row(str(row["segment"]), f"{row['users']:,}", f"{row['spread']:.2f}", items.replace("[", r"\["))
    console.print(table)
    console.print("Spread: mean squared distance of a segment's users to its centroid; vectors have length 1.")


def _sparkline(values: list[float]) -> str:
    """Draw numbers as a line of small bars."""
    low, high = min(values), max(values)
    return "".join(BARS[int((len(BARS) - 1) * (value - low) / (high - low or 1))] for value in values)
