"""Findings: what is wrong with tables, counted while they are read batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from firstday.errors import count_of


@dataclass
class _RowFault:
    """Bad rows of one kind, counted over batches."""

    where: str
    found: str
    noun: str
    n_bad: int = 0
    n_rows: int = 0
    first: str = ""
    advice: str = ""

    def __str__(self) -> str:
        counted = count_of(self.n_bad, self.n_rows, self.noun)
        return f"{self.where}: {counted} {self.found} (first: {self.first}); {self.advice}."


class Findings:
    """What was found wrong (`faults`) or decided (`notes`), each a sentence; what batches repeat is said once."""

    def __init__(self) -> None:
        self._faults: dict[object, str | _RowFault] = {}
        self._notes: dict[str, None] = {}
        self._counted: dict[tuple[str, str], list[int]] = {}

    @property
    def faults(self) -> tuple[str, ...]:
        """A sentence for each fault, in the order in which they were looked for."""
        return tuple(str(fault) for fault in self._faults.values() if isinstance(fault, str) or fault.n_bad)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing that was ignored or decided."""
        counted = [
            f"{where}: {count_of(n, n_rows, 'rows')} {text}."
            for (where, text), (n, n_rows) in self._counted.items()
            if n
        ]
        return (*self._notes, *counted)

    def fault(self, sentence: str) -> None:
        """Add a fault."""
        self._faults[sentence] = sentence

    def note(self, sentence: str) -> None:
        """Add a note."""
        self._notes[sentence] = None

    def note_rows(self, where: str, n: int, n_rows: int, text: str) -> None:
        """Note "WHERE: 37 of 9,120 rows TEXT.", counted over batches; nothing where there are none."""
        counted = self._counted.setdefault((where, text), [0, 0])
        counted[0] += n
        counted[1] += n_rows

    def rows(
        self, where: str, bad: pl.Series, found: str, first: pl.Series | None, advice: str, *, noun: str = "rows"
    ) -> None:
        """Count bad rows; those of later batches are added to those of earlier ones.

        Parameters
        ----------
        where
            Table and column.
        bad
            Boolean, one for each row; null counts as false.
        found
            What bad rows do, such as ``"name unknown items"``.
        first
            What to show of the first bad row; None shows its row number, from 1.
        advice
            What to do.
        noun
            What is counted.
        """
        fault = self._faults.setdefault((where, found), _RowFault(where, found, noun))
        assert isinstance(fault, _RowFault)
        n = int(bad.sum() or 0)
        if n and not fault.n_bad:
            row = bad.fill_null(value=False).arg_max()
            assert row is not None
            fault.first = f"row {fault.n_rows + row + 1:,}" if first is None else repr(first[row])
            fault.advice = advice
        fault.n_bad += n
        fault.n_rows += len(bad)
