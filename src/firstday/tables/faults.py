"""Rules for table rows, and findings: matches of rules, counted per batch and summed over parts."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil, inf
from typing import NamedTuple

import polars as pl

from firstday.config import Config
from firstday.errors import ConfigError, Fault, count_of

FILE, ROW = "firstday: file", "firstday: row"
"""Columns with the index of the file in the table and the index of the row in the file, from 0."""
NOWHERE = -1
"""Sentinel file index for rows without a known location."""
OR_DROP = "or drop the rows"
MAX_DROPPED = 10
"""Maximum percentage of rows that `Findings.hint` suggests to drop: with more, the table is wrong, not its rows."""
NOT_UNDERSTOOD = ("unknown_signal", "unknown_entity", "unknown_target")
"""Codes of rows that the service records, too, without effect: up to `MAX_DROPPED` % are left out with a note."""
MAX_LISTED = 100_000
"""Maximum number of dropped rows listed per table; further ones are only counted."""
DROPPED: Mapping[str, pl.DataType] = {
    "table": pl.String(),
    FILE: pl.Int32(),
    ROW: pl.Int64(),
    "place": pl.String(),
    "content": pl.String(),
    "reasons": pl.List(pl.String()),
}
"""Columns of dropped rows. A line that cannot be parsed has `NOWHERE` as file, its line number as row, and its file's
name as ``place``."""
Reasons = dict[str, pl.Series]
"""Masks of bad rows in a batch, by reason (column and finding): bool, shape (n_rows,)."""


class Location(NamedTuple):
    """A line of a text file, or a row of a binary one or of a frame, whose name is ""."""

    file: str
    number: int  # from 1
    unit: str = "row"

    def __str__(self) -> str:
        return f"{self.file} {self.unit} {self.number:,}".strip()


Source = Callable[[int], Location]
"""Returns the location of a row of a file, given by index."""


def locate_row(name: str, row: int) -> Location:
    """Return the location of a row of a binary file or of a frame."""
    return Location(name, row + 1)


@dataclass(frozen=True, eq=False)
class Rule:
    """A condition on rows, and its message.

    Without a code, the finding is a note. Otherwise, rows that match `bad` are bad: their value counts as missing, and
    `Findings.leave_out` may drop them. A message names `column`, for rules on tables, and the first `value`, if any.
    """

    finding: str
    bad: pl.Expr
    code: str = ""
    advice: str = ""
    column: str = ""
    value: pl.Expr | None = None


@dataclass(frozen=True)
class Finding:
    """A fault, or a note, if its code is "". If `n` is not 0, it is counted, and its text is what rows have in common.

    Findings of batches and parts can be added: `n` matches, of `n_rows` for other nouns than rows, and the file index,
    row index and value (as text) of the first match. For an unparsable line, these are `NOWHERE`, line number and file.
    """

    fault: Fault
    advice: str = ""
    noun: str = "rows"
    n: int = 0
    n_rows: int = 0
    first: tuple[int, int, str] = (NOWHERE, 0, "")

    def __add__(self, other: Finding) -> Finding:
        first = min(self, other, key=lambda found: found.first)
        return replace(first, n=self.n + other.n, n_rows=self.n_rows + other.n_rows)


def find_faults(table: str, rows: pl.DataFrame, rules: Iterable[Rule], findings: Findings, column: str = "") -> Reasons:
    """Count the rows that match each rule; return masks of bad rows. Rules on absent columns are skipped.

    `column` is the column of rules that name none.
    """
    present = [rule for rule in rules if set(rule.bad.meta.root_names()) <= set(rows.columns)]
    masks = rows.select(rule.bad.fill_null(False).alias(str(n)) for n, rule in enumerate(present))
    reasons: Reasons = {}
    for rule, mask in zip(present, masks, strict=True):
        if not mask.any():
            continue
        fault = Fault(rule.code, rule.finding, table, rule.column or column)
        hits = rows.select(FILE, ROW, value=rule.value).filter(mask)
        file, row, value = hits.bottom_k(1, by=[FILE, ROW, pl.col("value").cast(pl.String)]).row(0)
        first = (file, row, "" if value is None else repr(value))
        if rule.code:
            reasons[f"{fault.where} {rule.finding}"] = mask
        if rule.code and fault.where in findings.forgiven:
            findings.add(Finding(replace(fault, code=""), "taken as unknown", n=hits.height, first=first))
        else:
            findings.add(Finding(fault, rule.advice, n=hits.height, first=first))
    return reasons


@dataclass
class Findings:
    """Faults and notes, one sentence each; findings of batches and parts can be merged in any order.

    With `drop`, bad rows are dropped instead of reported as faults: `n_left_out` counts them per table, and
    `left_out_rows` are the first `MAX_LISTED` of each. Bad values of `forgiven` columns count as missing, with a note.
    `config` has the settings for reading. `sources` are the files of each table that has any, and `n_rows` its number
    of rows. `columns` are the names of all columns, alone and after that of their table. `tallies` count interactions,
    for checks once all are read.
    """

    drop: bool = False
    forgiven: frozenset[str] = frozenset()
    config: Config = field(default_factory=Config)
    sources: dict[str, tuple[Source, ...]] = field(default_factory=dict)
    found: dict[Fault, Finding] = field(default_factory=dict)
    left_out_rows: pl.DataFrame = field(default_factory=partial(pl.DataFrame, schema=DROPPED))
    n_left_out: Counter[str] = field(default_factory=Counter)
    n_rows: Counter[str] = field(default_factory=Counter)
    columns: set[str] = field(default_factory=set)
    tallies: Counter[str | float] = field(default_factory=Counter)
    are_settled: bool = False

    def fresh(self) -> Findings:
        """Return findings with the same options, without any."""
        return Findings(self.drop, self.forgiven, self.config)

    def rename(self, table: str, present: Sequence[str]) -> dict[str, str]:
        """Return the name of each column of a table, which the settings may change."""
        self.columns.update(name for column in present for name in (column.strip(), f"{table}.{column.strip()}"))
        given = self.config.columns
        labels = {}
        for column in present:
            name = column.strip()
            labels[column] = given.get(f"{table}.{name}") or given.get(name, column)
        if len(set(labels.values())) < len(labels):
            self.fault("repeated_column", "the setting columns gives two columns the same name; change it.", table)
            return dict(zip(present, present, strict=True))
        return labels

    def report(self, *faults: Fault) -> None:
        """Add faults that are not about single rows."""
        for fault in faults:
            self.add(Finding(fault))

    def fault(self, code: str, text: str, table: str = "", column: str = "", file: str = "") -> None:
        """Add a fault that is not about single rows; see `Fault`."""
        self.report(Fault(code, text, table, column, file))

    def note(self, text: str, table: str = "", column: str = "") -> None:
        """Add a note."""
        self.add(Finding(Fault("", text, table, column)))

    def note_rows(
        self,
        table: str,
        n: int,
        n_rows: int,
        finding: str,
        advice: str = "",
        *,
        column: str = "",
        noun: str = "rows",
        examples: Iterable[object] = (),
    ) -> None:
        """Note "TABLE: 37 of 9,120 rows FINDING (first: EXAMPLES); ADVICE.", summed over batches; no-op if `n` is 0."""
        if n:
            first = (NOWHERE, 0, ", ".join(map(repr, examples)))
            self.add(Finding(Fault("", finding, table, column), advice, noun, n, n_rows, first))

    def add(self, found: Finding) -> None:
        """Add a finding to the same one of other rows."""
        fault = found.fault
        self.found[fault] = self.found[fault] + found if fault in self.found else found

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, except those about rows that are dropped."""
        return tuple(map(self._complete, filter(self._is_fault, self.found.values())))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences of all notes: what was ignored or decided."""
        return tuple(str(self._complete(found)) for found in self.found.values() if not self._is_fault(found))

    @property
    def hint(self) -> str:
        """Suggestion to drop bad rows if all faults are about rows, at most `MAX_DROPPED` % of a table; else ""."""
        shares: defaultdict[str, float] = defaultdict(float)
        for found in filter(self._is_fault, self.found.values()):
            shares[found.fault.table] += found.n / self.n_rows[found.fault.table] if found.n else inf
        percent = max(1, ceil(100 * min(1, max(shares.values(), default=1))))
        return (
            f"--drop-bad-rows {percent}% drops bad rows, up to {percent} % of each table."
            if percent <= MAX_DROPPED
            else ""
        )

    def _is_fault(self, found: Finding) -> bool:
        code, table = found.fault.code, found.fault.table
        is_dropped = found.n and self.n_left_out[table]
        is_few = not self.are_settled or 100 * found.n <= MAX_DROPPED * self.n_rows[table]
        return bool(code) and not is_dropped and not (code in NOT_UNDERSTOOD and is_few)

    def _are_all(self, found: Finding) -> bool:
        """Return whether a finding is about all rows of a table, so that it is the column that is wrong."""
        return found.n == self.n_rows[found.fault.table]

    def _complete(self, found: Finding) -> Fault:
        """Write the text: "3 of 900 rows are bad (first: 'x', users.csv line 7); correct them."."""
        fault = found.fault
        if not found.n:
            return fault
        n_rows = self.n_rows[fault.table] if found.noun == "rows" else found.n_rows
        file, _, value = found.first
        location = self._locate(fault.table, *found.first) if found.advice else None
        example = "" if location and file == NOWHERE else value
        first = ", ".join(filter(None, (example, str(location or ""))))
        advice = "left out" if fault.code and not self._is_fault(found) else found.advice
        if self._are_all(found):
            advice = advice.replace(OR_DROP, f"or read another column (--column NAME={fault.column})")
        text = f"{count_of(found.n, n_rows, found.noun)} {fault.text}{first and f' (first: {first})'}"
        text = f"{text}; {advice}." if advice else f"{text}."
        if location is None:
            return replace(fault, text=text)
        return replace(fault, text=text, file=location.file, line=location.number)

    def _locate(self, table: str, file: int, row: int, name: str) -> Location | None:
        """Return the location of a row; None if unknown. An unparsable line is given by its number and file name."""
        if file == NOWHERE:
            return Location(name, row, "line") if row else None
        return self.sources[table][file](row) if table in self.sources else locate_row("", row)

    def leave_out(self, table: str, rows: pl.DataFrame, reasons: Reasons) -> pl.Series:
        """Record the bad rows of a batch if they are dropped; return the mask of rows to keep, shape (n_rows,)."""
        if not self.drop or not reasons:
            return pl.repeat(True, rows.height, eager=True)
        masks = pl.DataFrame(reasons)
        is_bad = masks.select(pl.any_horizontal(pl.all())).to_series()
        names = pl.concat_list(pl.when(name).then(pl.lit(name)) for name in reasons).list.drop_nulls()
        columns = ~pl.selectors.by_name(FILE, ROW) & ~pl.selectors.binary()
        content = pl.struct(columns).struct.json_encode()
        bad = rows.filter(is_bad).select(FILE, ROW, table=pl.lit(table), place=pl.lit(""), content=content)
        self.list_left_out(bad.with_columns(masks.filter(is_bad).select(reasons=names)))
        self.n_left_out[table] += bad.height
        return ~is_bad

    def list_left_out(self, rows: pl.DataFrame) -> None:
        """List dropped rows, which have the columns of `DROPPED`; the first `MAX_LISTED` by location remain."""
        joined = pl.concat([self.left_out_rows, rows.select(*DROPPED)]).sort("table", FILE, ROW, "content")
        self.left_out_rows = joined.group_by("table", maintain_order=True).head(MAX_LISTED)

    @property
    def left_out(self) -> tuple[str, ...]:
        """One line of JSON per listed row, by table and location."""
        lines = []
        for row in self.left_out_rows.iter_rows(named=True):
            location = self._locate(row["table"], row[FILE], row[ROW], row["place"])
            facts = {"table": row["table"], "place": str(location or ""), "reasons": row["reasons"]}
            lines.append(f'{json.dumps(facts, ensure_ascii=False)[:-1]}, "row": {row["content"]}}}')
        return tuple(lines)

    def settle(self, share: float) -> None:
        """Report the dropped rows: as a note up to a share (0 to 1) of each table, as a fault above it.

        From now on, many rows that are not understood are a fault: this is known once all parts are read.
        """
        self.are_settled = True
        if not 0 <= share <= 1:
            raise ConfigError(f"drop_bad_rows: is {share}; give a share from 0 to 1, such as 0.01.")
        for table, n in (+self.n_left_out).items():
            n_rows = self.n_rows[table]
            counted = count_of(n, n_rows, "rows")
            found = f"{100 * n / n_rows:.3g}%"
            if n < n_rows and n / n_rows <= share:
                self.note(f"{counted} were left out ({found}).", table)
            else:
                del self.n_left_out[table]
                limit = f"at most {100 * share:.3g}% may be left out, and never all"
                text = f"{counted} are bad ({found}; {limit}); correct them, or change --drop-bad-rows."
                if n < n_rows:
                    self.fault("too_many_bad_rows", text, table)

    def merge(self, other: Findings) -> None:
        """Merge the findings of another part of the tables."""
        for found in other.found.values():
            self.add(found)
        self.list_left_out(other.left_out_rows)
        for name in ("tallies", "n_rows", "n_left_out"):
            getattr(self, name).update(getattr(other, name))
