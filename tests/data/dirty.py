"""What a dirty folder of tables is: how it is written, and the sentences that every command must print for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def without_cause(fault: str) -> str:
    """A sentence without what the installed Polars says of a damaged file."""
    return re.sub(r"\(parquet: .*?\);", "();", fault)


SENTENCES: dict[str, list[str]] = json.loads(Path(__file__).with_name("dirty_sentences.json").read_text("utf-8"))
"""The sentences of each dirty folder, sorted; the golden file of messages about tables."""


@dataclass(frozen=True)
class Dirty:
    """A folder of tables with faults, or with values that are understood and noted.

    Parameters
    ----------
    name
        What is wrong with it.
    write
        Writes the files into an empty folder.
    """

    name: str
    write: Callable[[Path], None]

    @property
    def sentences(self) -> list[str]:
        """Every whole sentence, the same from `check` and `train`, on every engine."""
        return SENTENCES[self.name]
