"""Files that commands write: refused before the work if they cannot be written, and written in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from firstday.errors import ConfigError


def check_file_target(path: Path) -> None:
    """Refuse a place where no file can be written.

    Raises
    ------
    ConfigError
        The path is a folder, or its folder does not exist or may not be written to.
    """
    folder = path.resolve().parent
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; give the name of a file.")
    if not folder.is_dir():
        raise ConfigError(f"{path}: its folder does not exist; make {folder} first.")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{path}: its folder may not be written to; choose another place.")


def write_file(path: Path, text: str) -> None:
    """Write a text file: whoever reads it sees the old text or the new one."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.resolve().parent) as staging:
        staged = Path(staging) / path.name
        staged.write_text(text, encoding="utf-8")
        staged.replace(path)
