"""What is wrong with tables and what was decided while reading them: counted over batches, added up over parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from firstday.errors import count_of

Position = tuple[int, int]
"""The place of a row among all rows of its table: the number of its file, and its row there, from 0."""


@dataclass(frozen=True)
class SourceFile:
    """A file, or a frame in memory, that rows come from.

    Parameters
    ----------
    name
        As seen from the folder of tables; "" for a frame.
    line_of
        Returns the line of a row of a text file, from 1, both counted from the file's start; None where rows are
        counted instead.
    number
        Its number among the files of its table.
    """

    name: str = ""
    line_of: Callable[[int], int] | None = None
    number: int = 0

    def describe(self, row: int) -> str:
        """Name the place of a row, such as ``users.csv line 17``."""
        unit, number = ("row", row + 1) if self.line_of is None else ("line", self.line_of(row))
        return f"{self.name} {unit} {number:,}".strip()


@dataclass(frozen=True, eq=False)
class Place:
    """Where the rows of a batch stand.

    Parameters
    ----------
    files
        The files that they come from.
    file
        Integers, shape (n_rows,): which of `files` each row is from.
    row
        int64, shape (n_rows,): each row's number in its file, from 0.
    """

    files: tuple[SourceFile, ...]
    file: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, source: SourceFile, rows: np.ndarray) -> Place:
        """Make the place of rows of one file."""
        return cls((source,), np.zeros(len(rows), dtype=np.int32), np.asarray(rows, dtype=np.int64))

    @classmethod
    def concat(cls, places: Sequence[Place]) -> Place:
        """Put the rows of several batches under each other."""
        if len(places) == 1:
            return places[0]
        starts = np.cumsum([0, *(len(place.files) for place in places[:-1])])
        return cls(
            tuple(source for place in places for source in place.files),
            np.concatenate([place.file + start for place, start in zip(places, starts, strict=True)]),
            np.concatenate([place.row for place in places]),
        )

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: np.ndarray) -> Place:
        """Return the places of some rows, given by their numbers or a mask."""
        return Place(self.files, self.file[rows], self.row[rows])

    def position(self, index: int) -> Position:
        """Return the place of one row for comparing."""
        return self.files[self.file[index]].number, int(self.row[index])

    def describe(self, index: int) -> str:
        """Name the place of one row."""
        source: SourceFile = self.files[self.file[index]]
        return source.describe(int(self.row[index]))


@dataclass
class RowFault:
    """Bad rows of one kind.

    Parameters
    ----------
    where, finding, noun, advice
        See `Findings.rows`.
    n_bad, n_rows
        How many rows are bad, of how many.
    position
        The place of the first one, for comparing.
    first
        What the sentence shows of it: the value, the place, or both.
    """

    where: str
    finding: str
    noun: str
    advice: str = ""
    n_bad: int = 0
    n_rows: int = 0
    position: tuple[Any, ...] = ()
    first: str = ""

    def add(self, other: RowFault) -> None:
        """Add the rows of another batch or part."""
        if other.n_bad and (not self.n_bad or other.position < self.position):
            self.position, self.first, self.advice = other.position, other.first, other.advice
        self.n_bad += other.n_bad
        self.n_rows += other.n_rows

    def counted(self) -> str:
        """Return "users.age: 3 of 900 rows are not numbers (first: 'x', users.csv line 7)"."""
        return f"{self.where}: {count_of(self.n_bad, self.n_rows, self.noun)} {self.finding} (first: {self.first})"

    def __str__(self) -> str:
        return f"{self.counted()}; {self.advice}."

    @property
    def table(self) -> str:
        """The table that it was found in."""
        return self.where.partition(".")[0]


@dataclass
class RowNote:
    """Rows that something was decided of: how many, of how many, and the first one."""

    n: int = 0
    n_rows: int = 0
    first: str | None = None

    def add(self, other: RowNote) -> None:
        """Add the rows of another batch or part."""
        self.n += other.n
        self.n_rows += other.n_rows
        self.first = min((text for text in (self.first, other.first) if text is not None), default=None)


@dataclass
class Findings:
    """Collects faults and notes, each a sentence; a sentence that several batches repeat appears once.

    Everything in it can be pickled, and the findings of parts of the tables can be merged, in any order.

    Parameters
    ----------
    drop
        Whether bad rows are left out and kept in `left_out`, or faults.
    forgiven
        Columns whose bad values are taken as unknown: a note each, and no fault.
    """

    drop: bool = False
    forgiven: frozenset[str] = frozenset()
    sentences: dict[str, None] = field(default_factory=dict)
    row_faults: dict[tuple[str, str], RowFault] = field(default_factory=dict)
    note_sentences: dict[str, None] = field(default_factory=dict)
    row_notes: dict[tuple[str, str, str], RowNote] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    n_left_out: dict[str, int] = field(default_factory=dict)
    n_read: dict[str, int] = field(default_factory=dict)
    _place: Place | None = None
    _reasons: list[tuple[str, np.ndarray]] = field(default_factory=list)

    @property
    def faults(self) -> tuple[str, ...]:
        """A sentence for each fault, in the order of the checks; none for rows that are left out."""
        rows = [fault for fault in self.row_faults.values() if self._counts(fault)]
        return (*self.sentences, *(str(fault) for fault in rows if not self.drop or fault.noun != "rows"))

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing that was ignored or decided."""
        row_notes = [
            f"{where}: {count_of(note.n, note.n_rows, noun)} {text.format(first=note.first)}."
            for (where, text, noun), note in self.row_notes.items()
            if note.n
        ]
        forgiven = [
            f"{fault.counted()}; taken as unknown."
            for fault in self.row_faults.values()
            if fault.n_bad and fault.where in self.forgiven
        ]
        return (*self.note_sentences, *row_notes, *forgiven)

    def _counts(self, fault: RowFault) -> bool:
        return bool(fault.n_bad) and fault.where not in self.forgiven

    def fault(self, sentence: str) -> None:
        """Add a fault."""
        self.sentences[sentence] = None

    def note(self, sentence: str) -> None:
        """Add a note."""
        self.note_sentences[sentence] = None

    def note_rows(
        self, where: str, n: int, n_rows: int, text: str, *, noun: str = "rows", first: str | None = None
    ) -> None:
        """Note "WHERE: 37 of 9,120 rows TEXT.", counted over batches; nothing where there are none.

        Parameters
        ----------
        where, n, n_rows, noun
            Table and column, and how many of what.
        text
            What is said of them; ``{first}`` in it stands for the first one.
        first
            The first one as text: the least of all batches is told.
        """
        note = self.row_notes.setdefault((where, text, noun), RowNote())
        note.add(RowNote(n, n_rows, first))

    def at(self, place: Place | None) -> None:
        """Say where the rows stand that are checked next, and forget which of the rows before were bad."""
        self._place, self._reasons = place, []

    def rows(
        self, where: str, bad: pl.Series, finding: str, first: pl.Series | None, advice: str, *, noun: str = "rows"
    ) -> None:
        """Count bad rows, added up over batches.

        Parameters
        ----------
        where
            Table and column.
        bad
            Boolean, one for each row; null counts as false.
        finding
            What is wrong with the rows, such as ``"name unknown items"``.
        first
            The value to show for each row; None shows the place of the first bad row alone.
        advice
            What to do.
        noun
            What is counted.
        """
        fault = self.row_faults.setdefault((where, finding), RowFault(where, finding, noun))
        mask = bad.fill_null(value=False).to_numpy()
        n = int(mask.sum())
        batch = RowFault(where, finding, noun, advice, n, len(mask))
        if n:
            index = int(mask.argmax())
            place = self._place if noun == "rows" else None
            shown = [] if first is None else [repr(first[index])]
            if place is not None:
                batch.position = place.position(index)
                shown.append(place.describe(index))
            elif first is None:
                shown.append(f"row {fault.n_rows + index + 1:,}")
                batch.position = (fault.n_rows + index,)
            else:  # rows without a place, such as those of a Spark frame: the least value is the first
                batch.position = (shown[0],)
                shown[0] = min(repr(value) for value in first.filter(pl.Series(mask)).to_list())
                batch.position = (shown[0],)
            batch.first = ", ".join(shown)
            if noun == "rows" and where not in self.forgiven:
                self._reasons.append((f"{where} {finding}", mask))
        fault.add(batch)

    def leave_out(self, table: str, frame: pl.DataFrame) -> np.ndarray | None:
        """Keep a record of the bad rows of the batch in hand, where bad rows may be left out.

        Parameters
        ----------
        table
            The table.
        frame
            The batch as it was read.

        Returns
        -------
        numpy.ndarray
            bool, shape (n_rows,), which rows to keep; None: all of them.
        """
        if not self.drop:
            return None
        self.n_read[table] = self.n_read.get(table, 0) + frame.height
        if not self._reasons:
            return None
        bad = np.logical_or.reduce([mask for _, mask in self._reasons])
        self.n_left_out[table] = self.n_left_out.get(table, 0) + int(bad.sum())
        rows = np.flatnonzero(bad)
        for index, values in zip(rows.tolist(), frame[rows].iter_rows(named=True), strict=True):
            reasons = [reason for reason, mask in self._reasons if mask[index]]
            place = "" if self._place is None else self._place.describe(index)
            record = {"table": table, "place": place, "reasons": reasons, "row": values}
            self.left_out.append(json.dumps(record, ensure_ascii=False, default=str))
        keep: np.ndarray = ~bad
        return keep

    def leave_out_unread(self, table: str, place: str, reason: str, row: str) -> None:
        """Record a row that could not even be read, such as a line with a field too many."""
        self.n_read[table] = self.n_read.get(table, 0) + 1
        self.n_left_out[table] = self.n_left_out.get(table, 0) + 1
        record = {"table": table, "place": place, "reasons": [reason], "row": row}
        self.left_out.append(json.dumps(record, ensure_ascii=False))

    def settle(self, share: float) -> None:
        """Judge the rows that were left out: up to a share of each table is a note, more is a fault.

        Parameters
        ----------
        share
            From 0 to 1.
        """
        for table, n in self.n_left_out.items():
            n_read = self.n_read[table]
            faults = [fault for fault in self.row_faults.values() if fault.table == table and self._counts(fault)]
            faults = [fault for fault in faults if fault.noun == "rows"]
            if n > share * n_read:
                for fault in faults:
                    self.fault(str(fault))
                self.fault(
                    f"{table}: {count_of(n, n_read, 'rows')} are bad ({n / n_read:.1%}), more than the "
                    f"{share:.2%} that may be left out; correct them, or allow more (--drop-bad-rows)."
                )
                continue
            for fault in faults:
                self.note(f"{fault.counted()}; left out.")
            self.note(f"{table}: {count_of(n, n_read, 'rows')} were left out ({n / n_read:.2%}).")

    def merge(self, others: Iterable[Findings]) -> None:
        """Add the findings of other parts of the tables."""
        for other in others:
            self.sentences |= other.sentences
            self.note_sentences |= other.note_sentences
            for key, fault in other.row_faults.items():
                self.row_faults.setdefault(key, RowFault(fault.where, fault.finding, fault.noun)).add(fault)
            for name, note in other.row_notes.items():
                self.row_notes.setdefault(name, RowNote()).add(note)
            self.left_out += other.left_out
            for table, n in other.n_left_out.items():
                self.n_left_out[table] = self.n_left_out.get(table, 0) + n
            for table, n in other.n_read.items():
                self.n_read[table] = self.n_read.get(table, 0) + n
