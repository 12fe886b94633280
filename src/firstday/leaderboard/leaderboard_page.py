"""The leaderboard as one HTML page that opens offline, whose columns sort."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import firstday
from firstday.evaluation.report.render import check_report_path, fill_template, write_page
from firstday.evaluation.results import UNKNOWN_VECTORS
from firstday.evaluation.slices import REFERENCE
from firstday.evaluation.tables import write_signed
from firstday.leaderboard.standings import Leaderboard, Row, Standings, write_multiple, write_split


@dataclass(frozen=True)
class Cell:
    """A cell of the table: what is shown, what stands below it in small, and by what the column sorts."""

    text: str
    below: str = ""
    value: float = 0.0


def list_columns(standings: Standings) -> tuple[str, ...]:
    """Return the headings of the columns after the method's name."""
    k = standings.k
    by_size = (f"P: {size} used" for size in standings.sizes)
    ends = ("own list, %", "items reached, %", "novelty, bits", f"fit / {REFERENCE}", f"answer / {REFERENCE}", "run")
    return (f"P@{k}", f"minus {REFERENCE}", f"R@{k}", f"NDCG@{k}", *by_size, *ends)


def list_cells(standings: Standings, row: Row) -> tuple[Cell, ...]:
    """Return the cells of a row, in the order of `list_columns`; times are those of `segment` in the same run."""
    return tuple(_make_cells(standings, row, *standings.compare_times(row)))


def _make_cells(standings: Standings, row: Row, fit: float, answer: float | None) -> Iterator[Cell]:
    low, high = row.precision_ci
    yield Cell(f"{row.precision:.1f}", f"{low:.1f} to {high:.1f}", row.precision)
    if row.minus_segment is None or row.minus_segment_ci is None:
        yield Cell("\N{EN DASH}", "itself")
    else:
        ends = " to ".join(write_signed(end) for end in row.minus_segment_ci)
        yield Cell(write_signed(row.minus_segment), ends, row.minus_segment)
    sizes = [row.by_day_one_size.get(size) or 0.0 for size in standings.sizes]
    for value in (row.recall, row.ndcg, *sizes, row.user_coverage, row.catalogue_coverage):
        yield Cell(f"{value:.1f}", value=value)
    yield Cell(f"{row.novelty_bits:.2f}", value=row.novelty_bits)
    yield Cell(write_multiple(fit), f"{row.fit_seconds:.2f} s", fit)
    below = "" if row.ms_per_user is None else f"{row.ms_per_user:.2g} ms"
    yield Cell(write_multiple(answer), below, answer or 0.0)
    yield Cell(str(row.run + 1), value=row.run)


def write_leaderboard(board: Leaderboard, path: Path) -> None:
    """Write the page.

    Raises
    ------
    MissingExtraError
        Jinja2 or Matplotlib is not installed.
    ConfigError
        The file cannot be written, or has another ending.
    """
    check_report_path(path)
    script = (resources.files("firstday.leaderboard") / "templates" / "sort.js").read_text(encoding="utf-8")
    tables = {
        name: {
            "standings": standings,
            "split": write_split(standings.split),
            "columns": list_columns(standings),
            "rows": [(row, list_cells(standings, row)) for row in standings.best_first],
            "options": [row for row in standings.best_first if row.options is not None],
        }
        for name, standings in board.sets.items()
    }
    content = {
        "tables": tables,
        "reference": REFERENCE,
        "unknown_vectors": UNKNOWN_VECTORS,
        "version": firstday.__version__,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    write_page(path, fill_template("leaderboard.html", content, {"script": script}, package="firstday.leaderboard"))
