"""Interactions, a batch at a time: checked, indexed, put in order; memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import polars as pl

from firstday.config import SignalConfig
from firstday.data.checks import OR_DROP
from firstday.data.columns import conform_table
from firstday.data.events import ITEM, Events, Pair, sort_pairs
from firstday.data.findings import Findings
from firstday.data.ids import Ids
from firstday.data.interaction_rows import check_rows, code_rows, name_items
from firstday.data.raw import RawTable
from firstday.data.spool import EventWriter
from firstday.data.tables import DEFAULT_SIGNAL


class InteractionChecker:
    """Checks and indexes interactions batch by batch.

    Parameters
    ----------
    users, items
        The ids that may be named; None where their table cannot be read.
    entities
        The ids of each entity's members; None where items or collections cannot be read.
    faulty
        Entities whose own column has faults: what names them is not checked.
    signals
        Names the signals that may be carried and those that mean use.
    findings
        Gets the faults and notes.
    """

    def __init__(
        self,
        users: Ids | None,
        items: Ids | None,
        entities: Mapping[str, Ids] | None,
        faulty: set[str],
        signals: SignalConfig,
        findings: Findings,
    ) -> None:
        self._users, self._items, self._entities, self._faulty = users, items, entities, faulty
        self._signals, self._findings = signals, findings
        self._any_use: bool | None = None

    def run(self, raw: RawTable, now: datetime | None = None) -> Events | None:
        """Read everything; return None where anything, of this table or another, is at fault."""
        pairs = sort_pairs([(s, e) for s in self._signals.known for e in (ITEM, *(self._entities or ()))])
        n_rows = sum(file.select(pl.len()).collect().item() for file in raw.files)
        writer = EventWriter(pairs, len(self._users or ()), n_rows, now)
        n_weightless, n_files_unsorted = 0, 0
        for batch in raw.batches():
            rows = name_items(conform_table("interactions", batch, self._findings, is_text=raw.is_text))
            looked_at = check_rows(rows, batch.columns, self._findings)
            self._check_signals(rows, looked_at)
            coded = self._code(rows, pairs)
            if coded is None or self._findings.faults:
                continue
            weighing = coded.filter(pl.col("weight") > 0)
            n_weightless += coded.height - weighing.height
            n_files_unsorted += not _is_in_order(weighing)
            writer.add(weighing)
        self._check_use(n_rows)
        if self._findings.faults:
            return None
        self._note_reading(raw, n_rows, n_weightless, n_files_unsorted)
        return writer.finish(self._findings)

    def _check_signals(self, rows: pl.DataFrame, looked_at: bool) -> None:
        """Find unknown signals, and remember whether any row says that an item is used."""
        known, use = self._signals.known, self._signals.use
        if "signal" in rows.columns:
            signal = rows["signal"]
            unknown = signal.is_not_null() & ~signal.is_in(list(known))
            example = next(iter(signal.filter(unknown)), None)
            advice = (
                f"known are {', '.join(known)}; name yours in the configuration (signals.affinity.{example} = 1.0) "
                f"{OR_DROP}"
            )
            self._findings.rows("interactions.signal", unknown, "have an unknown signal", signal, advice)
        if not looked_at:
            return
        used = rows["item_id"].is_not_null() if "item_id" in rows.columns else pl.repeat(False, rows.height, eager=True)
        if "signal" in rows.columns:
            used &= rows["signal"].is_in(list(use))
        elif DEFAULT_SIGNAL not in use:
            used &= False
        if "weight" in rows.columns:
            used &= rows["weight"].fill_null(1.0) > 0
        self._any_use = bool(self._any_use) or bool(used.any())

    def _check_use(self, n_rows: int) -> None:
        """Find out whether anything says that items are used: popularity, lists and truth are made of it."""
        if n_rows and self._any_use is False:
            self._findings.fault(
                f"interactions: no row says that an item is used (signals {', '.join(self._signals.use)}, weight above "
                "0); add such rows, or name the signals that mean use in the configuration (signals.use)."
            )

    def _code(self, rows: pl.DataFrame, pairs: Sequence[Pair]) -> pl.DataFrame | None:
        """Find rows that name what is unknown, and index the others; None where a column is missing."""
        has = set(rows.columns)
        user_ix = self._look_up(rows, "user_id", self._users, "users")
        item_ix = self._look_up(rows, "item_id", self._items, "items")
        known_entities = self._entities is None or self._check_entities(rows, self._entities)
        if user_ix is None or not known_entities or (item_ix is None and not {"entity", "entity_id"} <= has):
            return None
        if self._findings.faults:
            return None
        return code_rows(rows, user_ix, item_ix, self._entities or {}, pairs)

    def _look_up(self, rows: pl.DataFrame, column: str, ids: Ids | None, home: str) -> np.ndarray | None:
        """Return the indexes of a column, counting those that are unknown."""
        if ids is None or column not in rows.columns:
            return None
        found = ids.lookup(rows[column])
        unknown = rows[column].is_not_null() & pl.Series(found < 0)
        advice = f"add them to {home} {OR_DROP}"
        self._findings.rows(f"interactions.{column}", unknown, f"name unknown {home}", rows[column], advice)
        return found

    def _check_entities(self, rows: pl.DataFrame, entities: Mapping[str, Ids]) -> bool:
        """Find rows with an entity, or an entity's id, that neither items nor collections have."""
        if not {"entity", "entity_id"} <= set(rows.columns):
            return True
        entity, ids = rows["entity"], rows["entity_id"]
        unknown = entity.is_not_null() & ~entity.is_in([*entities, *self._faulty])
        known = f"known are {', '.join(entities)}" if entities else "there are none yet"
        advice = f"{known}; add such a column to items, or collections of it, {OR_DROP}"
        self._findings.rows("interactions.entity", unknown, "name an unknown entity", entity, advice)
        for name, members in entities.items():
            own = (entity == name).fill_null(value=False)
            if own.any():
                mine = ids.filter(own)
                stray = np.zeros(rows.height, dtype=bool)
                stray[own.to_numpy()] = (members.lookup(mine) < 0) & mine.is_not_null().to_numpy()
                advice = f"add them to items or collections {OR_DROP}"
                self._findings.rows("interactions.entity_id", pl.Series(stray), f"name an unknown {name}", ids, advice)
        return True

    def _note_reading(self, raw: RawTable, n_rows: int, n_weightless: int, n_unsorted: int) -> None:
        """Say what reading made of the files."""
        self._findings.note_rows("interactions.weight", n_weightless, n_rows, "weigh 0 and were dropped")
        n_zipped = sum(name.endswith(".gz") for name in raw.names)
        if len(raw.files) > 1:
            kind = "CSV" if raw.is_text else "Parquet"
            zipped = f" ({n_zipped:,} of them gzipped)" if n_zipped else ""
            self._findings.note(f"interactions: {len(raw.files):,} {kind} files{zipped} were read as one table.")
        if n_unsorted and raw.names[0]:  # not what a source of firstday itself has read
            self._findings.note("interactions: rows are in order of neither user nor time; they were put in order.")


def _is_in_order(rows: pl.DataFrame) -> bool:
    """Tell whether rows are sorted by user or by time, or have no time to be sorted by."""
    at = rows["timestamp"]
    return rows["user_ix"].is_sorted() or at.null_count() == rows.height or at.is_sorted()
