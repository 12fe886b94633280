"""Files, written in one step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which then replaces a file atomically: a reader gets the old file or the new one."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.resolve().parent) as staging:
        staged = Path(staging) / path.name
        yield staged
        staged.replace(path)


def write_file(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replaced(path) as staged:
        staged.write_text(text, encoding="utf-8", newline="\n")
