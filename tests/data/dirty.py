"""What a dirty folder of tables is: how it is written, and the sentences that every command must say about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Dirty:
    """A folder of tables with faults.

    Parameters
    ----------
    name
        What is wrong with it.
    write
        Writes the files into an empty folder.
    sentences
        Every fault's whole sentence, in any order. The same from `check` and `train`, on every engine.
    """

    name: str
    write: Callable[[Path], None]
    sentences: tuple[str, ...]
