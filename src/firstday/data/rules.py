"""The rules for the rows of each table, and their application to tables in memory and to batches of interactions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl

from firstday.arguments import hint_at
from firstday.config import SHOWN, SignalConfig
from firstday.data.categories import entity_of_column
from firstday.data.event_writer import EventWriter
from firstday.data.events import ITEM, Events, Pair, code_pairs, sort_pairs
from firstday.data.faults import FILE, ROW, Findings, Rule, find_faults, fold_ids, note
from firstday.data.ids import INDEX, Ids, look_up
from firstday.data.impressions import Impressions, ImpressionWriter, take_impressions
from firstday.data.raw_table import RawTable
from firstday.data.schema import (
    DEFAULT_SIGNAL,
    ITEM_COLUMNS,
    TABLES,
    USER_COLUMNS,
    Frames,
    conform_interactions,
    conform_table,
    missing_column,
)
from firstday.errors import count_of

OR_DROP = "or drop the rows"
FIVE_STARS, MOST_STARS = 5, 10
STARS = {FIVE_STARS: (1, 4), MOST_STARS: (2, 8)}
"""Scales of ratings, by the highest: up to which a rating is low, and from which on it is high."""
FEW_WEIGHTS = 20
"""So few weights are not enough to tell star ratings from counts."""
FIRST_NAMED = 3
"""Items without a vector that are named."""
COPY = "firstday: copy"
"""The column that marks rows that only repeat an earlier one."""


def _empty(*columns: str) -> tuple[Rule, ...]:
    """Make the rules of columns that must have a value in every row."""
    return tuple(Rule("are empty", pl.col(name).is_null(), f"fill them in {OR_DROP}", name) for name in columns)


def _unique(name: str) -> tuple[Rule, ...]:
    """Make the rules of an id that may not repeat."""
    ids = pl.col(name)
    repeats = ids.is_not_null() & ~ids.is_first_distinct() & ~pl.col(COPY)
    return (
        *_empty(name),
        note("repeat an earlier row and were dropped", pl.col(COPY)),
        Rule("repeat an id with other values", repeats, "keep one row for each id", name, ids),
    )


_WEIGHT = pl.col("weight")
RULES: Mapping[str, tuple[Rule, ...]] = {
    "interactions": (
        *_empty("user_id", "signal"),
        Rule(
            "are NaN, infinite or beyond 3e38",
            _WEIGHT.is_not_null() & ~_WEIGHT.cast(pl.Float32).is_finite(),
            f"write finite numbers {OR_DROP}",
            "weight",
            _WEIGHT,
        ),
        Rule(
            "are negative",
            (_WEIGHT < 0) & _WEIGHT.is_finite(),
            "write 0 or more; show dislike by signals such as skip and ban",
            "weight",
            _WEIGHT,
        ),
    ),
    "users": _unique("user_id"),
    "items": _unique("item_id"),
    "collections": (
        *_empty("entity", "entity_id", "item_id"),
        Rule("name 'item', which is no collection", pl.col("entity") == ITEM, f"rename it {OR_DROP}", "entity"),
    ),
    "names": _empty("entity", "entity_id"),
    "friends": _empty("user_id", "friend_id"),
    "assignments": (
        *_empty("user_id", "experiment", "variant"),
        note("repeat a user's variant; the earliest of each counts", pl.col(COPY)),
        Rule(
            "give a user several variants of one experiment",
            pl.col("user_id").is_not_null()
            & (pl.col("variant").drop_nulls().n_unique().over("user_id", "experiment") > 1),
            f"keep the variant that the user saw, {OR_DROP}",
            "variant",
            pl.col("user_id"),
        ),
    ),
    "embeddings/users": _unique("user_id"),
    "embeddings/items": _unique("item_id"),
}
"""The rules that need nothing but the rows of the table, its columns being converted."""


def _target_rules(columns: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules for what interactions are about, which may be items alone or entities too."""
    if "entity" not in columns:
        return _empty("item_id")
    item = pl.col("item_id").is_not_null() if "item_id" in columns else pl.lit(value=False)
    entity, entity_id = pl.col("entity").is_not_null(), pl.col("entity_id").is_not_null()
    return (
        Rule("have both item_id and entity", item & (entity | entity_id), "keep one of them in each row"),
        Rule("have neither item_id nor entity", ~item & ~entity & ~entity_id, f"fill in one of them {OR_DROP}"),
        Rule("have only one of entity and entity_id", ~item & (entity != entity_id), f"fill in both {OR_DROP}"),
    )


def _reference(column: str, name: str, ids: Ids, where: pl.Expr | None = None) -> Rule:
    """Return the rule of ids that must be known; the table has their indexes in a column."""
    is_unknown = pl.col(column).is_not_null() & (pl.col(INDEX + column) < 0)
    if where is None:
        finding, home = f"name unknown {name}", name
    else:
        finding, home, is_unknown = f"name an unknown {name}", "items or collections", is_unknown & where
    return Rule(finding, is_unknown, f"add them to {home} {OR_DROP}", column, pl.col(column), known=ids.values)


def check_frames(
    raw: Mapping[str, RawTable | None],
    named_ids: Mapping[str, pl.Series],
    findings: Findings,
    *,
    are_all: bool = True,
) -> dict[str, pl.DataFrame]:
    """Convert all tables but interactions to their final types and find every fault in them.

    Parameters
    ----------
    raw
        Tables by name; None for one that could not be read (references to it are not checked).
    named_ids
        The ids of ``users`` and ``items`` that interactions name.
    findings
        Gets the faults and notes.
    are_all
        Whether these are all users: the values of some make no groups, and their friends may be others.

    Returns
    -------
    dict
        Tables ready for `firstday.data.load.add_users`, if there are no faults. A missing table of users or of items is
        made of the ids in interactions.
    """
    frames = {home: pl.DataFrame({TABLES[home].required[0]: ids}) for home, ids in named_ids.items() if home not in raw}
    for name in TABLES:  # users and items first: the others name them
        table = raw.get(name)
        if name != "interactions" and table is not None:
            frames[name] = check_table(name, table, frames, findings, are_all=are_all)
        if name == "items" and table is not None and name in named_ids:
            add_named_items(frames, named_ids[name], findings)
    share_id_type(frames, USER_COLUMNS)
    share_id_type(frames, ITEM_COLUMNS)
    users, items = (frames.get(f"embeddings/{kind}", pl.DataFrame()) for kind in ("users", "items"))
    if "vector" in users.columns and "vector" in items.columns and users.height and items.height:
        check_vector_lengths(users["vector"], next(filter(None, items["vector"].list.len()), 0), findings)
    check_item_vectors(frames, findings)
    return frames


def add_named_items(frames: dict[str, pl.DataFrame], named: pl.Series, findings: Findings) -> None:
    """Add items that interactions name and the table of items lacks: they have no attributes, which is noted.

    Where most of them are lacking, or written in another way, the table is another one; that is told row by row.
    """
    items = frames.get("items", pl.DataFrame())
    if "item_id" not in items.columns:
        return
    known = items["item_id"].drop_nulls()
    if known.dtype != named.dtype:
        known, named = known.cast(pl.String), named.cast(pl.String)
    new = named.filter(~named.is_in(known.implode()))
    if not len(new) or 2 * len(new) > len(named) or fold_ids(new).is_in(fold_ids(known).implode()).any():
        return
    frames["items"] = pl.concat([items, new.alias("item_id").to_frame()], how="diagonal_relaxed")
    what = f"{count_of(len(new), len(named), 'items')} are not in items (first: {new[0]!r})"
    findings.note(f"interactions.item_id: {what}; they have no attributes.")


def check_presence(tables: Collection[str], findings: Findings, *, are_frames: bool = False) -> None:
    """Find tables that must be there and are not."""
    if "interactions" not in tables:
        as_what = "{'interactions': frame}" if are_frames else "interactions.parquet or interactions.csv"
        findings.fault(f"interactions: the table is missing; add {as_what}.")
    for kind, counterpart in (("users", "items"), ("items", "users")):
        if f"embeddings/{kind}" in tables and f"embeddings/{counterpart}" not in tables:
            findings.fault(f"embeddings/{counterpart}: the table is missing beside embeddings/{kind}; add it.")


def check_table(
    name: str,
    table: RawTable,
    frames: Frames,
    findings: Findings,
    *,
    are_all: bool = True,
) -> pl.DataFrame:
    """Convert a table in memory to its final types and find every fault in its rows.

    Parameters
    ----------
    name, table
        The table.
    frames
        Tables that are checked already: `users` and `items` that its rows may name. What is not here is not compared.
    findings
        Gets the faults and notes.
    are_all
        See `check_frames`.

    Returns
    -------
    polars.DataFrame
        The rows, without those that were left out.
    """
    findings.sources[name] = table.sources
    conformed, reasons = conform_table(name, table.whole, findings, is_text=table.is_text, judge_groups=are_all)
    rows, rules = conformed.with_columns(_find_copies(name, conformed)), [*RULES[name]]
    for home, places in (("users", USER_COLUMNS), ("items", ITEM_COLUMNS)):
        ids = known_ids(frames, home)
        for other, column in places[1:]:
            if other == name and column in rows.columns and (are_all or column != "friend_id") and ids is not None:
                rows = look_up(rows, column, ids)
                rules.append(_reference(column, home, ids))
    reasons |= find_faults(name, rows, rules, findings)
    keep = findings.leave_out(name, table.whole, reasons) & ~rows[COPY]
    return conformed.drop(FILE, ROW).filter(keep)


def check_reference(where: str, table: RawTable, column: str, frames: Frames, findings: Findings) -> None:
    """Find the rows of a table that name unknown users in one column, and nothing else about them."""
    conformed, _ = conform_table(where, table.whole, Findings(), is_text=table.is_text)
    ids = known_ids(frames, "users")
    if column in conformed.columns and ids is not None:
        rules = [_reference(column, "users", ids)]
        reasons = find_faults(where, look_up(conformed, column, ids), rules, findings)
        findings.leave_out(where, table.whole, reasons)


def _find_copies(name: str, rows: pl.DataFrame) -> pl.Series:
    """Return which rows only repeat an earlier one, as the column `COPY`."""
    unique = TABLES[name].unique
    if unique in rows.columns:
        ids = pl.col(unique)
        hashed = rows.with_columns(hash=rows.drop(FILE, ROW).hash_rows())
        is_copy = ids.is_not_null() & ~ids.is_first_distinct() & (pl.col("hash") == pl.col("hash").first().over(unique))
        return hashed.select(is_copy.alias(COPY)).to_series()
    if name == "assignments" and set(TABLES[name].required) <= set(rows.columns):
        ordered = rows.with_row_index("ix")
        if "assigned_at" in rows.columns:
            ordered = ordered.sort("assigned_at", nulls_last=True, maintain_order=True)
        firsts = ordered.filter(pl.struct(TABLES[name].required).is_first_distinct())["ix"]
        return (~pl.int_range(rows.height, dtype=pl.UInt32, eager=True).is_in(firsts.implode())).alias(COPY)
    return pl.repeat(False, rows.height, eager=True).alias(COPY)


def share_id_type(frames: dict[str, pl.DataFrame], places: tuple[tuple[str, str], ...]) -> None:
    """Make ids String in all these columns if they are String in one of them, so that they join."""
    present = [(table, column) for table, column in places if table in frames and column in frames[table].columns]
    if any(frames[table][column].dtype == pl.String for table, column in present):
        for table, column in present:
            frames[table] = frames[table].with_columns(pl.col(column).cast(pl.String))


def known_ids(frames: Frames, home: Literal["users", "items"] | str) -> Ids | None:
    """Return every user's or item's id, sorted; None where their table cannot be read."""
    column = TABLES[home].required[0]
    if home not in frames or column not in frames[home].columns:
        return None
    return Ids.of(frames[home][column].drop_nulls().unique().sort())


def check_item_vectors(frames: Frames, findings: Findings) -> None:
    """Note items without a vector, which have no place in lists; find out whether all of them are without."""
    vectors, items = frames.get("embeddings/items", pl.DataFrame()), known_ids(frames, "items")
    if "item_id" not in vectors.columns or items is None:
        return
    bare = items.values.filter(Ids.of(vectors["item_id"].drop_nulls().unique()).lookup(items.values) < 0)
    if len(items) and len(bare) == len(items):
        if not findings.is_faulty("embeddings/items"):
            findings.fault(f"embeddings/items: none of {len(items):,} items has a vector; bring one for every item.")
        return
    findings.note_rows(
        "embeddings/items",
        len(bare),
        len(items),
        "have no vector",
        "they are left out of lists; bring one for every item",
        noun="items",
        first=", ".join(map(repr, bare.head(FIRST_NAMED))),
    )


def check_vector_lengths(user_vectors: pl.Series, n_numbers: int, findings: Findings) -> None:
    """Find out whether users' vectors are as long as those of items."""
    length = next(filter(None, user_vectors.list.len()), n_numbers)
    if length != n_numbers:
        findings.fault(
            f"embeddings/users.vector: has {length} numbers where those of items have {n_numbers}; "
            "bring both from the same model."
        )


def faulty_entities(raw: Mapping[str, RawTable | None], findings: Findings) -> frozenset[str]:
    """Return the entities whose column of `items` has faults."""
    items = raw.get("items")
    columns = [] if items is None else items.columns
    return frozenset(entity_of_column(column) for column in columns if findings.is_faulty(f"items.{column}"))


@dataclass(frozen=True, eq=False)
class Known:
    """What interactions may name.

    Parameters
    ----------
    users, items
        The ids; None where their table cannot be read.
    entities
        The ids of each entity's members; None where items or collections cannot be read.
    signals
        Which signals are known and which mean use; None where any may come.
    faulty
        Entities whose column of `items` has faults; rows that name them are not checked.
    derived
        Which of ``users`` and ``items`` are no table: their ids are those that good rows name, so that only rows that
        are bad already name others.
    """

    users: Ids | None = None
    items: Ids | None = None
    entities: Mapping[str, Ids] | None = None
    signals: SignalConfig | None = None
    faulty: frozenset[str] = frozenset()
    derived: Collection[str] = field(default=())

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The (signal, entity) pairs that interactions may have, by their code."""
        signals = () if self.signals is None else self.signals.known
        return sort_pairs([(signal, entity) for signal in signals for entity in (ITEM, *(self.entities or ()))])

    def index(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add the indexes of users, items and members of entities, as far as they are known."""
        for column, ids in (("user_id", self.users), ("item_id", self.items)):
            if ids is not None and column in rows.columns:
                rows = look_up(rows, column, ids)
        if self.entities is None or not {"entity", "entity_id"} <= set(rows.columns):
            return rows
        indexes = np.full(rows.height, -1, dtype=np.int32)
        for name, ids in self.entities.items():
            is_member = (rows["entity"] == name).fill_null(value=False)
            indexes[is_member.to_numpy()] = ids.lookup(rows["entity_id"].filter(is_member))
        return rows.with_columns(pl.Series(f"{INDEX}entity_id", indexes))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules for what interactions name."""
        rules = [
            _reference(column, home, ids)
            for column, home, ids in (("user_id", "users", self.users), ("item_id", "items", self.items))
            if ids is not None and home not in self.derived
        ]
        if self.signals is not None:
            names, signal = (*self.signals.known, SHOWN), pl.col("signal")
            is_unknown = signal.is_not_null() & ~signal.is_in(names)
            rules.insert(0, Rule("have an unknown signal", is_unknown, self._describe_signals, "signal", signal))
        if self.entities is None:
            return tuple(rules)
        names_text = f"known are {', '.join(self.entities)}" if self.entities else "there are none yet"
        entity = pl.col("entity")
        return (
            *rules,
            Rule(
                "name an unknown entity",
                entity.is_not_null() & ~entity.is_in([*self.entities, *self.faulty]),
                f"{names_text}; add such a column to items, or collections of it, {OR_DROP}",
                "entity",
                entity,
            ),
            *(_reference("entity_id", name, ids, entity == name) for name, ids in self.entities.items()),
        )

    def _describe_signals(self, signal: str) -> str:
        """Return what to do about an unknown signal."""
        assert self.signals is not None
        names = (*self.signals.known, SHOWN)
        return (
            f"known are {', '.join(names)}{hint_at(signal.lower(), names)}; name yours in the configuration "
            f"(signals.affinity.{signal} = 1.0) {OR_DROP}"
        )


def check_interactions(raw: pl.DataFrame, known: Known, findings: Findings, *, is_text: bool) -> pl.DataFrame:
    """Find every fault in a batch of interactions.

    Returns
    -------
    polars.DataFrame
        The rows that are kept, in their final types, with the indexes of what they name; columns of interactions that
        the batch lacks are null.
    """
    rows, reasons = conform_interactions(raw, findings, is_text=is_text)
    targets = {"item_id", "entity", "entity_id"} & set(raw.columns)
    if not targets:
        sentence = missing_column("interactions", "item_id", raw.drop(FILE, ROW).columns)
        findings.fault(f"{sentence}, or entity and entity_id." if sentence.endswith("add it") else f"{sentence}.")
    for column, counterpart in (("entity", "entity_id"), ("entity_id", "entity")):
        if column in targets and counterpart not in targets:
            findings.fault(f"interactions.{counterpart}: the column is missing beside {column}; add it.")
    rows = known.index(rows)
    rules = [*RULES["interactions"], *known.rules]
    has_targets = bool(targets) and targets <= set(rows.columns) and ("entity" in targets) == ("entity_id" in targets)
    if has_targets:
        rules[1:1] = _target_rules(targets | set(rows.columns))
    reasons |= find_faults("interactions", rows, rules, findings)
    rows = rows.filter(findings.leave_out("interactions", raw, reasons))
    absent = {name: pl.lit(None) for name in TABLES["interactions"].kinds if name not in rows.columns}
    defaults = {"signal": pl.lit(DEFAULT_SIGNAL), "weight": pl.lit(None, pl.Float64)}
    rows = rows.with_columns(**{name: defaults.get(name, value) for name, value in absent.items()})
    if known.signals is not None and has_targets:
        findings.tallies.update(_tally(rows, known.signals))
    return rows


def _tally(rows: pl.DataFrame, signals: SignalConfig) -> dict[str, int]:
    """Count what is judged when all rows are read: uses of items, and weights that look like star ratings."""
    is_use = pl.col("item_id").is_not_null() & pl.col("signal").is_in(signals.use) & (_WEIGHT.fill_null(1.0) > 0)
    is_star = _WEIGHT.is_between(0, MOST_STARS) & ((2 * _WEIGHT).floor() == 2 * _WEIGHT)
    return rows.select(
        rows=pl.len(),
        uses=is_use.sum(),
        **{
            "other weights": (_WEIGHT.is_not_null() & ~is_star).sum(),
            "weights": _WEIGHT.count(),
            "weights of the default signal": (_WEIGHT.is_not_null() & (pl.col("signal") == DEFAULT_SIGNAL)).sum(),
            "weights above 5": (_WEIGHT > FIVE_STARS).sum(),
            **{f"weights up to {low}": (low >= _WEIGHT).sum() for low, _ in STARS.values()},
            **{f"weights from {high}": (high <= _WEIGHT).sum() for _, high in STARS.values()},
        },
    ).row(0, named=True)


def find_ids(raw: RawTable, known: Known | None, homes: Iterable[str] = ("users", "items")) -> dict[str, pl.Series]:
    """Return the distinct ids of users and items that interactions name, sorted.

    Parameters
    ----------
    raw
        The interactions.
    known
        Says which rows count, where bad rows are left out; all rows if None.
    homes
        Whose ids.
    """
    sought = {"users": "user_id", "items": "item_id"}
    columns = [name for name in ("user_id", "item_id", "entity", "entity_id") if name in raw.columns]
    ids: dict[str, list[pl.Series]] = {home: [] for home in homes}
    findings = Findings(drop=True)
    for batch in raw.batches(columns if known is None else None) if columns else ():
        if known is None:
            rows, _ = conform_interactions(batch, Findings(), is_text=raw.is_text)
        else:
            rows = check_interactions(batch, known, findings, is_text=raw.is_text)
        for home in ids:
            if sought[home] in rows.columns:
                ids[home].append(rows[sought[home]].drop_nulls().unique())
    return {home: unite_ids(parts) for home, parts in ids.items()}


def unite_ids(parts: Sequence[pl.Series]) -> pl.Series:
    """Return the distinct ids of all parts, sorted; whole numbers only where all are."""
    parts = [part for part in parts if len(part)] or [pl.Series([], dtype=pl.String)]
    if any(part.dtype == pl.String for part in parts):
        parts = [part.cast(pl.String) for part in parts]
    return pl.concat(parts).unique().sort()


@dataclass(frozen=True, eq=False)
class Interactions:
    """What a table of interactions holds.

    Parameters
    ----------
    events
        What users did.
    impressions
        What was shown to them; None where nothing was.
    """

    events: Events
    impressions: Impressions | None = None


def read_interactions(
    raw: RawTable, known: Known, findings: Findings, now: datetime | None = None
) -> Interactions | None:
    """Check and index the interactions of a table, or of a part of one; return None where there are faults."""
    findings.sources["interactions"] = raw.sources
    n_users, use = 0 if known.users is None else len(known.users), () if known.signals is None else known.signals.use
    writer = InteractionWriter(known.pairs, n_users, raw.n_rows, use, now)
    n_unsorted = 0
    for batch in raw.batches():
        rows = check_interactions(batch, known, findings, is_text=raw.is_text)
        if findings.are_usable and known.users is not None and known.items is not None and known.entities is not None:
            n_unsorted += not _is_in_order(rows)
            writer.add(rows, findings)
    if not findings.are_usable:
        return None
    if n_unsorted and raw.sources and raw.sources[0].name:  # neither a frame nor a built-in dataset
        findings.note("interactions: rows are in order of neither user nor time; they were put in order.")
    return writer.finish(findings)


class InteractionWriter:
    """Takes batches of checked interactions with the indexes of what they name, and makes Interactions of them.

    Parameters
    ----------
    pairs, n_users, n_rows, now
        See `firstday.data.event_writer.EventWriter`.
    use
        Signals that mean use.
    """

    def __init__(
        self, pairs: Sequence[Pair], n_users: int, n_rows: int, use: Collection[str], now: datetime | None = None
    ) -> None:
        self._use, self._n_rows, self._n_weightless = use, n_rows, 0
        self._events = EventWriter(pairs, n_users, n_rows, now)
        self._impressions = ImpressionWriter(n_users, n_rows, now)
        self._pairs = pairs

    def add(self, rows: pl.DataFrame, findings: Findings) -> None:
        """Take a batch."""
        self._impressions.add(take_impressions(rows, self._use))
        events = _code_events(rows, self._pairs, findings)
        weighing = events.filter(_WEIGHT > 0)
        self._n_weightless += events.height - weighing.height
        self._events.add(weighing)

    def finish(self, findings: Findings) -> Interactions:
        """Return them, and note in the findings what was left out."""
        findings.note_rows("interactions.weight", self._n_weightless, self._n_rows, "weigh 0 and were dropped")
        return Interactions(self._events.finish(findings), self._impressions.finish(findings))


def _code_events(rows: pl.DataFrame, pairs: Sequence[Pair], findings: Findings) -> pl.DataFrame:
    """Index interactions without faults, columns as in `EVENT_TYPES`; impressions are left out.

    Only items are shown: impressions of anything else are noted, and tell nothing.
    """
    is_shown = pl.col("signal") == SHOWN
    indexes = {INDEX + name: pl.lit(-1) for name in ("item_id", "entity_id")}
    item_ix, entity_ix = (pl.col(name) if name in rows.columns else absent for name, absent in indexes.items())
    findings.note_rows(
        "interactions.entity",
        rows.select((is_shown & (item_ix < 0)).sum()).item(),
        rows.height,
        f"are {SHOWN!r} and of another entity than item; they were left out, since only items are shown",
    )
    coded = rows.filter(~is_shown).select(
        "timestamp",
        "signal",
        pl.col("entity").cast(pl.String).fill_null(ITEM),
        pl.col("weight").fill_null(1.0),
        user_ix=pl.col(f"{INDEX}user_id"),
        target_ix=pl.when(item_ix >= 0).then(item_ix).otherwise(entity_ix),
    )
    return code_pairs(coded, pairs)


def note_files(names: Sequence[str], form: str, findings: Findings) -> None:
    """Note how many files interactions were read from, where there are several."""
    n_zipped = sum(name.endswith(".gz") for name in names)
    if len(names) > 1:
        zipped = f" ({n_zipped:,} of them gzipped)" if n_zipped else ""
        findings.note(f"interactions: {len(names):,} {form} files{zipped} were read as one table.")


def judge_interactions(findings: Findings, signals: SignalConfig) -> None:
    """Judge all interactions together by what was counted of each batch."""
    counts = findings.tallies
    if counts["rows"] and not counts["uses"]:
        findings.fault(
            f"interactions: no row says that an item is used (signals {', '.join(signals.use)}, weight above "
            "0); add such rows, or name the signals that mean use in the configuration (signals.use)."
        )
    n = counts["weights"]
    most = MOST_STARS if counts["weights above 5"] else FIVE_STARS
    n_low, n_high = (counts[text] for text in (f"weights up to {STARS[most][0]}", f"weights from {STARS[most][1]}"))
    look_like_stars = n >= FEW_WEIGHTS and not counts["other weights"] and n > n_low + n_high
    if look_like_stars and 2 * counts["weights of the default signal"] > n and n_high > n_low:
        findings.note(
            f"interactions.weight: {count_of(n, counts['rows'], 'rows')} weigh up to {most}, and look like ratings: a "
            "low one still counts as use; see docs/tables.md."
        )


def _is_in_order(rows: pl.DataFrame) -> bool:
    """Tell whether rows are sorted by user or by time, or have no times."""
    timestamp = rows["timestamp"]
    return rows[f"{INDEX}user_id"].is_sorted() or timestamp.null_count() == rows.height or timestamp.is_sorted()
