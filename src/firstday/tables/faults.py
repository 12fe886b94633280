"""Rules for table rows, and their findings: counted per batch, summed across parts."""

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
"""Columns with the file index within the table and the row index within the file, from 0."""
NOWHERE = -1
"""Sentinel file index for rows without a known location."""
MAX_LISTED = 100_000
"""Maximum number of dropped rows listed per table; further ones are only counted."""
TOLERANCE = 1e-9
"""Tolerance for comparing shares, since 0.29 x 100 is slightly less than 29."""
WRITE_ALIKE = "write ids in the same way in both"
LeftOut = tuple[str, int | str, int, str, list[str]]
"""Table, file and row, values as JSON, reasons. An unparseable row has the file's name and its line number instead."""
Reasons = dict[str, pl.Series]
"""Masks of bad rows in a batch, by column and reason: bool, shape (n_rows,)."""


@dataclass(frozen=True, eq=False)
class SourceFile:
    """Origin of rows: a file, or an in-memory frame.

    Parameters
    ----------
    name
        Path relative to the folder of tables; "" for a frame.
    line_of
        Maps a row index to its line in a text file, from 1; None if locations are row numbers.
    copy
        Temporary folder of the copy that is read instead; deleted together with this object.
    """

    name: str = ""
    line_of: Callable[[int], int] | None = None
    copy: TemporaryDirectory[str] | None = None

    def describe(self, row: int) -> str:
        """Return the location of a row, such as ``users.csv line 17``."""
        unit, number = ("row", row + 1) if self.line_of is None else ("line", self.line_of(row))
        return f"{self.name} {unit} {number:,}".strip()


@dataclass(frozen=True, eq=False)
class Rule:
    """A condition that makes rows bad, or worth a note.

    Parameters
    ----------
    finding
        Predicate of the message, such as ``"are negative"``. ``{}`` stands for the value and makes one finding per
        value.
    bad
        Mask of the rows concerned, as an expression over the table's columns.
    advice
        Remedy, or a function of the first value that returns it; "" for a mere note. Only rows of a rule with advice
        are bad: their value counts as missing, and `Findings.leave_out` may drop them.
    column
        Column named in the finding, for a rule on a whole table.
    value
        Value shown for the first row; None shows only its location.
    noun
        Unit that is counted; only bad ``"rows"`` can be dropped.
    excuse
        Finding of a note on the same column; if present, this rule's fault becomes a note.
    known
        Valid ids for `value`.
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
    """Rows matched by a rule; results of batches and parts can be added.

    Parameters
    ----------
    where
        Table and column, or a complete sentence.
    finding, advice, noun, excuse
        See `Rule`.
    is_note
        Whether this is a note rather than a fault.
    n, n_rows, n_alike
        Number of matches, number of rows checked, and number of matches that are valid ids apart from their spelling.
    first
        File index, row index and value (as text) of the first match.
    examples
        How the referenced table spells its ids, such as ``users has 'u1', 'u2', ...``.
    file_of
        Table of an unreadable file's rows; `where` is then the file.
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
        """Table that the rows belong to."""
        return self.file_of or self.where.partition(".")[0]

    @property
    def are_bad_rows(self) -> bool:
        """Whether these are rows that can be dropped."""
        return self.n > 0 and not self.is_note and self.noun == "rows"


def find_faults(where: str, rows: pl.DataFrame, rules: Iterable[Rule], findings: Findings) -> Reasons:
    """Count the rows that match each rule, and return masks of the bad ones; rules on absent columns are skipped."""
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
    """Summarise the rows that match one rule, and locate the first."""
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
    """Normalise ids for comparison: lower-case, without surrounding spaces, leading zeros and trailing ``.0``."""
    words = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    return words.str.replace(r"\.0+$", "").str.strip_chars_start("0")


def show_examples(name: str, ids: pl.Series) -> str:
    """Return how a table spells its ids, such as "users has 'u1', 'u2', ..."; "" without ids."""
    shown = ", ".join(map(repr, ids.head(2)))
    return f"{name} has {shown}{', ...' if len(ids) > 2 else ''}" if shown else ""


@dataclass
class Findings:
    """Faults and notes, one sentence each; findings of batches and parts can be merged in any order.

    Parameters
    ----------
    drop
        Whether bad rows are dropped instead of reported as faults.
    forgiven
        Columns whose bad values count as missing, with a note instead of a fault.
    sources
        Files of each table, which locate its rows; empty for rows without a location.
    found
        What was found, by (where, finding).
    left_out_rows, n_left_out
        Dropped rows, at most `MAX_LISTED` per table, and number of dropped rows per table.
    n_rows
        Number of rows read per table.
    tallies
        Counts of interactions, judged after all are read.
    refused
        Tables with too many bad rows to drop.
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
        """Add faults that do not concern single rows."""
        for sentence in sentences:
            self.add(Found(sentence))

    def note(self, sentence: str) -> None:
        """Add a note."""
        self.add(Found(sentence, is_note=True))

    def note_rows(
        self, where: str, n: int, n_rows: int, finding: str, advice: str = "", *, noun: str = "rows", first: str = ""
    ) -> None:
        """Note "WHERE: 37 of 9,120 rows FINDING (first: FIRST); ADVICE.", summed over batches; no-op if `n` is 0."""
        if n:
            self.add(Found(where, finding, advice, True, noun, n=n, n_rows=n_rows, first=(NOWHERE, 0, first)))

    def add(self, found: Found) -> None:
        """Add matched rows to those with the same place and finding."""
        key = (found.where, found.finding)
        self.found[key] = self.found[key] + found if key in self.found else found

    @property
    def faults(self) -> tuple[str, ...]:
        """Sentences of all faults, except for rows that are dropped."""
        return tuple(map(self._sentence, filter(self._is_fault, self.found.values())))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences of all notes: what was ignored or decided."""
        return tuple(self._sentence(found) for found in self.found.values() if not self._is_fault(found))

    @property
    def hint(self) -> str:
        """Suggest dropping the bad rows if that would clear every fault at 1 % per table; else ""."""
        bad = list(filter(self._is_fault, self.found.values()))
        n_bad = {table: sum(found.n for found in bad if found.table == table) for table in {f.table: 0 for f in bad}}
        if not bad or not all(f.are_bad_rows and n_bad[f.table] <= 0.01 * self.n_rows[f.table] for f in bad):
            return ""
        counts = [self._share_of(table, n, "") for table, n in n_bad.items()]
        return f"{'; '.join(counts)}: --drop-bad-rows 1% leaves them out."

    @property
    def are_usable(self) -> bool:
        """Whether the rows can still become a dataset; a fault that a later batch may excuse does not count yet."""
        return not any(self._is_fault(found) and not found.excuse for found in self.found.values())

    def is_faulty(self, where: str) -> bool:
        """Whether a column has faults."""
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
        if found.noun in ("rows", "values") and not found.file_of:  # batches without matches were not counted
            total = max(total, self.n_rows[found.table])
        first = ", ".join(filter(None, (value, self._describe(found.table, file, row))))
        advice = found.advice
        are_alike = 2 * found.n_alike > found.n
        if found.examples and (are_alike or 2 * found.n > total):  # two tables may spell the same ids differently
            first = f"{first}; {found.examples}"
            advice = WRITE_ALIKE if are_alike else f"{WRITE_ALIKE}, {advice}"
        if not found.is_note and not self._is_fault(found):
            advice = "left out" if found.are_bad_rows else "read as the others are"
        counted = f"{found.where}: {count_of(found.n, total, found.noun)} {found.finding}"
        return f"{counted}{first and f' (first: {first})'}{advice and f'; {advice}'}."

    def _describe(self, table: str, file: int | str, row: int) -> str:
        """Return the location of a row; "" if unknown."""
        files = self.sources.get(table, ())
        if isinstance(file, str):
            return f"{file} line {row:,}"
        return files[file].describe(row) if files and file != NOWHERE else ""

    def leave_out(self, table: str, rows: pl.DataFrame, reasons: Reasons) -> pl.Series:
        """Record the bad rows of a batch, if they may be dropped; return the mask of rows to keep, shape (n_rows,)."""
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
        """Record rows that could not be parsed: their number, and the first of them."""
        self.n_rows[table] += n
        self.n_left_out[table] += n
        self.left_out_rows += rows

    def join_left_out(self, table: str) -> None:
        """Merge records of the same row that two parts found bad for different reasons."""
        of_table = sorted((row for row in self.left_out_rows if row[0] == table), key=_place_of)
        joined = [
            (*rows[0][:4], sorted({reason for row in rows for reason in row[4]}, reverse=True))
            for rows in (list(group) for _, group in groupby(of_table, key=_place_of))
        ]
        self.n_left_out[table] -= len(of_table) - len(joined)
        self.left_out_rows = [*(row for row in self.left_out_rows if row[0] != table), *joined]

    @property
    def left_out(self) -> tuple[str, ...]:
        """One line of JSON per dropped row, by table and location; rows beyond `MAX_LISTED` are only counted."""
        lines = []
        for table, rows in groupby(_first_rows(self.left_out_rows), key=lambda row: row[0]):
            for _, file, row, content, reasons in rows:
                facts = {"table": table, "place": self._describe(table, file, row), "reasons": reasons}
                lines.append(f'{json.dumps(facts, ensure_ascii=False)[:-1]}, "row": {content}}}')
            if self.n_left_out[table] > MAX_LISTED:
                lines.append(json.dumps({"table": table, "further_rows": self.n_left_out[table] - MAX_LISTED}))
        return tuple(lines)

    def settle(self, share: float) -> None:
        """Judge the dropped rows: a note up to a share (0 to 1) of each table, a fault above it.

        Raises ConfigError if the share is not from 0 to 1.
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
        """Merge the findings of other parts of the tables."""
        for other in others:
            self.sources = other.sources | self.sources
            for found in other.found.values():
                self.add(found)
            self.left_out_rows += other.left_out_rows
            for name in ("tallies", "n_rows", "n_left_out"):
                getattr(self, name).update(getattr(other, name))
        self.left_out_rows = _first_rows(self.left_out_rows)


def _place_of(row: LeftOut) -> tuple[Any, ...]:
    """Sort key of dropped rows: table and location."""
    return row[0], isinstance(row[1], int), *row[1:4]


def _first_rows(rows: Iterable[LeftOut]) -> list[LeftOut]:
    """Return the first `MAX_LISTED` dropped rows of each table, in order."""
    tables = groupby(sorted(rows, key=_place_of), key=lambda row: row[0])
    return [row for _, of_table in tables for row in islice(of_table, MAX_LISTED)]


def _show(value: Any) -> str:
    """Format a value: text in quotes, integral floats without decimals."""
    return repr(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else repr(value)


def _percent(share: float) -> str:
    """Format a share with three significant digits, such as 1% or 0.02%."""
    return f"{100 * share:.3g}%"
