"""Item lists and new items, as stored; every worker holds them in memory, new items as part of the served model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl
from pydantic_core import from_json, to_json

from firstday.data.events import ITEM
from firstday.model.item_content import content_of
from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.attributes import (
    ATTRIBUTES,
    COUNTS,
    as_list,
    describe_items,
    find_content,
    set_counts,
    tabulate,
)
from firstday.recommend.new_items.new_items import NewItems
from firstday.recommend.rules.list_rules import Rules
from firstday.serve.http_errors import ApiError
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.store.log import ITEM_USE, ITEMS, LISTS, MAX_NEW, StoredEntry
from firstday.serve.store.records import ItemUse, StoredItem, to_time
from firstday.serve.store.store import Store, scan_changed
from firstday.tables.categories import entity_of_column

POLL_S = 0.5
"""Seconds between checks for changes by other workers."""
COUNT_EVERY_US = 600_000_000
"""Microseconds from one count of the use of new items to the next, and from an impression to its first count."""
DESCRIBED_AT_ONCE = 200
"""Number of items whose words are in memory at once."""
LAST_US, FIRST_US, N_BYTES = PUTS = "firstday: put last", "firstday: put first", "firstday: bytes"
"""Columns of stored items: when they were put last and first (0: deleted), in microseconds since 1970; their size."""


class StoredItems:
    """The stored item lists and new items, held in memory; `poll` reads what other workers changed.

    New items are part of the current model's lists, except those that users of the model used; `count` learns from
    their use. Of an item, only `PUTS` and what lists need is held in memory. A request reads `rules`, whose `lists` are
    the item lists, once and uses them throughout. If the store fails, what was read last remains in use.
    """

    def __init__(self, store: Store, holder: ModelHolder, max_bytes: int) -> None:
        self._store, self._holder, self._max_bytes, self.rules = store, holder, max_bytes, Rules()
        self._lists_us = -1
        self._read: tuple[int, int, TrainedModel | None] = (0, -1, None)
        self._items = pl.DataFrame()
        self._use = ItemUse()
        self._poll_turn, self._put_turn = asyncio.Lock(), asyncio.Lock()

    async def poll(self) -> None:
        """Read the lists if they have changed, and what changed of the items, or all of them for another model."""
        async with self._poll_turn:
            changes = await self._store.find_changes()
            lists_us, items_us, use_us = (changes.get(owner, 0) for owner in (LISTS, ITEMS, ITEM_USE))
            if lists_us != self._lists_us:
                self.rules = Rules.model_construct(lists=await self._store.read_lists())
                self._lists_us = lists_us
            served = self._holder.current
            to_read = items_us, use_us, served.trained
            if to_read != self._read:
                await self._read_items(served, items_us)
                self._read = to_read

    async def _read_items(self, served: ServedModel, until_us: int) -> None:
        """Read what changed of the items until a time, and put them into the lists of the current model."""
        model = served.trained
        since_us, _, read_model = self._read
        items = self._items
        if model is not read_model or until_us < since_us:  # the latter if a copy of the store was restored
            since_us = 0
            items = _read_entries(model, [])
        entries = await self._store.read_items(since_us)
        self._use = await self._store.read_item_use()
        new = await asyncio.to_thread(self._update, model, items, entries)
        if served is self._holder.current:  # otherwise another model was loaded meanwhile
            first_us = dict(self._find_current().select("item_id", FIRST_US).iter_rows())
            self._holder.current = served.with_items(new, first_us)

    def _update(self, model: TrainedModel, items: pl.DataFrame, entries: Sequence[StoredEntry]) -> NewItems | None:
        """Add changed entries to the items that were read before; return those that lists may have."""
        starts = range(0, len(entries), DESCRIBED_AT_ONCE)
        changed = [_read_entries(model, entries[start : start + DESCRIBED_AT_ONCE]) for start in starts]
        joined = pl.concat([items, *changed]).unique("item_id", keep="last", maintain_order=True)
        self._items = joined.tail(MAX_NEW)
        current = set_counts(self._find_current(), self._use.counts)
        return None if content_of(model) is None else NewItems.join(model, current)

    def _find_current(self) -> pl.DataFrame:
        """Return the items that are neither deleted nor expired, the most recently put last."""
        oldest_us = self._store.log.rules.oldest_us(self._store.log.now_us)
        return self._items.filter(pl.col(FIRST_US) > 0, pl.col(LAST_US) >= oldest_us)

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
        items = self._find_current()
        last = self._use
        until_us = self._store.log.now_us - COUNT_EVERY_US
        if items.is_empty() or until_us < last.until_us + COUNT_EVERY_US:
            return
        since_us = last.until_us or int(items[FIRST_US].to_numpy().min())
        counts = {name: Counter(last.counts.get(name)) for name in COUNTS}
        signals = self._holder.current.trained.config.signals.use
        async for owner, members, person in scan_changed(self._store.log, since_us):
            received = members[owner].received_between(since_us, until_us)
            impressions = [one for source, one in person.find_impressions() if source.received_us in received]
            counts["n_shown"].update(one.item_id for one in impressions)
            uses = [one for one in reversed(person.events) if one.entity == ITEM and one.signal in signals]
            first_us = {one.entity_id: one.received_us for one in uses}
            counts["n_used"].update(item for item, us in first_us.items() if us in received)
        current = set(items["item_id"])
        of_items = {name: {item: n for item, n in of_all.items() if item in current} for name, of_all in counts.items()}
        await self._store.put(ITEM_USE, asdict(ItemUse(until_us, of_items)))

    async def put_items(self, items: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Store new items by id, all or none, or delete those that are None."""
        async with self._put_turn:
            await self.poll()  # another worker may have put them first
            current = self._find_current()
            is_put = pl.col("item_id").is_in(list(items))
            first_us = dict(current.filter(is_put).select("item_id", FIRST_US).iter_rows())
            stored: dict[str, StoredItem | None] = dict.fromkeys(items)
            for item_id, values in items.items():
                if values is not None:
                    us = first_us.get(item_id, self._store.log.now_us)
                    stored[item_id] = StoredItem({"added_at": to_time(us).isoformat(), **values}, us)
            n_bytes = sum(len(to_json(one)) for one in stored.items() if one[1])
            n_others = current.remove(is_put)[N_BYTES].sum()
            if n_bytes and n_bytes + n_others > self._max_bytes:
                text = f"The new items would have more than {self._max_bytes:,} bytes; delete some, or shorten them."
                raise ApiError(409, "items_full", text)
            await self._store.put_items(stored, kept=())
            await self.poll()


def _read_entries(model: TrainedModel, entries: Sequence[StoredEntry]) -> pl.DataFrame:
    """Return `PUTS` of each entry, with what lists need of the item if the model has learned about new items."""
    rows = []
    puts = []
    for _, us, _, body in entries:
        item_id, item = from_json(body)
        one = StoredItem(**item) if item else StoredItem({}, 0)
        rows.append({**one.values, "item_id": item_id})
        puts.append((us, one.first_us, len(body.encode())))
    types = {name: column.dtype for name, column in model.catalogue.columns.items()}
    table = tabulate(rows, types)
    content = content_of(model)
    if content is None:
        described = table.select("item_id")
    else:
        is_of_model = pl.col("vector").list.len() == content.n_numbers
        described = describe_items(model, table.with_columns(pl.when(is_of_model).then("vector")))
    return described.hstack(pl.DataFrame(puts, dict.fromkeys(PUTS, pl.Int64), orient="row"))


def describe_ignored(served: ServedModel, item_id: str, values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value of an item that the model does not know, or for all of it."""
    new_items = served.recommender.current_items
    if new_items is None or new_items.ids.index_of(item_id) < 0:
        return ["the model knows the item, or it has learned nothing about new items, see its card"]
    catalogue = new_items.catalogue
    n_numbers = find_content(served.trained).n_numbers
    ignored = []
    for name, value in values.items():
        entity = entity_of_column(name)
        if name == "vector" and len(value) != n_numbers:
            ignored.append(
                f"the vector has {len(value)} numbers, but those of the model's items have {n_numbers or 'none'}"
            )
        if name in COUNTS:
            ignored.append(f"the service counts {name!r} itself")
        if name in ATTRIBUTES:
            continue
        if name not in catalogue.columns:
            ignored.append(f"column {name!r} is unknown")
        elif entity in catalogue.entities:
            ignored += filter(None, (catalogue.find_unknown(None, entity, one) for one in as_list(value)))
    return ignored
