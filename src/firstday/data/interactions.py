"""Validation and indexing of interactions, in batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import product

import numpy as np
import polars as pl

from firstday.config import SHOWN, SignalConfig
from firstday.data.dataset import Entity
from firstday.data.events import EVENT_TYPES, Events, Pair, clean_events, code_pairs, sort_pairs
from firstday.data.ids import Ids
from firstday.data.impressions import TARGET_INDEX, USER_INDEX, WRITTEN_TYPES, clean_impressions, select_impressions
from firstday.data.user_rows import RowWriter, UserRows
from firstday.tables.conform import conform_interactions
from firstday.tables.faults import FILE, OR_DROP, ROW, Findings, Rule, find_faults
from firstday.tables.guests import name_persons
from firstday.tables.raw_table import RawTable
from firstday.tables.rules import RULES, empty_rules, reference_rule
from firstday.tables.schema import DEFAULT_SIGNAL, ITEM, UTC_MICROSECONDS, missing_column

MAX_RATING = 10
"""Highest value of common rating scales."""
MIN_WEIGHTS = 20
"""Minimum number of weights to distinguish star ratings from counts."""
_WEIGHT = pl.col("weight")
ABSENT: Mapping[str, pl.Expr] = {
    **dict.fromkeys(("item_id", "entity", "entity_id", "list_id", "policy"), pl.lit(None, pl.String)),
    **dict.fromkeys(("weight", "rating", "position", "propensity"), pl.lit(None, pl.Float64)),
    "signal": pl.lit(DEFAULT_SIGNAL),
    "timestamp": pl.lit(None, UTC_MICROSECONDS),
}
"""Defaults for absent columns of interactions."""


_ITEM, _ENTITY, _ENTITY_ID = (pl.col(name).is_not_null() for name in ("item_id", "entity", "entity_id"))
TARGET_RULE = Rule(
    "do not have exactly one target",
    (_ITEM == _ENTITY) | (_ENTITY != _ENTITY_ID),
    "no_single_target",
    f"give either item_id, or entity and entity_id, {OR_DROP}",
)
"""Rule for the target of an interaction, if the table has entities."""
_HAS_NO_TARGET = pl.col(TARGET_INDEX) < 0
_IS_SHOWN = pl.col("signal").eq_missing(SHOWN)
_IS_OF_NOBODY = pl.col(USER_INDEX) < 0
IGNORED = (
    Rule("are impressions of unknown users and were left out", _IS_SHOWN & _IS_OF_NOBODY, column="user_id"),
    Rule(
        f"are {SHOWN!r} with an entity other than item; only items can be shown", _IS_SHOWN & _ENTITY, column="entity"
    ),
    Rule(
        "have weight 0, or a rating below signals.rating, and were dropped",
        ~_IS_SHOWN & (_WEIGHT == 0),
        column="weight",
    ),
)
"""Notes on valid rows that count neither as interactions nor as impressions."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Valid values in interactions; None if their table cannot be read."""

    users: Ids | None = None
    items: Ids | None = None
    entities: Mapping[str, Entity] | None = None  # entities other than items
    signals: SignalConfig | None = None  # known signals, and which of them mean use; None allows any signal
    faulty: Collection[str] = ()  # entities whose column of `items` has faults; they are not reported as unknown
    guests: pl.DataFrame | None = None  # see `firstday.tables.guests.split_guests`
    # Those of ``users`` and ``items`` that have no table. Their ids come from the valid interactions, so references to
    # them are not checked.
    derived: Collection[str] = ()

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Allowed (signal, entity) pairs, by code."""
        signals = () if self.signals is None else self.signals.names
        return sort_pairs(product(signals, (ITEM, *(self.entities or ()))))

    def index(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add index columns of users and targets (items or entity members), -1 if unknown."""
        nobody = pl.repeat(None, rows.height, dtype=pl.String, eager=True)
        user_ids = rows.get_column("user_id", default=nobody).to_frame("user_id")
        if self.guests is not None:
            user_ids = name_persons(user_ids, self.guests)
        users = _lookup(self.users, user_ids["user_id"])
        targets = _lookup(self.items, rows["item_id"])
        for name, entity in (self.entities or {}).items():
            is_member = (rows["entity"] == name).fill_null(False)
            targets[is_member.to_numpy()] = entity.ids.lookup(rows["entity_id"].filter(is_member))
        return rows.with_columns(pl.Series(USER_INDEX, users), pl.Series(TARGET_INDEX, targets))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Reference rules for interactions."""
        rules = []
        signal = pl.col("signal")
        entity = pl.col("entity")
        if self.signals is not None:
            allowed = (*self.signals.names, SHOWN)
            advice = (
                f"known signals: {', '.join(allowed)}; add others to the configuration (signals.affinity) {OR_DROP}"
            )
            rules.append(
                Rule("have an unknown signal", ~signal.is_in(allowed), "unknown_signal", advice, "signal", signal)
            )
        if self.users is not None and "users" not in self.derived:
            rules.append(reference_rule("user_id", "users", self.users.values, ~_IS_SHOWN & _IS_OF_NOBODY))
        if self.items is not None and "items" not in self.derived:
            rules.append(reference_rule("item_id", "items", self.items.values, _HAS_NO_TARGET, "unknown_target"))
        if self.entities is not None:
            is_other = ~entity.is_in([*self.entities, *self.faulty])
            names = ", ".join(self.entities) or "none"
            advice = f"known entities: {names}; add such a column to items, or collections of it, {OR_DROP}"
            rules.append(Rule("refer to an unknown entity", is_other, "unknown_entity", advice, "entity", entity))
            for name, members in self.entities.items():
                is_unknown = _HAS_NO_TARGET & (entity == name)
                rules.append(reference_rule("entity_id", name, members.ids.values, is_unknown, "unknown_target"))
        return tuple(rules)


def _lookup(ids: Ids | None, values: pl.Series) -> np.ndarray:
    """Return the index of each id, int32, writable, shape (n,), -1 if unknown."""
    return np.full(len(values), -1, dtype=np.int32) if ids is None else ids.lookup(values).copy()


def check_interactions(raw: pl.DataFrame, vocabulary: Vocabulary, findings: Findings, *, is_text: bool) -> pl.DataFrame:
    """Find all faults in a batch of interactions; return the rows to keep, in their final types.

    Adds index columns; absent columns get the defaults of `ABSENT`.
    """
    rows, reasons = conform_interactions(raw, findings, is_text=is_text)
    targets = {"item_id", "entity", "entity_id"} & set(raw.columns)
    if not targets:
        columns = raw.drop(FILE, ROW).columns
        findings.report(missing_column("interactions", "item_id", columns, "add it, or entity and entity_id"))
    has_targets = bool(targets) and targets <= set(rows.columns)
    absent = [value.alias(name) for name, value in ABSENT.items() if name not in rows.columns]
    rows = vocabulary.index(rows.with_columns(absent))
    if (least := findings.config.signals.rating) is not None:
        rows = rows.with_columns(weight=pl.when(pl.col("rating") < least).then(0.0).otherwise("weight"))
    rules = [*RULES["interactions"], *vocabulary.rules]
    if has_targets:
        rules[1:1] = empty_rules("item_id") if targets == {"item_id"} else [TARGET_RULE]
    reasons |= find_faults("interactions", rows, rules, findings)
    rows = rows.filter(findings.leave_out("interactions", raw, reasons))
    if vocabulary.signals is not None and has_targets:
        findings.tallies.update(_tally(rows, vocabulary.signals))
    return rows


def _tally(rows: pl.DataFrame, signals: SignalConfig) -> dict[str | float, int]:
    """Count what `check_tallies` needs: rows, uses of items, and each weight that may be a rating."""
    is_use = pl.col("signal").is_in(signals.use) & (_WEIGHT.fill_null(1.0) > 0) & _ITEM
    is_star = _WEIGHT.is_between(0, MAX_RATING) & (2 * _WEIGHT % 1 == 0)
    stars = rows.filter(is_star)["weight"].value_counts()
    return {"rows": rows.height, "uses": rows.filter(is_use).height, **dict(stars.rows())}


def find_ids(raw: RawTable, options: Findings) -> dict[str, pl.Series]:
    """Return the sorted distinct ids of ``users`` and ``items`` in interactions, in valid rows if bad ones are dropped.

    The `options` of reading are those of findings, to which nothing is added.
    """
    columns = [name for name in ("user_id", "item_id", "entity", "entity_id") if name in raw.columns]
    users = []
    items = []
    findings = options.fresh()
    vocabulary = Vocabulary(signals=findings.config.signals if findings.drop else None)
    for batch in raw.batches(None if findings.drop else columns):
        rows = check_interactions(batch, vocabulary, findings, is_text=raw.is_text)
        users.append(rows.get_column("user_id", default=pl.Series([])).drop_nulls().unique())
        items.append(rows["item_id"].drop_nulls().unique())
    return {"users": unite_ids(users), "items": unite_ids(items)}


def unite_ids(parts: Sequence[pl.Series]) -> pl.Series:
    """Return the distinct ids of all parts, sorted; Int64 only if all are integers."""
    frames = [part.to_frame("id") for part in parts if len(part)]
    ids = pl.concat(frames or [pl.DataFrame(schema={"id": pl.String})], how="vertical_relaxed")["id"]
    return ids.unique().sort()


Interactions = tuple[Events, UserRows | None]
"""Events, and impressions with the columns of `IMPRESSION_TYPES`; None without impressions."""


def read_interactions(
    raw: RawTable | None, vocabulary: Vocabulary, findings: Findings, now: datetime | None = None
) -> Interactions | None:
    """Validate and index the interactions of a table or a part, if any; return None if there are faults."""
    if raw is None:
        return index_interactions((), vocabulary, vocabulary.pairs, 0, findings, now)
    is_usable = None not in (vocabulary.users, vocabulary.items, vocabulary.entities)
    checked = (check_interactions(batch, vocabulary, findings, is_text=raw.is_text) for batch in raw.batches())
    usable = (rows for rows in checked if is_usable and not findings.faults)
    return index_interactions(usable, vocabulary, vocabulary.pairs, raw.n_rows, findings, now)


def index_interactions(
    batches: Iterable[pl.DataFrame],
    vocabulary: Vocabulary,
    pairs: tuple[Pair, ...],
    n_rows: int,
    findings: Findings,
    now: datetime | None = None,
) -> Interactions | None:
    """Index batches from `check_interactions`; return None if there are faults.

    `pairs` lists the (signal, entity) pairs by code; `n_rows` is the expected number of interactions; `now` defaults to
    the current time.
    """
    n_users = len(vocabulary.users or ())
    use = vocabulary.signals.use if vocabulary.signals else ()
    moment = pl.col("timestamp")
    first = moment.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    is_future = moment > (now or datetime.now(UTC))
    future = Rule("are in the future and were left out", is_future, column="timestamp", value=first)
    events = RowWriter(EVENT_TYPES, n_users, n_rows)
    shown = RowWriter(WRITTEN_TYPES, n_users, n_rows)
    for batch in batches:
        find_faults("interactions", batch, [future, *IGNORED], findings)
        rows = batch.remove(future.bad | _IS_OF_NOBODY | _HAS_NO_TARGET)
        shown.add(select_impressions(rows, use))
        coded = rows.remove(_IS_SHOWN | (_WEIGHT == 0)).select(
            "timestamp",
            "signal",
            pl.col("entity").cast(pl.String).fill_null(ITEM),
            _WEIGHT.fill_null(1.0),
            user_ix=USER_INDEX,
            target_ix=TARGET_INDEX,
        )
        events.add(code_pairs(coded, pairs))
    if findings.faults:
        return None
    sorted_events = events.finish(lambda rows: clean_events(rows, findings))
    impressions = shown.finish(lambda rows: clean_impressions(rows, findings))
    return Events.of_rows(pairs, sorted_events), impressions if len(impressions) else None


def check_tallies(findings: Findings, signals: SignalConfig) -> None:
    """Check the tallies of all batches: whether any item is used, and whether weights look like ratings."""
    counts = findings.tallies
    if counts["rows"] and not counts["uses"]:
        text = (
            f"no row is a use of an item (signals {', '.join(signals.use)}, weight above 0); add such rows, or name "
            "the signals that mean use in the configuration (signals.use)."
        )
        findings.fault("no_use", text, "interactions")
    stars = {star: n for star, n in counts.items() if isinstance(star, float)}
    n = sum(stars.values())
    best = max(stars, default=0)
    are_stars = n == counts["rows"] >= MIN_WEIGHTS and len(stars) > 2
    if are_stars and sum(star * n_ratings for star, n_ratings in stars.items()) > n * best / 2:
        text = (
            f"all {n:,} weights, up to {best:g}, look like ratings, of which low ones also count as use; add --column "
            "weight=rating, and the least that is a use: --set signals.rating=4."
        )
        findings.note(text, "interactions", "weight")
