"""Text files, written in one step."""

from __future__ import annotations

import tempfile
from pathlib import Path


def write_file(path: Path, text: str) -> None:
    """Write a text file atomically: a reader gets the old text or the new one."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.resolve().parent) as staging:
        staged = Path(staging) / path.name
        staged.write_text(text, encoding="utf-8", newline="\n")
        staged.replace(path)
