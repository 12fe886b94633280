"""Validation and indexing of interactions, in batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import polars as pl

from firstday.config import SHOWN, SignalConfig
from firstday.data.dataset import Entity
from firstday.data.events import EVENT_TYPES, Events, Pair, clean_events, code_pairs, sort_pairs
from firstday.data.ids import Ids
from firstday.data.impressions import TARGET_INDEX, USER_INDEX, WRITTEN_TYPES, clean_impressions, take_impressions
from firstday.data.user_rows import RowWriter, UserRows
from firstday.errors import count_of
from firstday.tables.conform import conform_interactions
from firstday.tables.faults import FILE, ROW, Findings, Rule, find_faults
from firstday.tables.raw_table import RawTable
from firstday.tables.rules import OR_DROP, RULES, empty_rules, reference_rule
from firstday.tables.schema import DEFAULT_SIGNAL, ITEM, UTC_MICROSECONDS, missing_column

BEST_RATING = 10
"""Maximum of rating scales; 5 is another."""
FEW_WEIGHTS = 20
"""Minimum number of weights for telling star ratings from counts."""
_WEIGHT = pl.col("weight")
ABSENT: Mapping[str, pl.Expr] = {
    **dict.fromkeys(("item_id", "entity", "entity_id", "list_id", "policy"), pl.lit(None, pl.String)),
    **dict.fromkeys(("weight", "position", "propensity"), pl.lit(None, pl.Float64)),
    "signal": pl.lit(DEFAULT_SIGNAL),
    "timestamp": pl.lit(None, UTC_MICROSECONDS),
}
"""Defaults for absent columns of interactions."""


_ITEM, _ENTITY, _ENTITY_ID = (pl.col(name).is_not_null() for name in ("item_id", "entity", "entity_id"))
TARGET_RULES = (
    Rule("have both item_id and entity", _ITEM & (_ENTITY | _ENTITY_ID), "keep one of them in each row"),
    Rule("have neither item_id nor entity", ~_ITEM & ~_ENTITY & ~_ENTITY_ID, f"fill in one of them {OR_DROP}"),
    Rule("have only one of entity and entity_id", ~_ITEM & (_ENTITY != _ENTITY_ID), f"fill in both {OR_DROP}"),
)
"""Rules for the target of an interaction, if entities are allowed."""
_IS_SHOWN = pl.col("signal") == SHOWN
IGNORED = (
    Rule(f"are {SHOWN!r} with another entity than item; only items are shown", _IS_SHOWN & _ENTITY, column="entity"),
    Rule("weigh 0 and were dropped", ~_IS_SHOWN & (_WEIGHT == 0), column="weight"),
)
"""Notes on valid rows that count neither as interactions nor as impressions."""


@dataclass(frozen=True, eq=False)
class Known:
    """Valid values of what interactions refer to.

    Parameters
    ----------
    users, items
        Ids; None if their table cannot be read.
    entities
        Entities other than items; None if items or collections cannot be read.
    signals
        Known signals, and which of them mean use; None allows any signal.
    faulty
        Names that are no unknown entities: those of columns of `items` with faults.
    derived
        Those of ``users`` and ``items`` that have no table. Their ids come from the valid rows, so that only rows
        already bad can refer to others.
    """

    users: Ids | None = None
    items: Ids | None = None
    entities: Mapping[str, Entity] | None = None
    signals: SignalConfig | None = None
    faulty: Collection[str] = ()
    derived: Collection[str] = ()

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Allowed (signal, entity) pairs, by code."""
        signals = () if self.signals is None else self.signals.known
        return sort_pairs([(signal, entity) for signal in signals for entity in (ITEM, *(self.entities or ()))])

    def index(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add index columns of users and targets (items or entity members), -1 if unknown."""
        users, targets = (
            np.full(rows.height, -1, dtype=np.int32)
            if ids is None or column not in rows.columns
            else ids.lookup(rows[column]).copy()
            for column, ids in (("user_id", self.users), ("item_id", self.items))
        )
        for name, entity in (self.entities or {}).items():
            is_member = (rows["entity"] == name).fill_null(value=False)
            targets[is_member.to_numpy()] = entity.ids.lookup(rows["entity_id"].filter(is_member))
        return rows.with_columns(pl.Series(USER_INDEX, users), pl.Series(TARGET_INDEX, targets))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Reference rules for interactions."""
        rules, signal, entity = [], pl.col("signal"), pl.col("entity")
        if self.signals is not None:
            allowed = (*self.signals.known, SHOWN)
            advice = f"known are {', '.join(allowed)}; declare others in the configuration (signals.affinity) {OR_DROP}"
            rules.append(Rule("have an unknown signal", ~signal.is_in(allowed), advice, "signal", signal))
        for column, home, index, ids in (
            ("user_id", "users", USER_INDEX, self.users),
            ("item_id", "items", TARGET_INDEX, self.items),
        ):
            if ids is not None and home not in self.derived:
                rules.append(reference_rule(column, home, ids.values, pl.col(index) < 0))
        if self.entities is not None:
            names = f"known are {', '.join(self.entities)}" if self.entities else "there are none yet"
            is_unknown = ~entity.is_in([*self.entities, *self.faulty])
            advice = f"{names}; add such a column to items, or collections of it, {OR_DROP}"
            rules.append(Rule("name an unknown entity", is_unknown, advice, "entity", entity))
            for name, known in self.entities.items():
                is_unknown = pl.col(TARGET_INDEX) < 0
                rules.append(reference_rule("entity_id", name, known.ids.values, is_unknown & (entity == name)))
        return tuple(rules)


def check_interactions(raw: pl.DataFrame, known: Known, findings: Findings, *, is_text: bool) -> pl.DataFrame:
    """Find every fault in a batch of interactions, and return the rows to keep, in their final types.

    Adds index columns; absent columns have the defaults of `ABSENT`.
    """
    rows, reasons = conform_interactions(raw, findings, is_text=is_text)
    targets = {"item_id", "entity", "entity_id"} & set(raw.columns)
    missing, columns = {"entity", "entity_id"} - targets, raw.drop(FILE, ROW).columns
    if not targets:
        findings.fault(missing_column("interactions", "item_id", columns, "add it, or entity and entity_id"))
    elif len(missing) == 1:
        (label,) = missing
        findings.fault(missing_column("interactions", label, columns))
    has_targets = bool(targets) and targets <= set(rows.columns) and len(missing) != 1
    absent = [value.alias(name) for name, value in ABSENT.items() if name not in rows.columns]
    rows = known.index(rows.with_columns(absent))
    rules = [*RULES["interactions"], *known.rules]
    if has_targets:
        rules[1:1] = TARGET_RULES if "entity" in targets else empty_rules("item_id")
    reasons |= find_faults("interactions", rows, rules, findings)
    rows = rows.filter(findings.leave_out("interactions", raw, reasons))
    if known.signals is not None and has_targets:
        findings.tallies.update(_tally(rows, known.signals))
    return rows


def _tally(rows: pl.DataFrame, signals: SignalConfig) -> dict[str | float, int]:
    """Count what is judged after all batches: uses of items, weights, and each weight that may be a star rating."""
    is_use = pl.col("item_id").is_not_null() & pl.col("signal").is_in(signals.use) & (_WEIGHT.fill_null(1.0) > 0)
    is_star = _WEIGHT.is_between(0, BEST_RATING) & (2 * _WEIGHT % 1 == 0)
    return {
        "rows": rows.height,
        "uses": rows.select(is_use.sum()).item(),
        "weights": rows["weight"].count(),
        **dict(rows.filter(is_star)["weight"].value_counts().rows()),
    }


def find_ids(raw: RawTable, signals: SignalConfig | None) -> dict[str, pl.Series]:
    """Return the distinct ids of ``users`` and ``items`` in interactions, sorted; with `signals`, of valid rows."""
    columns = [name for name in ("user_id", "item_id", "entity", "entity_id") if name in raw.columns]
    found: dict[str, list[pl.Series]] = {"user_id": [], "item_id": []}
    for batch in raw.batches(None if signals else columns) if columns else ():
        findings = Findings(drop=signals is not None)
        rows = check_interactions(batch, Known(signals=signals), findings, is_text=raw.is_text)
        for column, ids in found.items():
            if column in rows.columns:
                ids.append(rows[column].drop_nulls().unique())
    return {"users": unite_ids(found["user_id"]), "items": unite_ids(found["item_id"])}


def unite_ids(parts: Sequence[pl.Series]) -> pl.Series:
    """Return the distinct ids of all parts, sorted; Int64 only if all are integers."""
    frames = [part.to_frame("id") for part in parts if len(part)] or [pl.DataFrame(schema={"id": pl.String})]
    return pl.concat(frames, how="vertical_relaxed")["id"].unique().sort()


Interactions = tuple[Events, UserRows | None]
"""What users did, and what they were shown, with the columns of `IMPRESSION_TYPES`; None without impressions."""


def read_interactions(
    raw: RawTable | None, known: Known, findings: Findings, now: datetime | None = None
) -> Interactions | None:
    """Validate and index the interactions of a table or a part, if there are any; None if there are faults."""
    if raw is None:
        return index_interactions((), known, known.pairs, 0, findings, now)
    findings.sources["interactions"], is_text = raw.sources, raw.is_text
    checked = (check_interactions(batch, known, findings, is_text=is_text) for batch in raw.batches())
    is_known = None not in (known.users, known.items, known.entities)
    usable = (rows for rows in checked if is_known and not findings.faults)
    return index_interactions(usable, known, known.pairs, raw.n_rows, findings, now)


def index_interactions(
    batches: Iterable[pl.DataFrame],
    known: Known,
    pairs: tuple[Pair, ...],
    n_rows: int,
    findings: Findings,
    now: datetime | None = None,
) -> Interactions | None:
    """Index batches from `check_interactions`; None if there are faults.

    `pairs` lists the (signal, entity) pairs by code; `n_rows` is the expected number of interactions; `now` defaults to
    the clock.
    """
    n_users, use = 0 if known.users is None else len(known.users), () if known.signals is None else known.signals.use
    moment = pl.col("timestamp")
    first = moment.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    is_future = moment > (now or datetime.now(UTC))
    future = Rule("are in the future and were left out", is_future, column="timestamp", value=first)
    events, shown = RowWriter(EVENT_TYPES, n_users, n_rows), RowWriter(WRITTEN_TYPES, n_users, n_rows)
    for batch in batches:
        find_faults("interactions", batch, [future], findings)
        rows = batch.remove(future.bad)
        shown.add(take_impressions(rows, use))
        find_faults("interactions", rows, IGNORED, findings)
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


def judge_interactions(findings: Findings, signals: SignalConfig) -> None:
    """Judge all interactions by the tallies of their batches."""
    counts = findings.tallies
    if counts["rows"] and not counts["uses"]:
        findings.fault(
            f"interactions: no row says that an item is used (signals {', '.join(signals.use)}, weight above "
            "0); add such rows, or name the signals that mean use in the configuration (signals.use)."
        )
    stars = {star: n for star, n in counts.items() if isinstance(star, float)}
    n, best = counts["weights"], max(stars, default=0)
    are_stars = n >= FEW_WEIGHTS and n == sum(stars.values()) and len(stars) > 2
    if are_stars and sum(star * of_star for star, of_star in stars.items()) > n * best / 2:
        findings.note(
            f"interactions.weight: {count_of(n, counts['rows'], 'rows')} weigh up to {best:g}, and look like ratings: "
            "a low one still counts as use; see docs/tables.md."
        )
