"""What is wrong with tables and what was decided while reading them: counted over batches, added up over parts."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import polars as pl

from firstday.errors import ConfigError, count_of

Position = tuple[int, int]
"""The place of a row among all rows of its table: the number of its file, and its row there, from 0."""
MAX_LISTED = 100_000
"""Rows of one table that are listed one by one where they are left out; further ones are counted."""
TOLERANCE = 1e-9
"""Shares are compared with this tolerance, since 0.29 x 100 is a little less than 29."""


NOWHERE = -1
"""The number of a file that is none: rows of a frame that another machine holds."""


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
        Its number among the files of its table; `NOWHERE` for rows whose place is not known.
    """

    name: str = ""
    line_of: Callable[[int], int] | None = None
    number: int = 0

    def describe(self, row: int) -> str:
        """Name the place of a row, such as ``users.csv line 17``; "" where it is not known."""
        if self.number == NOWHERE:
            return ""
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
        return self.source(index).number, int(self.row[index])

    def source(self, index: int) -> SourceFile:
        """Return the file of one row."""
        return self.files[int(self.file[index])]


def table_of(where: str) -> str:
    """Return the table of a place such as ``users.age``."""
    return where.partition(".")[0]


@dataclass
class RowFault:
    """Bad rows of one kind.

    Parameters
    ----------
    where, finding, noun, advice, excuse
        See `Findings.rows`.
    elsewhere
        How another table writes the same ids, and what to do then; see `Findings.rows`.
    n_bad, n_rows, n_alike
        How many rows are bad, of how many; how many of them are known elsewhere, but for the way of writing.
    position
        The place of the first one, for comparing.
    value, source, row
        What the sentence shows of the first one: its value, and where it stands.
    """

    where: str
    finding: str
    noun: str
    advice: str = ""
    excuse: str = ""
    elsewhere: str = ""
    n_bad: int = 0
    n_rows: int = 0
    n_alike: int = 0
    position: tuple[Any, ...] = ()
    value: str = ""
    source: SourceFile | None = None
    row: int = 0

    def add(self, other: RowFault) -> None:
        """Add the rows of another batch or part."""
        if other.n_bad and (not self.n_bad or other.position < self.position):
            self.position, self.value, self.source, self.row = other.position, other.value, other.source, other.row
            self.advice, self.elsewhere = other.advice, other.elsewhere
        self.excuse = other.excuse
        self.n_bad += other.n_bad
        self.n_rows += other.n_rows
        self.n_alike += other.n_alike

    @property
    def first(self) -> str:
        """What the sentence shows of the first row: the value, the place, or both."""
        place = "" if self.source is None else self.source.describe(self.row)
        return ", ".join(filter(None, (self.value, place)))

    @property
    def is_writing(self) -> bool:
        """Whether the tables write the same ids in two ways, or may do so: most ids are unknown."""
        return bool(self.elsewhere) and (2 * self.n_alike > self.n_bad or 2 * self.n_bad > self.n_rows)

    def counted(self) -> str:
        """Return "users.age: 3 of 900 rows are not numbers (first: 'x', users.csv line 7)"."""
        counted = f"{self.where}: {count_of(self.n_bad, self.n_rows, self.noun)} {self.finding}"
        shown = f"{self.first}; {self.elsewhere}" if self.is_writing else self.first
        return f"{counted} (first: {shown})" if shown else counted

    def __str__(self) -> str:
        advice = self.advice
        if self.is_writing:
            advice = "write ids in the same way in both"
            advice = advice if 2 * self.n_alike > self.n_bad else f"{advice}, {self.advice}"
        return f"{self.counted()}; {advice}."

    @property
    def table(self) -> str:
        """The table that it was found in."""
        return table_of(self.where)


@dataclass(frozen=True)
class LeftOutRow:
    """A bad row that was left out.

    Parameters
    ----------
    table
        Its table.
    reasons
        What is wrong with it, a few words each.
    content
        Its values as JSON.
    source, row
        Where it stands; None where that is not known, or known in words alone.
    place
        Where it stands, in words.
    """

    table: str
    reasons: tuple[str, ...]
    content: str
    source: SourceFile | None = None
    row: int = 0
    place: str = ""

    @property
    def position(self) -> tuple[int, int, str, str]:
        """Its place among those of its table that were left out."""
        return -1 if self.source is None else self.source.number, self.row, self.place, self.content

    def to_line(self) -> str:
        """Return the row as a line of JSON."""
        place = self.place if self.source is None else self.source.describe(self.row)
        facts = json.dumps({"table": self.table, "place": place, "reasons": self.reasons}, ensure_ascii=False)
        return f'{facts[:-1]}, "row": {self.content}}}'


@dataclass
class RowNote:
    """Rows that something was decided of: how many, of how many of what, and the first one."""

    n: int = 0
    n_rows: int = 0
    noun: str = "rows"
    first: str | None = None

    def add(self, other: RowNote) -> None:
        """Add the rows of another batch or part."""
        self.n += other.n
        self.n_rows += other.n_rows
        self.noun = other.noun
        self.first = min((text for text in (self.first, other.first) if text is not None), default=None)

    def sentence(self, where: str, text: str, n_in_table: int) -> str:
        """Return the note's sentence; not every batch was asked for each note."""
        total = max(self.n_rows, n_in_table) if self.noun == "rows" else self.n_rows
        shown = text if self.first is None else text.replace("{first}", self.first)
        return f"{where}: {count_of(self.n, total, self.noun)} {shown}."


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
    of_frames
        Whether the tables are data frames.
    """

    drop: bool = False
    forgiven: frozenset[str] = frozenset()
    of_frames: bool = False
    sentences: dict[str, None] = field(default_factory=dict)
    row_faults: dict[tuple[str, str], RowFault] = field(default_factory=dict)
    note_sentences: dict[str, None] = field(default_factory=dict)
    row_notes: dict[tuple[str, str], RowNote] = field(default_factory=dict)
    tallies: Counter[str] = field(default_factory=Counter)
    left_out_rows: list[LeftOutRow] = field(default_factory=list)
    n_rows: Counter[str] = field(default_factory=Counter)
    n_left_out: Counter[str] = field(default_factory=Counter)
    n_read: Counter[str] = field(default_factory=Counter)
    _place: Place | None = None
    _reasons: list[tuple[str, np.ndarray]] = field(default_factory=list)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: all but the rows of the batch in hand, which are many."""
        return {**self.__dict__, "_place": None, "_reasons": []}

    @property
    def faults(self) -> tuple[str, ...]:
        """A sentence for each fault, in the order of the checks; none for rows that are left out."""
        return (*self.sentences, *(str(fault) for fault in self._bad_rows() if self._counts(fault)))

    @property
    def hint(self) -> str:
        """Say how few rows are bad, where that is all and leaving out 1 % of them would do; else nothing."""
        bad = [fault for fault in self._bad_rows() if self._counts(fault)]
        if self.drop or self.sentences or not bad or not all(self._is_left_out(fault) for fault in bad):
            return ""
        n_bad = Counter[str]()
        for fault in bad:
            n_bad[fault.table] += fault.n_bad
        n_rows = {fault.table: fault.n_rows for fault in bad}
        if any(n > 0.01 * n_rows[table] for table, n in n_bad.items()):
            return ""
        counts = [
            f"{table}: {count_of(n, n_rows[table], 'rows')} ({_percent(n / n_rows[table])})"
            for table, n in n_bad.items()
        ]
        return f"{'; '.join(counts)}: --drop-bad-rows 1% leaves them out."

    @property
    def are_usable(self) -> bool:
        """Whether rows may still become a dataset: faults that a later batch may excuse do not count yet."""
        return not self.sentences and not any(
            self._counts(fault) and not fault.excuse for fault in self.row_faults.values()
        )

    def is_faulty(self, where: str) -> bool:
        """Tell whether a column has faults."""
        return any(sentence.startswith(f"{where}:") for sentence in self.sentences) or any(
            fault.where == where and self._counts(fault) for fault in self.row_faults.values()
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing that was ignored or decided."""
        row_notes = [
            note.sentence(where, text, self.n_rows[table_of(where)])
            for (where, text), note in self.row_notes.items()
            if note.n
        ]
        bad = self._bad_rows()
        forgiven = [f"{fault.counted()}; taken as unknown." for fault in bad if fault.where in self.forgiven]
        excused = [f"{fault.counted()}; read as the others are." for fault in bad if self._is_excused(fault)]
        return (*self.note_sentences, *row_notes, *excused, *forgiven)

    def _bad_rows(self) -> list[RowFault]:
        """Return the bad rows of each kind, of how many in the whole table; not every batch was asked for each kind."""
        return [
            replace(fault, n_rows=max(fault.n_rows, self.n_rows[fault.table])) if fault.noun != "items" else fault
            for fault in self.row_faults.values()
            if fault.n_bad
        ]

    def _is_excused(self, fault: RowFault) -> bool:
        return bool(fault.excuse) and self.row_notes.get((fault.where, fault.excuse), RowNote()).n > 0

    def _is_left_out(self, fault: RowFault) -> bool:
        return bool(fault.n_bad) and fault.noun == "rows" and fault.where not in self.forgiven

    def _counts(self, fault: RowFault) -> bool:
        if not fault.n_bad or fault.where in self.forgiven or self._is_excused(fault):
            return False
        return not (self.drop and self._is_left_out(fault))

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
            What is said of them; ``{first}`` in it stands for the first one, where `first` is given.
        first
            The first one as text: the least of all batches is told.
        """
        self.row_notes.setdefault((where, text), RowNote()).add(RowNote(n, n_rows, noun, first))

    def count(self, table: str, n_rows: int) -> None:
        """Count the rows of a table that are checked."""
        self.n_rows[table] += n_rows

    def at(self, place: Place | None) -> None:
        """Say where the rows stand that are checked next, and forget which of the rows before were bad."""
        self._place, self._reasons = place, []

    def rows(
        self,
        where: str,
        bad: pl.Series,
        finding: str,
        first: pl.Series | None,
        advice: str | Callable[[Any], str],
        *,
        noun: str = "rows",
        excuse: str = "",
        elsewhere: str = "",
        n_alike: int = 0,
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
            What to do, or a function that tells it from the first value.
        noun
            What is counted; only ``"rows"`` can be left out.
        excuse
            The text of a note of rows of the same column (`note_rows`): where there are any in the whole table, the
            bad rows are no fault.
        elsewhere
            How another table writes ids, such as ``"users has 1, 2, ..."``, for ids that are unknown there.
        n_alike
            How many of the bad rows' ids are known there, but for the way of writing.
        """
        fault = self.row_faults.setdefault((where, finding), RowFault(where, finding, noun))
        mask = bad.fill_null(value=False).to_numpy()
        n = int(mask.sum())
        batch = RowFault(where, finding, noun, "", excuse, elsewhere, n, len(mask), n_alike)
        if n:
            index, value = int(mask.argmax()), None
            if self._place is not None and len(self._place) == len(mask):
                batch.position, batch.source = self._place.position(index), self._place.source(index)
                batch.row = int(self._place.row[index])
                value = None if first is None else first[index]
            elif first is not None:  # rows without a place, such as those of a Spark frame: the least value is first
                value = min(first.filter(pl.Series(mask)).to_list(), key=repr)
                batch.position = (repr(value),)
            batch.value = "" if first is None else _show(value)
            batch.advice = advice if isinstance(advice, str) else advice(value)
            if self._is_left_out(batch):
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
        self.n_read[table] += frame.height
        if not self._reasons:
            return None
        bad = np.logical_or.reduce([mask for _, mask in self._reasons])
        n_listed = min(self.n_left_out[table], MAX_LISTED)
        self.n_left_out[table] += int(bad.sum())
        rows = np.flatnonzero(bad)[: MAX_LISTED - n_listed]
        for index, values in zip(rows.tolist(), frame[rows].iter_rows(named=True), strict=True):
            reasons = tuple(reason for reason, mask in self._reasons if mask[index])
            place = () if self._place is None else (self._place.source(index), int(self._place.row[index]))
            self.left_out_rows.append(LeftOutRow(table, reasons, _to_json(values), *place))
        keep: np.ndarray = ~bad
        return keep

    def leave_out_unread(self, table: str, place: str, reason: str, row: str) -> None:
        """Record a row that could not even be read, such as a line with a field too many."""
        self.n_read[table] += 1
        self.n_left_out[table] += 1
        if self.n_left_out[table] <= MAX_LISTED:
            self.left_out_rows.append(LeftOutRow(table, (reason,), _to_json(row), place=place))

    def join_left_out(self, table: str) -> None:
        """Make one record of two of the same row, which two parts found bad for reasons of their own.

        Of rows beyond `MAX_LISTED` no record is there to be compared; they count in each part.

        Parameters
        ----------
        table
            The table.
        """
        records: dict[tuple[Any, ...], dict[tuple[str, ...], list[LeftOutRow]]] = {}
        for row in self.left_out_rows:
            if row.table == table:
                records.setdefault(row.position, {}).setdefault(row.reasons, []).append(row)
        joined = []
        for same in records.values():
            for rows in zip_longest(*(same[reasons] for reasons in sorted(same, reverse=True))):
                present = [row for row in rows if row is not None]
                reasons = tuple(reason for row in present for reason in row.reasons)
                joined.append(replace(present[0], reasons=reasons))
                self.n_left_out[table] -= len(present) - 1
        self.left_out_rows = [*(row for row in self.left_out_rows if row.table != table), *joined]

    @property
    def left_out(self) -> tuple[str, ...]:
        """A line of JSON for each row that was left out, by table and place; further ones than `MAX_LISTED` counted."""
        lines: list[str] = []
        for table in sorted(self.n_left_out):
            lines += [row.to_line() for row in self._first_left_out(table)]
            n_more = self.n_left_out[table] - MAX_LISTED
            if n_more > 0:
                lines.append(json.dumps({"table": table, "further_rows": n_more}))
        return tuple(lines)

    def _first_left_out(self, table: str) -> list[LeftOutRow]:
        """Return the first rows of a table that were left out, in order."""
        rows = [row for row in self.left_out_rows if row.table == table]
        return sorted(rows, key=lambda row: row.position)[:MAX_LISTED]

    def settle(self, share: float) -> None:
        """Judge the rows that were left out: up to a share of each table is a note, more is a fault.

        Parameters
        ----------
        share
            From 0 to 1.

        Raises
        ------
        ConfigError
            It is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"drop_bad_rows: is {share}; give a share from 0 to 1, such as 0.01.")
        for table, n in self.n_left_out.items():
            n_read = self.n_read[table]
            faults = [fault for fault in self._bad_rows() if fault.table == table and self._is_left_out(fault)]
            if n > share * n_read + TOLERANCE or n == n_read:
                for fault in faults:
                    self.fault(str(fault))
                judgement = (
                    f"more than the {_percent(share)} that may be left out; correct them, or allow more "
                    "(--drop-bad-rows)"
                    if n < n_read
                    else "so that nothing is left; correct them"
                )
                self.fault(f"{table}: {count_of(n, n_read, 'rows')} are bad ({_percent(n / n_read)}), {judgement}.")
                continue
            for fault in faults:
                self.note(f"{fault.counted()}; left out.")
            self.note(f"{table}: {count_of(n, n_read, 'rows')} were left out ({_percent(n / n_read)}).")

    def merge(self, others: Iterable[Findings]) -> None:
        """Add the findings of other parts of the tables."""
        for other in others:
            self.sentences |= other.sentences
            self.note_sentences |= other.note_sentences
            for key, fault in other.row_faults.items():
                self.row_faults.setdefault(key, RowFault(fault.where, fault.finding, fault.noun)).add(fault)
            for name, note in other.row_notes.items():
                self.row_notes.setdefault(name, RowNote()).add(note)
            self.left_out_rows += other.left_out_rows
            self.tallies.update(other.tallies)
            self.n_rows.update(other.n_rows)
            self.n_left_out.update(other.n_left_out)
            self.n_read.update(other.n_read)
            if len(self.left_out_rows) > 2 * MAX_LISTED * len(self.n_left_out):
                self.left_out_rows = [row for table in self.n_left_out for row in self._first_left_out(table)]


def _show(value: Any) -> str:
    """Write a value as people do: text in quotes, whole numbers without decimals."""
    return repr(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else repr(value)


def _percent(share: float) -> str:
    """Write a share with as many digits as it takes to tell it from 0, such as 1% or 0.02%."""
    return f"{100 * share:.3g}%"


def _to_json(values: Any) -> str:
    """Write a row's values as JSON; what JSON has no form for is written as text."""
    return json.dumps(_plain(values), ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    """Put text in place of NaN and infinite numbers, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
