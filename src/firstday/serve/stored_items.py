"""Item lists and new items, as stored; every worker holds them in memory, new items as part of the served model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import polars as pl
from pydantic_core import from_json, to_json

from firstday.data.events import ITEM
from firstday.model.item_content import content_of
from firstday.model.trained_model import TrainedModel
from firstday.recommend.added_items import COUNTS, AddedItems, predict_items
from firstday.recommend.rules.list_rules import Rules
from firstday.serve.http_errors import ApiError
from firstday.serve.item_table import COLUMNS, as_list, to_table
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.store.base import (
    ITEM_USE,
    ITEMS,
    LISTS,
    MAX_STORED_ITEMS,
    ItemUse,
    NewItem,
    Store,
    StoredEntry,
    scan_changed,
    to_time,
)
from firstday.tables.categories import entity_of_column

POLL_S = 0.5
"""Seconds between checks for changes by other workers."""
COUNT_EVERY_US = 600_000_000
"""Microseconds from one count of the use of new items to the next, and from an impression to its first count."""
PREDICTED_AT_ONCE = 200
"""Number of items whose words are in memory at once."""


class Put(NamedTuple):
    """When an item was put last and first (0: it is deleted), in microseconds since 1970, and its size."""

    us: int
    first_us: int
    n_bytes: int


class StoredItems:
    """The stored item lists and new items, held in memory; `poll` reads what other workers changed.

    New items are part of the current model's lists, except those that users of the model used; `count` learns from
    their use. Of an item, only what lists need is held in memory. A request reads `rules`, whose `lists` are the item
    lists, once and uses them throughout. If the store fails, what was read last remains in use.
    """

    def __init__(self, store: Store, holder: ModelHolder, max_bytes: int) -> None:
        self._store, self._holder, self._max_bytes, self.rules = store, holder, max_bytes, Rules()
        self._lists_us = -1
        self._read: tuple[int, int, TrainedModel | None] = (0, -1, None)
        self._puts: dict[str, Put] = {}
        self._predicted: list[pl.DataFrame] = []
        self._use = ItemUse()
        self._poll_turn, self._put_turn = asyncio.Lock(), asyncio.Lock()

    async def poll(self) -> None:
        """Read the lists if they have changed, and what changed of the items, or all of them for another model."""
        async with self._poll_turn:
            changes = await self._store.find_changes()
            if changes.get(LISTS, 0) != self._lists_us:
                self.rules = Rules.model_construct(lists=await self._store.read_lists())
                self._lists_us = changes.get(LISTS, 0)
            served = self._holder.current
            to_read = changes.get(ITEMS, 0), changes.get(ITEM_USE, 0), served.trained
            if to_read == self._read:
                return
            since_us, _, model = self._read
            if model is not served.trained or to_read[0] < since_us:  # the latter if a copy of the store was restored
                since_us, self._puts, self._predicted = 0, {}, []
            entries = await self._store.read_items(since_us)
            self._use = await self._store.read_item_use()
            added = await asyncio.to_thread(self._place, served.trained, entries)
            self._read = to_read
            if served is self._holder.current:  # otherwise another model was loaded meanwhile
                first_us = {item_id: one.first_us for item_id, one in self._find_current().items()}
                self._holder.current = served.with_items(added, first_us)

    def _find_current(self) -> dict[str, Put]:
        """Return the puts of items that are neither deleted nor expired."""
        oldest_us = self._store.log.rules.oldest_us(self._store.log.now_us)
        return {item_id: one for item_id, one in self._puts.items() if one.first_us and one.us >= oldest_us}

    def _place(self, model: TrainedModel, entries: Sequence[StoredEntry]) -> AddedItems | None:
        """Return the items that lists may have, given changed entries; None if there are none."""
        puts = dict(self._puts)
        for first in range(0, len(entries), PREDICTED_AT_ONCE):
            items = {}
            for _, us, _, body in entries[first : first + PREDICTED_AT_ONCE]:
                item_id, values = from_json(body)
                puts.pop(item_id, None)  # the most recently put last
                puts[item_id] = Put(us, values["first_us"] if values else 0, len(body.encode()))
                if values:
                    items[item_id] = NewItem(**values)
            content = content_of(model)
            if content is not None:
                types = {name: column.dtype for name, column in model.catalogue.columns.items()}
                is_of_model = pl.col("vector").list.len() == content.n_numbers
                table = to_table(items, self._use, types).with_columns(pl.when(is_of_model).then("vector"))
                self._predicted.append(predict_items(model, table))
        self._puts = dict(list(puts.items())[-MAX_STORED_ITEMS:])
        if not self._predicted:
            return None
        found = pl.concat(self._predicted).unique("item_id", keep="last", maintain_order=True)
        found = found.filter(pl.col("item_id").is_in(list(self._find_current())))
        counts = zip(COUNTS, (self._use.shown, self._use.used), strict=True)
        found = found.with_columns(
            pl.Series(name, [of_all.get(item_id, 0) for item_id in found["item_id"]], pl.Float64)
            for name, of_all in counts
        )
        self._predicted = [found]
        return AddedItems.join(model, found) or None

    async def put_list(self, name: str, items: Sequence[str] | None) -> None:
        """Store an item list, or delete it if `items` is None."""
        await self._store.put(LISTS, {name: items})
        await self.poll()

    async def count(self) -> None:
        """Count impressions and users of the new items since the last count, by any worker.

        If two workers count at once, either result is complete. The last minutes are left to the next count, as lists
        may still be told which of their items were seen.
        """
        await self.poll()  # another worker may have counted
        items, last = self._find_current(), self._use
        until_us = self._store.log.now_us - COUNT_EVERY_US
        if not items or until_us < last.until_us + COUNT_EVERY_US:
            return
        since_us = last.until_us or min(one.first_us for one in items.values())
        signals = self._holder.current.trained.config.signals.use
        shown, used = Counter(last.shown), Counter(last.used)
        async for owner, members, person in scan_changed(self._store.log, since_us):
            received = members[owner].received_between(since_us, until_us)
            impressions = [one for source, one in person.find_impressions() if source.received_us in received]
            uses = [one for one in reversed(person.events) if one.entity == ITEM and one.signal in signals]
            first_us = {one.entity_id: one.received_us for one in uses}
            shown.update(one.item_id for one in impressions)
            used.update(item for item, us in first_us.items() if us in received)
        totals = ({item: n for item, n in of_all.items() if item in items} for of_all in (shown, used))
        await self._store.put(ITEM_USE, asdict(ItemUse(until_us, *totals)))

    async def put_items(self, items: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Store new items by id, all or none, or delete those that are None."""
        async with self._put_turn:
            await self.poll()  # another worker may have put them first
            current = self._find_current()
            stored: dict[str, NewItem | None] = dict.fromkeys(items)
            for item_id, values in items.items():
                if values is not None:
                    first_us = current[item_id].first_us if item_id in current else self._store.log.now_us
                    stored[item_id] = NewItem({"added_at": to_time(first_us).isoformat(), **values}, first_us)
            n_bytes = sum(len(to_json(one)) for one in stored.items() if one[1])
            n_others = sum(one.n_bytes for item_id, one in current.items() if item_id not in items)
            if n_bytes and n_bytes + n_others > self._max_bytes:
                text = f"The new items would have more than {self._max_bytes:,} bytes; delete some, or shorten them."
                raise ApiError(409, "items_full", text)
            await self._store.put(ITEMS, stored)
            await self.poll()


def describe_ignored(served: ServedModel, item_id: str, values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value of an item that the model does not know, or for all of it."""
    added = served.recommender.added
    if added is None or added.ids.index_of(item_id) < 0:
        return ["the model knows the item, or it has learned nothing about new items, see its card"]
    catalogue = added.catalogue
    ignored = []
    for name, value in values.items():
        entity = entity_of_column(name)
        if name == "vector" and len(value) != added.content.n_numbers:
            n_numbers = added.content.n_numbers or "none"
            ignored.append(f"the vector has {len(value)} numbers, but those of the model's items have {n_numbers}")
        if name in COLUMNS:
            continue
        if name not in catalogue.columns:
            ignored.append(f"column {name!r} is unknown")
        elif entity in catalogue.entities:
            ignored += filter(None, (catalogue.find_unknown(None, entity, one) for one in as_list(value)))
    return ignored
