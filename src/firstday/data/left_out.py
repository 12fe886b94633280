"""The file of dropped bad rows, next to the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from firstday.files import write_file
from firstday.tables.find import split_ending


def left_out_path(result: Path) -> Path:
    """Return the path of the file of dropped rows: ``lists.left-out.jsonl`` for ``lists.parquet``."""
    whole = result.resolve()
    return whole.with_name(f"{split_ending(whole.name)[0].removesuffix('.json')}.left-out.jsonl")


def write_left_out(path: Path, lines: Sequence[str]) -> None:
    """Write dropped rows atomically, one line of JSON each; without any, delete the file of an earlier run."""
    if not lines:
        path.unlink(missing_ok=True)
        return
    write_file(path, "".join(f"{line}\n" for line in lines))
