"""Rules for table rows, and findings: matches of rules, counted per batch and summed over parts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import polars as pl

from firstday.errors import ConfigError, count_of

FILE, ROW = "firstday: file", "firstday: row"
"""Columns with the index of the file in the table and the index of the row in the file, from 0."""
NOWHERE = -1
"""Sentinel file index for rows without a known location."""
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
"""Columns of dropped rows. A line that cannot be parsed has `NOWHERE` as file, its line number as row, and its location
as text in ``place``."""
Reasons = dict[str, pl.Series]
"""Masks of bad rows in a batch, by reason (column and finding): bool, shape (n_rows,)."""
Source = Callable[[int], str]
"""Returns the location of a row of a file, given by index: ``users.csv line 17``."""


def locate_row(name: str, row: int) -> str:
    """Return the location of a row of a binary file, or of a frame, whose name is ""."""
    return f"{name} row {row + 1:,}".strip()


@dataclass(frozen=True, eq=False)
class Rule:
    """A condition on rows, and its message.

    Without advice, the finding is a note. Otherwise, rows that match `bad` are bad: their value counts as missing, and
    `Findings.leave_out` may drop them. A message names `column`, for rules on tables, and the first `value`, if any.
    """

    finding: str
    bad: pl.Expr
    advice: str = ""
    column: str = ""
    value: pl.Expr | None = None


@dataclass(frozen=True)
class Finding:
    """Matches of a rule in the table and column `where`, or a complete sentence, if `n` is 0.

    Findings of batches and parts can be added: `n` matches, of `n_rows` for other nouns than rows, and the file index,
    row index and value (as text) of the first match.
    """

    where: str
    finding: str = ""
    advice: str = ""
    is_note: bool = False
    noun: str = "rows"
    n: int = 0
    n_rows: int = 0
    first: tuple[int, int, str] = (NOWHERE, 0, "")

    def __add__(self, other: Finding) -> Finding:
        first = min(self, other, key=lambda found: found.first)
        return replace(first, n=self.n + other.n, n_rows=self.n_rows + other.n_rows)

    @property
    def table(self) -> str:
        """Table that the rows belong to."""
        return self.where.partition(".")[0]


def find_faults(where: str, rows: pl.DataFrame, rules: Iterable[Rule], findings: Findings) -> Reasons:
    """Count the rows that match each rule; return masks of bad rows. Rules on absent columns are skipped."""
    present = [rule for rule in rules if set(rule.bad.meta.root_names()) <= set(rows.columns)]
    masks = rows.select(rule.bad.fill_null(value=False).alias(str(n)) for n, rule in enumerate(present))
    is_forgiven = where in findings.forgiven
    reasons: Reasons = {}
    for rule, mask in zip(present, masks, strict=True):
        if not mask.any():
            continue
        column = f"{where}.{rule.column}" if rule.column else where
        hits = rows.select(FILE, ROW, value=rule.value).filter(mask)
        *location, example = hits.bottom_k(1, by=[FILE, ROW, pl.col("value").cast(pl.String)]).row(0)
        first = (*location, "" if example is None else repr(example))
        advice = "taken as unknown" if is_forgiven and rule.advice else rule.advice
        is_note = is_forgiven or not rule.advice
        findings.add(Finding(column, rule.finding, advice, is_note, n=hits.height, first=first))
        if rule.advice:
            reasons[f"{column} {rule.finding}"] = mask
    return reasons


@dataclass
class Findings:
    """Faults and notes, one sentence each; findings of batches and parts can be merged in any order.

    With `drop`, bad rows are dropped instead of reported as faults: `n_left_out` counts them per table, and
    `left_out_rows` are the first `MAX_LISTED` of each. Bad values of `forgiven` columns count as missing, with a note.
    `sources` are the files of each table that has any, and `n_rows` its number of rows. `tallies` count interactions,
    for checks once all are read.
    """

    drop: bool = False
    forgiven: frozenset[str] = frozenset()
    sources: dict[str, tuple[Source, ...]] = field(default_factory=dict)
    found: dict[tuple[str, str], Finding] = field(default_factory=dict)
    left_out_rows: pl.DataFrame = field(default_factory=partial(pl.DataFrame, schema=DROPPED))
    n_left_out: Counter[str] = field(default_factory=Counter)
    n_rows: Counter[str] = field(default_factory=Counter)
    tallies: Counter[str | float] = field(default_factory=Counter)

    def fault(self, *sentences: str) -> None:
        """Add faults that are not about single rows."""
        for sentence in sentences:
            self.add(Finding(sentence))

    def note(self, sentence: str) -> None:
        """Add a note."""
        self.add(Finding(sentence, is_note=True))

    def note_rows(
        self,
        where: str,
        n: int,
        n_rows: int,
        finding: str,
        advice: str = "",
        *,
        noun: str = "rows",
        examples: Iterable[object] = (),
    ) -> None:
        """Note "WHERE: 37 of 9,120 rows FINDING (first: EXAMPLES); ADVICE.", summed over batches; no-op if `n` is 0."""
        if n:
            first = (NOWHERE, 0, ", ".join(map(repr, examples)))
            self.add(Finding(where, finding, advice, True, noun, n=n, n_rows=n_rows, first=first))

    def add(self, found: Finding) -> None:
        """Add a finding to those with the same table, column and predicate."""
        key = (found.where, found.finding)
        self.found[key] = self.found[key] + found if key in self.found else found

    @property
    def faults(self) -> tuple[str, ...]:
        """Sentences of all faults, except those about rows that are dropped."""
        return tuple(map(self._sentence, filter(self._is_fault, self.found.values())))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences of all notes: what was ignored or decided."""
        return tuple(self._sentence(found) for found in self.found.values() if not self._is_fault(found))

    @property
    def hint(self) -> str:
        """Suggestion to drop bad rows if all faults are about rows; else ""."""
        bad = list(filter(self._is_fault, self.found.values()))
        may_drop = bad and all(found.n for found in bad)
        return "--drop-bad-rows 1% drops bad rows, up to 1 % of each table." if may_drop else ""

    def _is_fault(self, found: Finding) -> bool:
        return not (found.is_note or (found.n and self.n_left_out[found.table]))

    def _sentence(self, found: Finding) -> str:
        """Return "users.age: 3 of 900 rows are not numbers (first: 'x', users.csv line 7); write numbers alone."."""
        if not found.n:
            return found.where
        total, (file, row, value) = found.n_rows, found.first
        if found.noun == "rows":
            total = max(total, self.n_rows[found.table])
        location = self._describe(found.table, file, row) if found.advice else ""
        first = ", ".join(filter(None, (value, location)))
        advice = found.advice if found.is_note or self._is_fault(found) else "left out"
        counted = f"{found.where}: {count_of(found.n, total, found.noun)} {found.finding}"
        return f"{counted}{first and f' (first: {first})'}{advice and f'; {advice}'}."

    def _describe(self, table: str, file: int, row: int) -> str:
        """Return the location of a row; "" if unknown."""
        return (
            "" if file == NOWHERE else self.sources[table][file](row) if table in self.sources else locate_row("", row)
        )

    def leave_out(self, table: str, rows: pl.DataFrame, reasons: Reasons) -> pl.Series:
        """Record the bad rows of a batch if they are dropped; return the mask of rows to keep, shape (n_rows,)."""
        if not self.drop or not reasons:
            return pl.repeat(True, rows.height, eager=True)
        masks = pl.DataFrame(reasons)
        is_bad = masks.select(pl.any_horizontal(pl.all())).to_series()
        names = pl.concat_list(pl.when(name).then(pl.lit(name)) for name in reasons).list.drop_nulls()
        content = pl.struct(~pl.selectors.by_name(FILE, ROW) & ~pl.selectors.binary()).struct.json_encode()
        bad = rows.filter(is_bad).select(FILE, ROW, table=pl.lit(table), place=pl.lit(""), content=content)
        bad = bad.with_columns(masks.filter(is_bad).select(reasons=names))
        self.n_left_out[table] += bad.height
        self.list_left_out(bad)
        return ~is_bad

    def list_left_out(self, rows: pl.DataFrame) -> None:
        """List dropped rows, which have the columns of `DROPPED`; the first `MAX_LISTED` by location remain."""
        joined = pl.concat([self.left_out_rows, rows.select(*DROPPED)]).sort("table", FILE, ROW, "content")
        self.left_out_rows = joined.group_by("table", maintain_order=True).head(MAX_LISTED)

    def join_left_out(self, table: str) -> None:
        """Merge the records of rows that two parts dropped for different reasons."""
        rows = self.left_out_rows
        is_other = pl.col("table") != table
        reasons = pl.col("reasons").explode().unique().sort(descending=True)
        self.left_out_rows = rows.filter(is_other)
        self.list_left_out(rows.remove(is_other).group_by(pl.exclude("reasons")).agg(reasons))
        self.n_left_out[table] -= rows.height - self.left_out_rows.height

    @property
    def left_out(self) -> tuple[str, ...]:
        """One line of JSON per listed row, by table and location."""
        lines = []
        for row in self.left_out_rows.iter_rows(named=True):
            location = row["place"] or self._describe(row["table"], row[FILE], row[ROW])
            facts = {"table": row["table"], "place": location, "reasons": row["reasons"]}
            lines.append(f'{json.dumps(facts, ensure_ascii=False)[:-1]}, "row": {row["content"]}}}')
        return tuple(lines)

    def settle(self, share: float) -> None:
        """Report the dropped rows: as a note up to a share (0 to 1) of each table, as a fault above it."""
        if not 0 <= share <= 1:
            raise ConfigError(f"drop_bad_rows: is {share}; give a share from 0 to 1, such as 0.01.")
        for table, n in (+self.n_left_out).items():
            n_rows = self.n_rows[table]
            counted = f"{table}: {count_of(n, n_rows, 'rows')}"
            found = f"{100 * n / n_rows:.3g}%"
            if n < n_rows and n / n_rows <= share:
                self.note(f"{counted} were left out ({found}).")
            else:
                del self.n_left_out[table]
                limit = f"at most {100 * share:.3g}% may be left out, and never all"
                self.fault(f"{counted} are bad ({found}; {limit}); correct them, or change --drop-bad-rows.")

    def merge(self, other: Findings) -> None:
        """Merge the findings of another part of the tables."""
        for found in other.found.values():
            self.add(found)
        self.list_left_out(other.left_out_rows)
        for name in ("tallies", "n_rows", "n_left_out"):
            getattr(self, name).update(getattr(other, name))
