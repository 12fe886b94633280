"""Checks that find every fault of the tables in one pass; interactions are checked and indexed a batch at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl

from firstday.arguments import hint_at
from firstday.config import SHOWN, SignalConfig
from firstday.data.categories import entity_of_column
from firstday.data.event_writer import EventWriter
from firstday.data.events import EVENT_TYPES, ITEM, UTC_MICROSECONDS, Events, Pair, sort_pairs
from firstday.data.findings import Findings
from firstday.data.ids import Ids
from firstday.data.impressions import Impressions, ImpressionWriter, take_impressions
from firstday.data.raw_table import RawBatch, RawTable
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
SHOWN_ENTITIES = f"are {SHOWN!r} and of another entity than item; they were left out, since only items are shown"
FIVE_STARS, MOST_STARS = 5, 10
STARS = {FIVE_STARS: (1, 4), MOST_STARS: (2, 8)}
"""Scales of ratings, by the highest: up to which a rating is low, and from which on it is high."""
FEW_WEIGHTS = 20
"""So few weights are not enough to tell star ratings from counts."""
FIRST_NAMED = 3
"""Items without a vector that are named."""


@dataclass(frozen=True, eq=False)
class KnownIds:
    """The ids that rows may name.

    Parameters
    ----------
    name
        What they are ids of: users, items, or the members of an entity.
    ids
        The ids.
    """

    name: str
    ids: Ids

    @cached_property
    def examples(self) -> str:
        """How the ids are written, such as "users has 'u1', 'u2', ..."."""
        shown = [repr(value) for value in self.ids.values.head(2)]
        return f"{self.name} has {', '.join(shown)}{', ...' if len(self.ids) > 2 else ''}" if shown else ""

    @cached_property
    def folded(self) -> pl.Series:
        """The ids without what different programs write differently."""
        return fold_ids(self.ids.values).unique()

    def look_up_known(self, values: pl.Series) -> np.ndarray:
        """Return the index of each id, int32, -1 where unknown or null."""
        present = values.is_not_null()
        indexes = np.full(len(values), -1, dtype=np.int32)
        indexes[present.to_numpy()] = self.ids.lookup(values.filter(present))
        return indexes

    def look_up(self, where: str, values: pl.Series, finding: str, advice: str, findings: Findings) -> np.ndarray:
        """Return the index of each id, -1 where unknown or null, and add the fault of unknown ones."""
        indexes = self.look_up_known(values)
        is_unknown = values.is_not_null() & pl.Series(indexes < 0)
        n_alike = 0
        if is_unknown.any():
            n_alike = int(fold_ids(values.filter(is_unknown)).is_in(self.folded.implode()).sum())
        findings.rows(where, is_unknown, finding, values, advice, elsewhere=self.examples, n_alike=n_alike)
        return indexes


def fold_ids(values: pl.Series) -> pl.Series:
    """Return ids as text without spaces around them, upper case, leading zeros and the decimals of whole numbers."""
    words = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    return words.str.replace(r"\.0+$", "").str.strip_chars_start("0")


def check_frames(
    raw: Mapping[str, RawTable | None], named_ids: Mapping[str, pl.Series], findings: Findings
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

    Returns
    -------
    dict
        Tables ready for `firstday.data.load.assemble`, if there are no faults. A missing table of users or of items is
        made of the ids in interactions.
    """
    frames: dict[str, pl.DataFrame] = {}
    for home, ids in named_ids.items():
        if home not in raw:
            frames[home] = pl.DataFrame({TABLES[home].required[0]: ids})
    for name in TABLES:  # users and items first: the others name them
        table = raw.get(name)
        if name != "interactions" and table is not None:
            frames[name] = check_table(name, table, frames, findings)
        if name == "items" and "items" in raw and "items" in named_ids:
            add_named_items(frames, named_ids["items"], findings)
    share_id_type(frames, USER_COLUMNS)
    share_id_type(frames, ITEM_COLUMNS)
    check_presence(raw, findings)
    findings.at(None)
    _check_vectors(frames, findings)
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


def check_presence(tables: Collection[str], findings: Findings) -> None:
    """Find tables that must be there and are not."""
    if "interactions" not in tables:
        as_what = "{'interactions': frame}" if findings.of_frames else "interactions.parquet or interactions.csv"
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
    judge_groups: bool = True,
    elsewhere: str = "",
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
    judge_groups
        See `conform_table`.
    elsewhere
        A column whose ids are looked up elsewhere: not everything that it may name is in `frames`.

    Returns
    -------
    polars.DataFrame
        The rows, without those that were left out.
    """
    findings.at(table.whole.place)
    frame = conform_table(name, table.whole.frame, findings, is_text=table.is_text, judge_groups=judge_groups)
    check_present(name, frame, findings)
    copies = _check_repeats(name, frame, findings)
    if name == "assignments" and set(TABLES[name].required) <= set(frame.columns):
        copies = _check_assignments(frame, findings)
    for home, places in (("users", USER_COLUMNS), ("items", ITEM_COLUMNS)):
        for column in [column for other, column in places[1:] if other == name and column in frame.columns]:
            if column != elsewhere:
                check_reference(f"{name}.{column}", frame[column], home, frames, findings)
    keep = findings.leave_out(name, table.whole.frame)
    keep = ~copies if keep is None else keep & ~copies
    return frame if keep.all() else frame.filter(pl.Series(keep))


def _check_repeats(name: str, frame: pl.DataFrame, findings: Findings) -> np.ndarray:
    """Find rows that repeat an id with other values; return which rows are copies of an earlier one, with a note."""
    unique = TABLES[name].unique
    copies = pl.repeat(False, frame.height, eager=True)
    if unique is not None and unique in frame.columns:
        ids = frame[unique]
        repeats = ids.is_not_null() & ~ids.is_first_distinct()
        if repeats.any():
            rows = pl.DataFrame({"id": ids, "hash": frame.hash_rows()})
            copies = repeats & rows.select(pl.col("hash") == pl.col("hash").first().over("id"))["hash"]
        findings.note_rows(name, int(copies.sum()), len(copies), "repeat an earlier row and were dropped")
        findings.rows(
            f"{name}.{unique}", repeats & ~copies, "repeat an id with other values", ids, "keep one row for each id"
        )
    return copies.to_numpy()


def _check_assignments(frame: pl.DataFrame, findings: Findings) -> np.ndarray:
    """Find users with several variants of one experiment; return which rows only repeat a variant, with a note."""
    n_variants = pl.col("variant").drop_nulls().n_unique().over("user_id", "experiment")
    is_torn = frame.select(pl.col("user_id").is_not_null() & (n_variants > 1)).to_series()
    advice = f"keep the variant that the user saw, {OR_DROP}"
    finding = "give a user several variants of one experiment"
    findings.rows("assignments.variant", is_torn, finding, frame["user_id"], advice)
    times = frame["assigned_at"] if "assigned_at" in frame.columns else pl.repeat(None, frame.height, eager=True)
    order = times.arg_sort(nulls_last=True)
    is_first = frame.select(pl.struct("user_id", "experiment", "variant").gather(order).is_first_distinct()).to_series()
    copies = np.zeros(frame.height, dtype=bool)
    copies[order.to_numpy()] = ~is_first.to_numpy()
    findings.note_rows(
        "assignments", int(copies.sum()), frame.height, "repeat a user's variant; the earliest of each counts"
    )
    return copies


def share_id_type(frames: dict[str, pl.DataFrame], places: tuple[tuple[str, str], ...]) -> None:
    """Make ids String in all these columns if they are String in one of them, so that they join."""
    present = [(table, column) for table, column in places if table in frames and column in frames[table].columns]
    if any(frames[table][column].dtype == pl.String for table, column in present):
        for table, column in present:
            frames[table] = frames[table].with_columns(pl.col(column).cast(pl.String))


def check_present(name: str, frame: pl.DataFrame, findings: Findings) -> None:
    """Find rows whose required text or ids are missing."""
    for column in TABLES[name].required:
        if column in frame.columns and column not in ("vector", "name"):
            is_missing = frame[column].is_null()
            findings.rows(f"{name}.{column}", is_missing, "are empty", None, f"fill them in {OR_DROP}")
    if name == "collections" and "entity" in frame.columns:
        is_item = frame["entity"] == ITEM
        findings.rows(
            "collections.entity", is_item, "name 'item', which is no collection", None, f"rename it {OR_DROP}"
        )


def check_reference(where: str, ids: pl.Series, home: str, frames: Frames, findings: Findings) -> None:
    """Find rows that name users or items outside the home table."""
    id_column = TABLES[home].required[0]
    if home not in frames or id_column not in frames[home].columns:
        return
    known = KnownIds(home, Ids.of(frames[home][id_column].drop_nulls().unique().sort()))
    known.look_up(where, ids, f"name unknown {home}", f"add them to {home} {OR_DROP}", findings)


def _check_vectors(frames: Frames, findings: Findings) -> None:
    """Look for items without a vector, and for vectors of users and items with different lengths."""
    tables = [frames.get(f"embeddings/{kind}", pl.DataFrame()) for kind in ("users", "items")]
    if all("vector" in table.columns and table.height for table in tables):
        check_vector_lengths(tables[0]["vector"], next(filter(None, tables[1]["vector"].list.len()), 0), findings)
    check_item_vectors(frames, findings)


def check_item_vectors(frames: Frames, findings: Findings) -> None:
    """Note items without a vector, which have no place in lists; find out whether all of them are without."""
    vectors, source = frames.get("embeddings/items", pl.DataFrame()), frames.get("items", pl.DataFrame())
    if "item_id" not in vectors.columns or "item_id" not in source.columns:
        return
    ids = source["item_id"].drop_nulls().unique().sort()
    bare = ids.filter(pl.Series(np.asarray(Ids.of(vectors["item_id"].drop_nulls().unique()).lookup(ids) < 0)))
    if len(ids) and len(bare) == len(ids):
        if not findings.is_faulty("embeddings/items"):
            findings.fault(f"embeddings/items: none of {len(ids):,} items has a vector; bring one for every item.")
        return
    findings.note_rows(
        "embeddings/items",
        len(bare),
        len(ids),
        "have no vector (first: {first}) and are left out of lists; bring one for every item",
        noun="items",
        first=", ".join(repr(identity) for identity in bare.head(FIRST_NAMED)),
    )


def check_vector_lengths(user_vectors: pl.Series, n_numbers: int, findings: Findings) -> None:
    """Find out whether users' vectors are as long as those of items."""
    length = next(filter(None, user_vectors.list.len()), n_numbers)
    if length != n_numbers:
        findings.fault(
            f"embeddings/users.vector: has {length} numbers where those of items have {n_numbers}; "
            "bring both from the same model."
        )


def faulty_entities(raw: Mapping[str, RawTable | None], findings: Findings) -> set[str]:
    """Return the entities whose column of `items` has faults."""
    items = raw.get("items")
    columns = [] if items is None else items.columns
    return {entity_of_column(column) for column in columns if findings.is_faulty(f"items.{column}")}


def find_ids(
    raw: RawTable, checker: InteractionChecker | None = None, homes: Sequence[str] = ("users", "items")
) -> dict[str, pl.Series]:
    """Return the distinct ids that interactions name, sorted.

    Parameters
    ----------
    raw
        The interactions.
    checker
        Says which rows count, where bad rows are left out; all rows if None.
    homes
        Whose ids: of ``users``, of ``items``, or of both.
    """
    sought = (*(("user_id",) if "users" in homes else ()), "item_id", "entity", "entity_id")
    columns = [name for name in sought if name in raw.columns]
    ids: dict[str, pl.Series] = {}
    for batch in raw.batches(columns if checker is None else None) if columns else ():
        if checker is None:
            rows = conform_interactions(batch.frame, Findings(), is_text=raw.is_text)
        else:
            rows = checker.usable_rows(batch, is_text=raw.is_text)
        for home, column in (("users", "user_id"), ("items", "item_id")):
            if home in homes and column in rows.columns:
                new_ids = rows[column].drop_nulls().unique()
                ids[home] = _unite(ids[home], new_ids) if home in ids else new_ids
    empty = pl.Series([], dtype=pl.String)
    return {home: ids.get(home, empty).sort() for home in homes}


def _unite(first: pl.Series, second: pl.Series) -> pl.Series:
    """Return the distinct ids of both; whole numbers only where both are."""
    if first.dtype != second.dtype:
        first, second = first.cast(pl.String), second.cast(pl.String)
    return pl.concat([first, second]).unique()


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


class InteractionChecker:
    """Checks and indexes interactions batch by batch.

    Parameters
    ----------
    users, items
        The ids that may be named; None where their table cannot be read.
    entities
        The ids of each entity's members; None where items or collections cannot be read.
    faulty
        Entities whose column of `items` has faults; rows that name them are not checked.
    signals
        Which signals are known and which mean use.
    findings
        Gets the faults and notes.
    derived
        Which of ``users`` and ``items`` are no table: their ids are those that good rows name, so that only rows that
        are bad already name others.
    """

    def __init__(
        self,
        users: Ids | None,
        items: Ids | None,
        entities: Mapping[str, Ids] | None,
        faulty: set[str],
        signals: SignalConfig,
        findings: Findings,
        derived: Collection[str] = (),
    ) -> None:
        self._users = None if users is None else KnownIds("users", users)
        self._items = None if items is None else KnownIds("items", items)
        self._entities = None if entities is None else {name: KnownIds(name, ids) for name, ids in entities.items()}
        self._faulty, self._signals, self._findings = faulty, signals, findings
        self._derived, self._n_unsorted = derived, 0

    def run(self, raw: RawTable, now: datetime | None = None) -> Interactions | None:
        """Read all interactions; return None where this table or another has faults."""
        interactions = self.read(raw, now)
        judge_interactions(self._findings, self._signals)
        if self._findings.faults:
            return None
        names = [file.source.name for file in raw.files]
        note_files(names, raw.format, self._findings)
        if self._n_unsorted and names[0]:  # a built-in dataset has no file names
            self._findings.note("interactions: rows are in order of neither user nor time; they were put in order.")
        return interactions

    def read(self, raw: RawTable, now: datetime | None = None) -> Interactions | None:
        """Read the interactions of a table, or of a part of one; return None where there are faults."""
        n_users = 0 if self._users is None else len(self._users.ids)
        writer = EventWriter(self.pairs, n_users, raw.n_rows, now)
        impression_writer = ImpressionWriter(n_users, raw.n_rows, now)
        n_weightless = 0
        for batch in raw.batches():
            coded = self.check_batch(batch, is_text=raw.is_text)
            if coded is None or not self._findings.are_usable:
                continue
            events, impressions = coded
            weighing = events.filter(pl.col("weight") > 0)
            n_weightless += events.height - weighing.height
            self._n_unsorted += not _is_in_order(weighing)
            writer.add(weighing)
            impression_writer.add(impressions)
        if not self._findings.are_usable:
            return None
        self._findings.note_rows("interactions.weight", n_weightless, raw.n_rows, "weigh 0 and were dropped")
        return Interactions(writer.finish(self._findings), impression_writer.finish(self._findings))

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The (signal, entity) pairs that interactions may have, by their code."""
        return sort_pairs([(s, e) for s in self._signals.known for e in (ITEM, *(self._entities or ()))])

    def check_batch(self, batch: RawBatch, *, is_text: bool) -> tuple[pl.DataFrame, pl.DataFrame | None] | None:
        """Find every fault in some rows, and index those that are kept; None where a column is missing.

        Returns
        -------
        events : polars.DataFrame
            What users did, see `code_rows`.
        impressions : polars.DataFrame
            What was shown to them, see `firstday.data.impressions.take_impressions`.
        """
        rows, user_ix, item_ix, keep = self._check(batch, is_text)
        columns = set(rows.columns)
        if user_ix is None or (self._entities is None and {"entity", "entity_id"} <= columns):
            return None
        if (item_ix is None and not {"entity", "entity_id"} <= columns) or not self._findings.are_usable:
            return None
        if keep is not None:
            rows, user_ix = rows.filter(pl.Series(keep)), user_ix[keep]
            item_ix = None if item_ix is None else item_ix[keep]
        impressions = take_impressions(rows, user_ix, item_ix, self._signals.use)
        rows, user_ix, item_ix = leave_out_shown(rows, user_ix, item_ix, self._findings)
        entities = {name: known.ids for name, known in (self._entities or {}).items()}
        return code_rows(rows, user_ix, item_ix, entities, self.pairs), impressions

    def usable_rows(self, batch: RawBatch, *, is_text: bool) -> pl.DataFrame:
        """Return the rows that are kept, in their final types."""
        rows, _, _, keep = self._check(batch, is_text)
        return rows if keep is None else rows.filter(pl.Series(keep))

    def _check(
        self, batch: RawBatch, is_text: bool
    ) -> tuple[pl.DataFrame, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """Find every fault in some rows; return them, their users, their items, and which are kept."""
        self._findings.at(batch.place)
        rows = conform_interactions(batch.frame, self._findings, is_text=is_text)
        has_targets = check_rows(rows, batch.frame.columns, self._findings)
        self._check_signals(rows)
        user_ix = self._look_up(rows, "user_id", self._users)
        item_ix = self._look_up(rows, "item_id", self._items)
        if self._entities is not None and {"entity", "entity_id"} <= set(rows.columns):
            self._check_entities(rows, self._entities)
        keep = self._findings.leave_out("interactions", batch.frame)
        if has_targets:
            self._tally(rows if keep is None else rows.filter(pl.Series(keep)))
        return rows, user_ix, item_ix, keep

    def _check_signals(self, rows: pl.DataFrame) -> None:
        """Find unknown signals."""
        if "signal" not in rows.columns:
            return
        known, signal = (*self._signals.known, SHOWN), rows["signal"]
        self._findings.rows(
            "interactions.signal",
            signal.is_not_null() & ~signal.is_in(list(known)),
            "have an unknown signal",
            signal,
            lambda example: (
                f"known are {', '.join(known)}{hint_at(str(example).lower(), known)}; name yours in the configuration "
                f"(signals.affinity.{example} = 1.0) {OR_DROP}"
            ),
        )

    def _tally(self, rows: pl.DataFrame) -> None:
        """Count what is judged when all rows are read: uses of items, and weights that look like star ratings."""
        tallies, everything = self._findings.tallies, pl.repeat(True, rows.height, eager=True)
        signal = rows["signal"] if "signal" in rows.columns else None
        weight = rows["weight"] if "weight" in rows.columns else None
        is_use = rows["item_id"].is_not_null() if "item_id" in rows.columns else ~everything
        if signal is not None:
            is_use &= signal.is_in(list(self._signals.use))
        elif DEFAULT_SIGNAL not in self._signals.use:
            is_use &= ~everything
        if weight is not None:
            is_use &= weight.fill_null(1.0) > 0
        tallies.update({"rows": rows.height, "uses": int(is_use.sum())})
        if weight is None or tallies["other weights"]:
            return
        is_star = weight.is_between(0, MOST_STARS) & (2 * weight == (2 * weight).floor())
        by_default = everything if signal is None else signal == DEFAULT_SIGNAL
        tallies.update(
            {
                "other weights": int((weight.is_not_null() & ~is_star).sum()),
                "weights": int(weight.is_not_null().sum()),
                "weights of the default signal": int((weight.is_not_null() & by_default).sum()),
                "weights above 5": int((weight > FIVE_STARS).sum()),
                **{f"weights up to {low}": int((weight <= low).sum()) for low, _ in STARS.values()},
                **{f"weights from {high}": int((weight >= high).sum()) for _, high in STARS.values()},
            }
        )

    def _look_up(self, rows: pl.DataFrame, column: str, known: KnownIds | None) -> np.ndarray | None:
        """Return the indexes of a column, and add the fault of unknown ids."""
        if known is None or column not in rows.columns:
            return None
        if known.name in self._derived:
            return known.look_up_known(rows[column])
        finding, advice = f"name unknown {known.name}", f"add them to {known.name} {OR_DROP}"
        return known.look_up(f"interactions.{column}", rows[column], finding, advice, self._findings)

    def _check_entities(self, rows: pl.DataFrame, entities: Mapping[str, KnownIds]) -> None:
        """Find rows with an entity or an entity's id that is in neither items nor collections."""
        entity = rows["entity"]
        is_unknown = entity.is_not_null() & ~entity.is_in([*entities, *self._faulty])
        entities_text = f"known are {', '.join(entities)}" if entities else "there are none yet"
        advice = f"{entities_text}; add such a column to items, or collections of it, {OR_DROP}"
        self._findings.rows("interactions.entity", is_unknown, "name an unknown entity", entity, advice)
        for name, known in entities.items():
            members = rows.select(pl.when(pl.col("entity") == name).then("entity_id"))["entity_id"]
            advice = f"add them to items or collections {OR_DROP}"
            known.look_up("interactions.entity_id", members, f"name an unknown {name}", advice, self._findings)


def note_files(names: Sequence[str], form: str, findings: Findings) -> None:
    """Note how many files interactions were read from, where there are several."""
    n_zipped = sum(name.endswith(".gz") for name in names)
    if len(names) > 1:
        zipped = f" ({n_zipped:,} of them gzipped)" if n_zipped else ""
        findings.note(f"interactions: {len(names):,} {form} files{zipped} were read as one table.")


def judge_interactions(findings: Findings, signals: SignalConfig) -> None:
    """Judge all interactions together by what was counted of each batch.

    Parameters
    ----------
    findings
        The findings of all batches; gets the faults and notes.
    signals
        Which signals mean use.
    """
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
    return rows["user_ix"].is_sorted() or timestamp.null_count() == rows.height or timestamp.is_sorted()


def check_rows(frame: pl.DataFrame, raw_columns: list[str], findings: Findings) -> bool:
    """Find interactions that no model can use; return whether their targets could be checked."""
    check_present("interactions", frame, findings)
    has_targets = _check_targets(frame, raw_columns, findings)
    if "signal" in frame.columns:
        empty = frame["signal"].is_null()
        findings.rows("interactions.signal", empty, "are empty", None, f"fill them in {OR_DROP}")
    if "weight" in frame.columns:
        where, weight = "interactions.weight", frame["weight"]
        endless = weight.is_not_null() & ~weight.cast(pl.Float32).is_finite()
        findings.rows(where, endless, "are NaN, infinite or beyond 3e38", weight, f"write finite numbers {OR_DROP}")
        advice = "write 0 or more; show dislike by signals such as skip and ban"
        findings.rows(where, (weight < 0) & weight.is_finite(), "are negative", weight, advice)
    return has_targets


def _check_targets(frame: pl.DataFrame, raw_columns: list[str], findings: Findings) -> bool:
    """Find rows with no target, two targets, or half an entity; return whether targets could be checked."""
    where, present = "interactions", {"item_id", "entity", "entity_id"} & {*raw_columns, *frame.columns}
    if not present:
        sentence = missing_column(where, "item_id", raw_columns)
        findings.fault(f"{sentence}, or entity and entity_id." if sentence.endswith("add it") else f"{sentence}.")
    for column, counterpart in (("entity", "entity_id"), ("entity_id", "entity")):
        if column in present and counterpart not in present:
            findings.fault(f"{where}.{counterpart}: the column is missing beside {column}; add it.")
    if len(present) == 1 and present <= set(frame.columns) & {"item_id"}:
        findings.rows(f"{where}.item_id", frame["item_id"].is_null(), "are empty", None, f"fill them in {OR_DROP}")
        return True
    if not {"entity", "entity_id"} <= present or not present <= set(frame.columns):
        return False
    entity, entity_id = frame["entity"].is_not_null(), frame["entity_id"].is_not_null()
    item = frame["item_id"].is_not_null() if "item_id" in present else pl.repeat(False, frame.height, eager=True)
    has_both = item & (entity | entity_id)
    findings.rows(where, has_both, "have both item_id and entity", None, "keep one of them in each row")
    has_neither = ~item & ~entity & ~entity_id
    findings.rows(where, has_neither, "have neither item_id nor entity", None, f"fill in one of them {OR_DROP}")
    has_half = ~item & (entity != entity_id)
    findings.rows(where, has_half, "have only one of entity and entity_id", None, f"fill in both {OR_DROP}")
    return True


def leave_out_shown(
    rows: pl.DataFrame, user_ix: np.ndarray, item_ix: np.ndarray | None, findings: Findings
) -> tuple[pl.DataFrame, np.ndarray, np.ndarray | None]:
    """Return interactions without impressions, and their users and items; see `code_rows`.

    Only items are shown: impressions of anything else are noted, and tell nothing.
    """
    if "signal" not in rows.columns:
        return rows, user_ix, item_ix
    is_shown = (rows["signal"] == SHOWN).to_numpy()
    n_shown = int(is_shown.sum())
    n_of_items = 0 if item_ix is None else int((is_shown & (item_ix >= 0)).sum())
    findings.note_rows("interactions.entity", n_shown - n_of_items, rows.height, SHOWN_ENTITIES)
    if not n_shown:
        return rows, user_ix, item_ix
    return rows.filter(pl.Series(~is_shown)), user_ix[~is_shown], None if item_ix is None else item_ix[~is_shown]


def code_rows(
    rows: pl.DataFrame,
    user_ix: np.ndarray,
    item_ix: np.ndarray | None,
    entities: Mapping[str, Ids],
    pairs: Sequence[Pair],
) -> pl.DataFrame:
    """Index interactions without faults.

    Parameters
    ----------
    rows
        Interactions in their final types.
    user_ix, item_ix
        int32, shape (n_rows,): indexes of users and items, -1 where a row is about an entity; None without items.
    entities
        The ids of each entity's members.
    pairs
        The (signal, entity) pairs, by their code.

    Returns
    -------
    polars.DataFrame
        Columns as in `events.EVENT_TYPES`.
    """
    columns, n = set(rows.columns), rows.height
    target_ix = np.full(n, -1, dtype=np.int32) if item_ix is None else item_ix.copy()
    entity = rows["entity"].fill_null(ITEM) if "entity" in columns else pl.repeat(ITEM, n, eager=True)
    for name in entity.unique().to_list() if "entity" in columns else ():
        if name != ITEM:
            is_member = (entity == name).to_numpy()
            target_ix[is_member] = entities[name].lookup(rows["entity_id"].filter(pl.Series(is_member)))
    signal = rows["signal"] if "signal" in columns else pl.repeat(DEFAULT_SIGNAL, n, eager=True)
    pair_codes = np.zeros(n, dtype=np.int64)
    signals, entity_names = sorted({s for s, _ in pairs}), sorted({e for _, e in pairs})
    table = np.array([[pairs.index((s, e)) for e in entity_names] for s in signals], dtype=np.uint16)
    if n:
        signal_codes = signal.replace_strict(signals, range(len(signals)), return_dtype=pl.Int64).to_numpy()
        entity_codes = entity.replace_strict(entity_names, range(len(entity_names)), return_dtype=pl.Int64).to_numpy()
        pair_codes = table[signal_codes, entity_codes]
    weight = rows["weight"].fill_null(1.0) if "weight" in columns else pl.repeat(1.0, n, eager=True)
    timestamp = (
        rows["timestamp"] if "timestamp" in columns else pl.Series([None], dtype=UTC_MICROSECONDS).new_from_index(0, n)
    )
    values = {"user_ix": user_ix, "pair": pair_codes, "target_ix": target_ix, "timestamp": timestamp, "weight": weight}
    return pl.DataFrame({name: pl.Series(values[name]).cast(kind) for name, kind in EVENT_TYPES.items()})
