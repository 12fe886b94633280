"""Rules for the rows of tables, and what they find: counted over batches, added up over parts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from firstday.errors import ConfigError, count_of

FILE, ROW = "firstday: file", "firstday: row"
"""The columns with the number of each row's file among those of its table, and of the row in its file, from 0."""
NOWHERE = -1
"""Stands for the number of a file where a row has no known place."""
MAX_LISTED = 100_000
"""Rows of one table that are listed one by one where they are left out; further ones are counted."""
TOLERANCE = 1e-9
"""Shares are compared with this tolerance, since 0.29 x 100 is a little less than 29."""
WRITE_ALIKE = "write ids in the same way in both"
LeftOut = tuple[str, int | str, int, str, list[str]]
"""Table, file and row, values as JSON, reasons; a row that could not be read has the name of its file, and its line."""
Reasons = dict[str, pl.Series]
"""The bad rows of a batch by the column and what is wrong: bool, shape (n_rows,)."""


@dataclass(frozen=True, eq=False)
class SourceFile:
    """A file, or a frame in memory, that rows come from.

    Parameters
    ----------
    name
        As seen from the folder of tables; "" for a frame.
    line_of
        Returns the line of a row of a text file, from 1; None where rows are counted instead.
    copy
        The folder of a copy that is read in its place, which is removed with this.
    """

    name: str = ""
    line_of: Callable[[int], int] | None = None
    copy: TemporaryDirectory[str] | None = None

    def describe(self, row: int) -> str:
        """Name the place of a row, such as ``users.csv line 17``."""
        unit, number = ("row", row + 1) if self.line_of is None else ("line", self.line_of(row))
        return f"{self.name} {unit} {number:,}".strip()


@dataclass(frozen=True, eq=False)
class Rule:
    """Something that rows must not be, or that is worth a note.

    Parameters
    ----------
    finding
        What is said of the rows, such as ``"are negative"``; with ``{}`` for the value, each value is a finding.
    bad
        Which rows these are: an expression over the columns of the table.
    advice
        What to do, or a function that tells it from the first value; "" for what is only noted. Only rows with an
        advice are bad: their value is taken as missing, and `Findings.leave_out` may drop them.
    column
        The column that the finding names, for a rule over a whole table.
    value
        What to show of the first row; None shows its place alone.
    noun
        What is counted; only bad ``"rows"`` can be left out.
    excuse
        The finding of a note on the same column that makes these rows a note too.
    known
        The ids that `value` should be among.
    """

    finding: str
    bad: pl.Expr
    advice: str | Callable[[Any], str] = ""
    column: str = ""
    value: pl.Expr | None = None
    noun: str = "rows"
    excuse: str = ""
    known: pl.Series | None = None


@dataclass(frozen=True)
class Found:
    """Rows that a rule found; the values of batches and parts can be added up.

    Parameters
    ----------
    where
        Table and column; a whole sentence where that is all.
    finding, advice, noun, excuse
        See `Rule`.
    is_note
        Whether it is a note and not a fault.
    n, n_rows, n_alike
        How many there are, of how many; how many of them are known but for the way of writing ids.
    first
        File, row and value of the first one, as text.
    examples
        How the table that ids refer to writes them, such as ``users has 'u1', 'u2', ...``.
    file_of
        For rows that cannot be read, of which `where` is the file: its table.
    """

    where: str
    finding: str = ""
    advice: str = ""
    is_note: bool = False
    noun: str = "rows"
    excuse: str = ""
    n: int = 0
    n_rows: int = 0
    n_alike: int = 0
    first: tuple[int, int, str] = (NOWHERE, 0, "")
    examples: str = ""
    file_of: str = ""

    def __add__(self, other: Found) -> Found:
        return replace(
            min(self, other, key=lambda found: found.first),
            n=self.n + other.n,
            n_rows=self.n_rows + other.n_rows,
            n_alike=self.n_alike + other.n_alike,
        )

    @property
    def table(self) -> str:
        """The table of the rows."""
        return self.file_of or self.where.partition(".")[0]

    @property
    def are_bad_rows(self) -> bool:
        """Whether these are rows that may be left out."""
        return self.n > 0 and not self.is_note and self.noun == "rows"


def find_faults(where: str, rows: pl.DataFrame, rules: Iterable[Rule], findings: Findings) -> Reasons:
    """Count the rows that rules find.

    Parameters
    ----------
    where
        The table, or table and column.
    rows
        Some rows with the columns `FILE` and `ROW`; rules of columns that are not there are passed over.
    rules
        The rules.
    findings
        Gets what is found.
    """
    present = [rule for rule in rules if set(rule.bad.meta.root_names()) <= set(rows.columns)]
    masks = rows.select(rule.bad.fill_null(value=False).alias(str(n)) for n, rule in enumerate(present))
    reasons: Reasons = {}
    for rule, mask in zip(present, masks, strict=True):
        if not mask.any():
            continue
        column = f"{where}.{rule.column}" if rule.column else where
        value = pl.lit(None) if rule.value is None else rule.value
        hits = rows.select(FILE, ROW, value=value).filter(mask)
        for part in hits.partition_by("value", maintain_order=True) if "{}" in rule.finding else [hits]:
            findings.add(_count(column, rule, part, rows.height, is_forgiven=where in findings.forgiven))
        if rule.advice and rule.noun == "rows":
            reasons[f"{column} {rule.finding.replace('{}, ', '')}"] = mask
    return reasons


def _count(where: str, rule: Rule, hits: pl.DataFrame, n_rows: int, *, is_forgiven: bool) -> Found:
    """Count the bad ones of some rows, and describe the first one."""
    finding, is_note = rule.finding.format(repr(hits["value"][0])), is_forgiven or not rule.advice
    found = Found(where, finding, "", is_note, rule.noun, rule.excuse, hits.height, n_rows)
    if not rule.advice:
        return found
    file, row, value = hits.bottom_k(1, by=[FILE, ROW, pl.col("value").cast(pl.String)]).row(0)
    n_alike, examples = 0, ""
    if rule.known is not None:
        n_alike = int(fold_ids(hits["value"]).is_in(fold_ids(rule.known).unique().implode()).sum())
        examples = show_examples(finding.rpartition(" ")[2], rule.known)
    advice = rule.advice if isinstance(rule.advice, str) else rule.advice(value)
    return replace(
        found,
        advice="taken as unknown" if is_forgiven else advice,
        first=(file, row, "" if rule.value is None or finding != rule.finding else _show(value)),
        n_alike=n_alike,
        examples=examples,
    )


def fold_ids(values: pl.Series) -> pl.Series:
    """Return ids as lower-case text, without surrounding spaces, leading zeros and a trailing ``.0``."""
    words = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    return words.str.replace(r"\.0+$", "").str.strip_chars_start("0")


def show_examples(name: str, ids: pl.Series) -> str:
    """Tell how ids are written, such as "users has 'u1', 'u2', ...", where there are any."""
    shown = ", ".join(map(repr, ids.head(2)))
    return f"{name} has {shown}{', ...' if len(ids) > 2 else ''}" if shown else ""


@dataclass
class Findings:
    """Faults and notes, each a sentence; what batches and parts of tables find can be added up in any order.

    Parameters
    ----------
    drop
        Whether bad rows are left out, or faults.
    forgiven
        Columns whose bad values are taken as unknown: a note each, and no fault.
    sources
        The files of each table, which know the lines of rows; none for rows without places.
    found
        What was found, by table and column and by what is said of it.
    left_out_rows, n_left_out
        Rows that were left out, the first `MAX_LISTED` of each table; how many of each table.
    n_rows
        How many rows of each table were read.
    tallies
        Counts of interactions that are judged when all are read.
    refused
        Tables of which too many rows are bad.
    """

    drop: bool = False
    forgiven: frozenset[str] = frozenset()
    sources: dict[str, tuple[SourceFile, ...]] = field(default_factory=dict)
    found: dict[tuple[str, str], Found] = field(default_factory=dict)
    left_out_rows: list[LeftOut] = field(default_factory=list)
    tallies: Counter[str] = field(default_factory=Counter)
    n_rows: Counter[str] = field(default_factory=Counter)
    n_left_out: Counter[str] = field(default_factory=Counter)
    refused: set[str] = field(default_factory=set)

    def fault(self, *sentences: str) -> None:
        """Add faults that are no matter of single rows."""
        for sentence in sentences:
            self.add(Found(sentence))

    def note(self, sentence: str) -> None:
        """Add a note."""
        self.add(Found(sentence, is_note=True))

    def note_rows(
        self, where: str, n: int, n_rows: int, finding: str, advice: str = "", *, noun: str = "rows", first: str = ""
    ) -> None:
        """Note "WHERE: 37 of 9,120 rows FINDING (first: FIRST); ADVICE.", counted over batches; nothing for none."""
        if n:
            self.add(Found(where, finding, advice, True, noun, n=n, n_rows=n_rows, first=(NOWHERE, 0, first)))

    def add(self, found: Found) -> None:
        """Add what was found in some rows."""
        key = (found.where, found.finding)
        self.found[key] = self.found[key] + found if key in self.found else found

    @property
    def faults(self) -> tuple[str, ...]:
        """A sentence for each fault; none for rows that are left out."""
        return tuple(map(self._sentence, filter(self._is_fault, self.found.values())))

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing that was ignored or decided."""
        return tuple(self._sentence(found) for found in self.found.values() if not self._is_fault(found))

    @property
    def hint(self) -> str:
        """Say how few rows are bad, where that is all and leaving out 1 % of them would do; else nothing."""
        bad = list(filter(self._is_fault, self.found.values()))
        n_bad = {table: sum(found.n for found in bad if found.table == table) for table in {f.table: 0 for f in bad}}
        if not bad or not all(f.are_bad_rows and n_bad[f.table] <= 0.01 * self.n_rows[f.table] for f in bad):
            return ""
        counts = [self._share_of(table, n, "") for table, n in n_bad.items()]
        return f"{'; '.join(counts)}: --drop-bad-rows 1% leaves them out."

    @property
    def are_usable(self) -> bool:
        """Whether rows may still become a dataset: faults that a later batch may excuse do not count yet."""
        return not any(self._is_fault(found) and not found.excuse for found in self.found.values())

    def is_faulty(self, where: str) -> bool:
        """Tell whether a column has faults."""
        return any(sentence.startswith(f"{where}: ") for sentence in self.faults)

    def _is_fault(self, found: Found) -> bool:
        is_left_out = self.drop and found.are_bad_rows and found.table not in self.refused
        is_excused = found.excuse != "" and (found.where, found.excuse) in self.found
        return not (found.is_note or is_left_out or is_excused)

    def _sentence(self, found: Found) -> str:
        """Return "users.age: 3 of 900 rows are not numbers (first: 'x', users.csv line 7); write numbers alone."."""
        if not found.n:
            return found.where
        total, (file, row, value) = found.n_rows, found.first
        if found.noun in ("rows", "values") and not found.file_of:  # batches without any were not counted
            total = max(total, self.n_rows[found.table])
        first = ", ".join(filter(None, (value, self._describe(found.table, file, row))))
        advice = found.advice
        are_alike = 2 * found.n_alike > found.n
        if found.examples and (are_alike or 2 * found.n > total):  # two tables may write the same ids in two ways
            first = f"{first}; {found.examples}"
            advice = WRITE_ALIKE if are_alike else f"{WRITE_ALIKE}, {advice}"
        if not found.is_note and not self._is_fault(found):
            advice = "left out" if found.are_bad_rows else "read as the others are"
        counted = f"{found.where}: {count_of(found.n, total, found.noun)} {found.finding}"
        return f"{counted}{first and f' (first: {first})'}{advice and f'; {advice}'}."

    def _describe(self, table: str, file: int | str, row: int) -> str:
        """Name the place of a row; "" where it is not known."""
        files = self.sources.get(table, ())
        if isinstance(file, str):
            return f"{file} line {row:,}"
        return files[file].describe(row) if files and file != NOWHERE else ""

    def leave_out(self, table: str, rows: pl.DataFrame, reasons: Reasons) -> pl.Series:
        """Record the bad rows of a batch, where these may be left out.

        Parameters
        ----------
        table, rows
            The table, and the batch as it was read, with `FILE` and `ROW`.
        reasons
            The bad rows.

        Returns
        -------
        polars.Series
            bool, shape (n_rows,): which rows to keep.
        """
        if not self.drop or not reasons:
            return pl.repeat(True, rows.height, eager=True)
        masks = pl.DataFrame(reasons)
        is_bad = masks.select(pl.any_horizontal(pl.all())).to_series()
        content = pl.struct(~pl.selectors.by_name(FILE, ROW) & ~pl.selectors.binary()).struct.json_encode()
        listed = slice(max(MAX_LISTED - self.n_left_out[table], 0))
        bad = rows.filter(is_bad)[listed].select(FILE, ROW, content.alias("content")).rows()
        for (file, row, values), found in zip(bad, masks.filter(is_bad)[listed].iter_rows(named=True), strict=True):
            self.left_out_rows.append(
                (table, file, row, values, [reason for reason, is_one in found.items() if is_one])
            )
        self.n_left_out[table] += int(is_bad.sum())
        return ~is_bad

    def leave_out_unread(self, table: str, n: int, rows: list[LeftOut]) -> None:
        """Record rows of a file that could not even be read, of which the first are listed."""
        self.n_rows[table] += n
        self.n_left_out[table] += n
        self.left_out_rows += rows

    def join_left_out(self, table: str) -> None:
        """Make one record of two of the same row, which two parts found bad for reasons of their own."""
        of_table = sorted((row for row in self.left_out_rows if row[0] == table), key=_place_of)
        joined = [
            (*rows[0][:4], sorted({reason for row in rows for reason in row[4]}, reverse=True))
            for rows in (list(group) for _, group in groupby(of_table, key=_place_of))
        ]
        self.n_left_out[table] -= len(of_table) - len(joined)
        self.left_out_rows = [*(row for row in self.left_out_rows if row[0] != table), *joined]

    @property
    def left_out(self) -> tuple[str, ...]:
        """A line of JSON for each row that was left out, by table and place; further ones than `MAX_LISTED` counted."""
        lines = []
        for table, rows in groupby(_first_rows(self.left_out_rows), key=lambda row: row[0]):
            for _, file, row, content, reasons in rows:
                facts = {"table": table, "place": self._describe(table, file, row), "reasons": reasons}
                lines.append(f'{json.dumps(facts, ensure_ascii=False)[:-1]}, "row": {content}}}')
            if self.n_left_out[table] > MAX_LISTED:
                lines.append(json.dumps({"table": table, "further_rows": self.n_left_out[table] - MAX_LISTED}))
        return tuple(lines)

    def settle(self, share: float) -> None:
        """Judge the rows that were left out: up to a share of each table, from 0 to 1, is a note, more is a fault.

        Raises
        ------
        ConfigError
            The share is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"drop_bad_rows: is {share}; give a share from 0 to 1, such as 0.01.")
        for table, n in (+self.n_left_out).items():
            if n == self.n_rows[table]:
                self.refused.add(table)
                self.fault(f"{self._share_of(table, n, ' are bad')}, so that nothing is left; correct them.")
            elif n > share * self.n_rows[table] + TOLERANCE:
                self.refused.add(table)
                allowed = f"more than the {_percent(share)} that may be left out; correct them, or allow more"
                self.fault(f"{self._share_of(table, n, ' are bad')}, {allowed} (--drop-bad-rows).")
            else:
                self.note(f"{self._share_of(table, n, ' were left out')}.")

    def _share_of(self, table: str, n: int, what: str) -> str:
        """Return "users: 3 of 900 rows are bad (0.333%)"."""
        return f"{table}: {count_of(n, self.n_rows[table], 'rows')}{what} ({_percent(n / self.n_rows[table])})"

    def merge(self, others: Iterable[Findings]) -> None:
        """Add the findings of other parts of the tables."""
        for other in others:
            self.sources = other.sources | self.sources
            for found in other.found.values():
                self.add(found)
            self.left_out_rows += other.left_out_rows
            for name in ("tallies", "n_rows", "n_left_out"):
                getattr(self, name).update(getattr(other, name))
        self.left_out_rows = _first_rows(self.left_out_rows)


def _place_of(row: LeftOut) -> tuple[Any, ...]:
    """Return what rows that were left out are sorted by."""
    return row[0], isinstance(row[1], int), *row[1:4]


def _first_rows(rows: Iterable[LeftOut]) -> list[LeftOut]:
    """Return the first rows of each table that were left out, in order; of the others only the number is known."""
    tables = groupby(sorted(rows, key=_place_of), key=lambda row: row[0])
    return [row for _, of_table in tables for row in islice(of_table, MAX_LISTED)]


def _show(value: Any) -> str:
    """Write a value as people do: text in quotes, whole numbers without decimals."""
    return repr(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else repr(value)


def _percent(share: float) -> str:
    """Write a share with as many digits as it takes to tell it from 0, such as 1% or 0.02%."""
    return f"{100 * share:.3g}%"
