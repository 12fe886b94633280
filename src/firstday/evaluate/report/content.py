"""What a report says, the same for HTML and Markdown: values that the templates lay out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import firstday
from firstday.artifact.model import TrainedModel
from firstday.cold.model import Epoch
from firstday.config import Config
from firstday.evaluate.finding import find_main
from firstday.evaluate.groups import MIN_USERS
from firstday.evaluate.paper_table import Comparison
from firstday.evaluate.plots import SIZE_NAMES, by_precision, drawn_by_size, used_sizes
from firstday.evaluate.report.pictures import MOST_GROUPS
from firstday.evaluate.report.protocol_text import explain_protocol
from firstday.evaluate.report.segment_summary import summarise_segments
from firstday.evaluate.report.settings_text import to_toml
from firstday.evaluate.results import REFERENCE, Results, Row, mean_fit_seconds
from firstday.evaluate.segment_rows import SegmentRow, describe_segments
from firstday.recommend.strategies import STRATEGIES


@dataclass(frozen=True)
class WorkedExample:
    """One new user, from profile to list, in words.

    Parameters
    ----------
    profile
        Who it is.
    liked
        What they used on day one.
    segment, segment_size
        The predicted segment, and how many warm users it has.
    segment_likes
        What its users use most.
    items
        The list, best first.
    """

    profile: str
    liked: tuple[str, ...]
    segment: int
    segment_size: int
    segment_likes: tuple[str, ...]
    items: tuple[str, ...]


def gather_evaluation(
    results: Results,
    *,
    dataset_summary: Mapping[str, Any],
    config: Config,
    history: Sequence[Epoch] = (),
    segments: Sequence[SegmentRow] = (),
    example: WorkedExample | None = None,
    command: str | None = None,
    comparisons: Sequence[Comparison] = (),
) -> dict[str, Any]:
    """Return what the report of an evaluation says; see `write_report`."""
    rows, found = by_precision(results), results.breakdown
    first = f"the run with seed {results.seeds[0]}"
    return {
        "results": results,
        "rows": rows,
        "reading": [f"{row.strategy} {row.metrics['precision'].mean:.1f} %" for row in rows],
        "reference": REFERENCE if any(row.strategy == REFERENCE for row in rows) else None,
        "finding": find_main(results),
        "protocol": explain_protocol(results.protocol, config),
        "convention": "hits / min(K, relevant items)" if results.divide_by == "min" else "hits / K",
        "about": _about(rows),
        "tunings": _tunings(results),
        "sizes": used_sizes(results),
        "n_drawn": len(drawn_by_size(results)),
        "size_names": SIZE_NAMES,
        "counts": {size: n for row in rows for size, n in row.n_by_day_one_size.items()},
        "groups": None if found is None else found.groups,
        "min_users": MIN_USERS,
        "most_groups": MOST_GROUPS,
        "popularity": None if found is None else found.popularity,
        "history": tuple(history) or (() if found is None else found.history),
        "history_of": "the model that is kept" if history else first,
        "stopped_by": config.cold_model.stopped_by,
        "segments": summarise_segments(segments or (() if found is None else found.segments)),
        "segments_of": "the model that is kept" if segments else first,
        "k": results.k,
        "dataset": results.dataset,
        "summary": dataset_summary,
        "example": example,
        "settings": to_toml(config),
        "version": firstday.__version__,
        "command": command,
        "comparisons": comparisons,
    }


def gather_model(model: TrainedModel, manifest: Mapping[str, Any], command: str | None = None) -> dict[str, Any]:
    """Return what the report of a model says; see `write_model_report`."""
    return {
        "manifest": manifest,
        "metrics": manifest["metrics"],
        "features": manifest["features"],
        "dimensions": model.encoder.dimensions,
        "method": model.config.embedding.method,
        "history": model.cold.history,
        "history_of": "this model",
        "stopped_by": model.config.cold_model.stopped_by,
        "segments": summarise_segments(describe_segments(model)),
        "segments_of": "this model",
        "k": manifest["metrics"]["k"],
        "dataset": manifest["data"]["dataset"],
        "summary": manifest["data"],
        "settings": to_toml(model.config),
        "version": manifest["firstday"],
        "command": command,
    }


def _about(rows: Sequence[Row]) -> dict[str, str]:
    """Return what each strategy does, in the first line of its own documentation."""
    texts = {row.strategy: STRATEGIES[row.strategy].__doc__ for row in rows if row.strategy in STRATEGIES}
    return {name: text.strip().splitlines()[0] for name, text in texts.items() if text}


def _tunings(results: Results) -> list[dict[str, Any]]:
    """Return how each tuned peer was tuned, in words."""
    found = []
    for name, tunings in results.tunings.items():
        if not tunings[0].grid:  # as published, nothing was tried
            continue
        chosen = [", ".join(f"{option} {value}" for option, value in tuning.options.items()) for tuning in tunings]
        found.append(
            {
                "name": name,
                "n_tried": math.prod(len(values) for values in tunings[0].grid.values()),
                "fit_seconds": mean_fit_seconds(tunings),
                "chosen": list(dict.fromkeys(chosen)),
            }
        )
    return found
