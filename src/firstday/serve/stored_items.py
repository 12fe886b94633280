"""Item lists and new items, as stored; every worker holds them in memory, new items as part of the served model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from firstday.data.events import ITEM
from firstday.model.trained_model import TrainedModel
from firstday.recommend.added_items import AddedItems
from firstday.recommend.rules.list_rules import Rules
from firstday.serve.item_table import COLUMNS, as_list, to_table
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.store.base import (
    ITEM_USE,
    ITEMS,
    LISTS,
    ItemUse,
    NewItem,
    Store,
    scan_changed,
    to_time,
)
from firstday.tables.categories import entity_of_column

POLL_S = 0.5
"""Seconds between checks for changes by other workers."""
COUNT_EVERY_US = 600_000_000
"""Microseconds from one count of the use of new items to the next, and from an impression to its first count."""


class StoredItems:
    """The stored item lists and new items, held in memory; `poll` reads what other workers changed.

    New items are part of the current model's lists, except those that users of the model used; `count` learns from
    their use. A request reads `rules`, whose `lists` are the item lists, once and uses them throughout. If the store
    fails, what was read last remains in use.
    """

    def __init__(self, store: Store, holder: ModelHolder) -> None:
        self._store, self._holder, self.rules = store, holder, Rules()
        self._lists_us = -1
        self._placed: tuple[int, int, str] | None = None
        self._first_us: Mapping[str, int] = {}
        self._use = ItemUse()
        self._turn = asyncio.Lock()

    async def poll(self) -> None:
        """Read the lists if they have changed, and the items if they have, or the model, or their use was counted."""
        async with self._turn:
            changes = await self._store.find_changes()
            if changes.get(LISTS, 0) != self._lists_us:
                self.rules = Rules.model_construct(lists=await self._store.read_lists())
                self._lists_us = changes.get(LISTS, 0)
            served = self._holder.current
            to_place = changes.get(ITEMS, 0), changes.get(ITEM_USE, 0), served.version
            if to_place == self._placed:
                return
            items, self._use = await self._store.read_items()
            self._first_us = {item_id: one.first_us for item_id, one in items.items()}
            added = await asyncio.to_thread(place, served.trained, items, self._use)
            if served is self._holder.current:  # otherwise another model was loaded meanwhile
                self._holder.current = served.with_items(added, self._first_us)
                self._placed = to_place

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
        items, last = self._first_us, self._use
        until_us = self._store.log.now_us - COUNT_EVERY_US
        if not items or until_us < last.until_us + COUNT_EVERY_US:
            return
        since_us = last.until_us or min(items.values())
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
        await self.poll()  # another worker may have put them first
        stored: dict[str, NewItem | None] = dict.fromkeys(items)
        for item_id, values in items.items():
            if values is not None:
                first_us = self._first_us.get(item_id, self._store.log.now_us)
                stored[item_id] = NewItem({"added_at": to_time(first_us).isoformat(), **values}, first_us)
        await self._store.put(ITEMS, stored)
        await self.poll()


def place(model: TrainedModel, items: Mapping[str, NewItem], use: ItemUse) -> AddedItems | None:
    """Return the items that no user of the model used; None if there are none, or nothing was learned of any."""
    if model.content is None or not items:
        return None
    types = {name: column.dtype for name, column in model.catalogue.columns.items()}
    table = to_table(items, use, types)
    is_of_model = pl.col("vector").list.len() == model.content.n_numbers
    added = AddedItems.of(model, table.with_columns(pl.when(is_of_model).then("vector")))
    added.chances(model.segments.centroids[:1])  # computes what is cached before lists need it
    return added or None


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
