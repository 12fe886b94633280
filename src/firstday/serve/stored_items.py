"""Item lists and items, as stored; every worker holds them in memory, items as part of the served model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl
from pydantic_core import from_json, to_json

from firstday.data.events import ITEM
from firstday.model.item_content import content_of
from firstday.model.trained_model import TrainedModel
from firstday.recommend.new_items.attributes import COUNTS, as_list, find_content, set_counts, tabulate
from firstday.recommend.new_items.current_items import (
    LISTING,
    NEVER,
    CurrentItems,
    describe_new,
    find_fulfilled,
    find_known,
    join_items,
    state_items,
)
from firstday.recommend.rules.list_rules import Rules
from firstday.serve.http_errors import ApiError
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.store.log import ITEM_USE, ITEMS, KEPT_ITEMS, LISTS, MAX_NEW, StoredEntry
from firstday.serve.store.records import ItemUse, StoredItem, to_time
from firstday.serve.store.store import Store, scan_changed
from firstday.tables.categories import entity_of_column
from firstday.tables.schema import RECOMMENDABLE

POLL_S = 0.5
"""Seconds between checks for changes by other workers."""
COUNT_EVERY_US = 600_000_000
"""Microseconds from one count of the use of new items to the next, and from an impression to its first count."""
DESCRIBED_AT_ONCE = 200
"""Number of items whose words are in memory at once."""
MAX_UPDATES = MAX_WITHDRAWN = 100_000
"""Maximum number of updated items of the model, and of withdrawn items."""
LAST_US, FIRST_US, WITHDRAWN_US, N_BYTES, IS_KEPT = PUTS = (
    "firstday: put last",
    "firstday: put first",
    "firstday: withdrawn",
    "firstday: bytes",
    "firstday: is kept",
)
"""Columns of stored items: when they were put last and first and withdrawn (0: not), in microseconds since
1970; their size; and whether they never expire."""
IS_WITHDRAWN = pl.col(WITHDRAWN_US) > 0


class StoredItems:
    """The stored item lists and items, held in memory; `poll` reads what other workers changed.

    Items are part of the current model's lists: new ones, and updates and withdrawals of those that it knows; `count`
    learns from the use of new ones. Of an item, only `PUTS` and what lists need is held in memory. A request reads
    `rules`, whose `lists` are the item lists, once and uses them throughout. If the store fails, what was read last
    remains in use.
    """

    def __init__(self, store: Store, holder: ModelHolder, max_bytes: int) -> None:
        self._store, self._holder, self._max_bytes, self.rules = store, holder, max_bytes, Rules()
        self._lists_us = -1
        self._read: tuple[int, int, TrainedModel | None] = (0, -1, None)
        self._tables, _ = _read_entries(holder.current.trained, [])
        self._next_expiry = NEVER
        self._use = ItemUse()
        self._poll_turn, self._put_turn = asyncio.Lock(), asyncio.Lock()
        holder.serve = self.poll

    async def poll(self, loaded: ServedModel | None = None) -> None:
        """Read the lists if they have changed, and what changed of the items.

        A model that was loaded becomes the current one, with all items; if the store fails, it does not.
        """
        async with self._poll_turn:
            changes = await self._store.find_changes()
            lists_us, items_us, use_us = (changes.get(owner, 0) for owner in (LISTS, ITEMS, ITEM_USE))
            if lists_us != self._lists_us:
                self.rules = Rules.model_construct(lists=await self._store.read_lists())
                self._lists_us = lists_us
            served = loaded or self._holder.current
            to_read = items_us, use_us, served.trained
            is_expired = to_time(self._store.log.now_us).isoformat() > self._next_expiry
            if to_read != self._read or is_expired:
                await self._read_items(served, items_us)
                self._read = to_read

    async def _read_items(self, served: ServedModel, until_us: int) -> None:
        """Read what changed of the items until a time, and put them into the lists of a model, which is served."""
        model = served.trained
        since_us, _, read_model = self._read
        is_other = model is not read_model or until_us < since_us  # the latter if a copy of the store was restored
        entries = await self._store.read_items(0 if is_other else since_us)
        use = await self._store.read_item_use()
        ended: dict[str, StoredItem | None] = {}
        tables, stored = await asyncio.to_thread(_read_entries, model, entries)
        if is_other:
            ended = await asyncio.to_thread(_end_updates, tables, model, stored)
            is_left = ~pl.col("item_id").is_in([item_id for item_id, item in ended.items() if item is None])
            tables = {name: table.filter(is_left) for name, table in tables.items()}
        else:
            tables = {name: _replace_rows(self._tables[name], table) for name, table in tables.items()}
        current = await asyncio.to_thread(self._join, model, tables, use)
        if ended:
            await self._store.put_items(ended, ended, until_us)
        self._tables, self._use, self._next_expiry = tables, use, current.next_expiry
        first_us = dict(current.new.items.select("item_id", FIRST_US).iter_rows())
        is_changed = len(current.changed) > 0 or len(current.new) > 0
        self._holder.current = served.with_items(current if is_changed else None, first_us)
        n_withdrawn = self._find_live(tables).filter(IS_WITHDRAWN).height
        n_changed = int((current.changed < model.n_items).sum())
        self._holder.metrics.set_items(len(current.new), n_changed, n_withdrawn)

    def _join(self, model: TrainedModel, tables: Mapping[str, pl.DataFrame], use: ItemUse) -> CurrentItems:
        """Return the items as they are now."""
        live = self._find_live(tables)
        may_list = pl.when(~IS_WITHDRAWN).then(RECOMMENDABLE).otherwise(False).alias(RECOMMENDABLE)
        stated = tables["stated"].join(live, on="item_id", maintain_order="left").with_columns(may_list)
        new = set_counts(self._find_new(tables), use.counts)
        return join_items(model, stated, new, to_time(self._store.log.now_us))

    def _find_live(self, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Return `PUTS` of the items that are neither removed nor expired, the most recently put last."""
        oldest_us = self._store.log.rules.oldest_us(self._store.log.now_us)
        return tables["puts"].filter(pl.col(IS_KEPT) | (pl.col(LAST_US) >= oldest_us))

    def _find_new(self, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Return the new items that lists may have, those that the model does not know last, by time."""
        live = self._find_live(tables).remove(IS_WITHDRAWN).sort(IS_KEPT, descending=True, maintain_order=True)
        return tables["new"].join(live, on="item_id", maintain_order="right").tail(MAX_NEW)

    def find_put(self, item_id: str) -> Mapping[str, Any] | None:
        """Return `PUTS` of an item; None if nothing is stored about it."""
        puts = self._find_live(self._tables).filter(pl.col("item_id") == item_id)
        return None if puts.is_empty() else puts.row(0, named=True)

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
        items = self._find_new(self._tables)
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

    async def withdraw(self, item_id: str, *, ahead: bool) -> None:
        """Withdraw an item; raise `ApiError` if neither the model nor the store knows it, unless `ahead`."""
        await self.poll()  # another worker may have put it
        is_known = self._holder.current.trained.catalogue.items.index_of(item_id) >= 0
        if not (is_known or ahead or self.find_put(item_id)):
            text = (
                f"{item_id!r} is unknown to the model, and was not put; with ?ahead=true, later models do not list it."
            )
            raise ApiError(404, "not_found", text)
        await self.put_items({item_id: None})

    async def put_items(self, items: Mapping[str, Mapping[str, Any] | None], *, may_restore: bool = True) -> None:
        """Store items by id, all or none, or withdraw those that are None.

        A withdrawn item stays so unless `may_restore`, and its values say that it is recommendable.
        """
        async with self._put_turn:
            pending = list(items)
            while pending:
                await self.poll()  # another worker may have put them first
                stored = self._merge({item_id: items[item_id] for item_id in pending}, may_restore=may_restore)
                ids = self._holder.current.trained.catalogue.items
                kept = {item_id for item_id, item in stored.items() if item.withdrawn_us or ids.index_of(item_id) >= 0}
                self._check_limits(stored, kept)
                written = await self._store.put_items(stored, kept, self._read[0])
                pending = [item_id for item_id, is_written in zip(stored, written, strict=True) if not is_written]
            await self.poll()

    def _merge(self, items: Mapping[str, Mapping[str, Any] | None], *, may_restore: bool) -> dict[str, StoredItem]:
        """Return items as they are stored, given what is stored about them."""
        now_us = self._store.log.now_us
        puts = self._find_live(self._tables).filter(pl.col("item_id").is_in(list(items)))
        before = {row["item_id"]: row for row in puts.iter_rows(named=True)}
        stored = {}
        for item_id, values in items.items():
            put = before.get(item_id, {FIRST_US: now_us, WITHDRAWN_US: 0})
            if values is None:
                stored[item_id] = StoredItem({}, put[FIRST_US], put[WITHDRAWN_US] or now_us)
            else:
                is_restored = may_restore and values.get(RECOMMENDABLE) is True
                withdrawn_us = 0 if is_restored else put[WITHDRAWN_US]
                stored[item_id] = StoredItem(values, put[FIRST_US], withdrawn_us)
        return stored

    def _check_limits(self, stored: Mapping[str, StoredItem], kept: Collection[str]) -> None:
        """Raise `ApiError` if there would be too many items, or too large ones, given those that never expire."""
        others = self._find_live(self._tables).remove(pl.col("item_id").is_in(list(stored)))
        n_withdrawn = sum(item.withdrawn_us > 0 for item in stored.values())
        n_updated = len(kept) - n_withdrawn
        is_update = pl.col(IS_KEPT) & ~IS_WITHDRAWN
        for n_put, is_such, most, what in (
            (n_updated, is_update, MAX_UPDATES, "updated"),
            (n_withdrawn, IS_WITHDRAWN, MAX_WITHDRAWN, "withdrawn"),
        ):
            if n_put and n_put + others.filter(is_such).height > most:
                text = f"More than {most:,} items would be {what}; train a model without them, or restore some."
                raise ApiError(409, "items_full", text)
        n_bytes = sum(len(to_json(one)) for one in stored.items() if not one[1].withdrawn_us)
        if n_bytes and n_bytes + others[N_BYTES].sum() > self._max_bytes:
            text = f"The items would have more than {self._max_bytes:,} bytes; withdraw some, or shorten them."
            raise ApiError(409, "items_full", text)


def _read_entries(
    model: TrainedModel, entries: Sequence[StoredEntry]
) -> tuple[dict[str, pl.DataFrame], dict[str, StoredItem]]:
    """Return `PUTS` of each entry, what those state that the model knows, and what lists need of the new ones.

    New items have no rows if the model has learned nothing about such. Also returns the items by id.
    """
    puts = []
    stored = {}
    for kind, us, _, body in entries:
        item_id, values = from_json(body)
        item = stored[item_id] = StoredItem(**values)
        puts.append((item_id, us, item.first_us, item.withdrawn_us, len(body.encode()), kind == KEPT_ITEMS))
    types = {"item_id": pl.String(), **dict.fromkeys(PUTS, pl.Int64()), IS_KEPT: pl.Boolean()}
    index, is_new = find_known(model, stored)
    known = [item_id for item_id, ix in zip(stored, index.tolist(), strict=True) if ix >= 0]
    is_described = content_of(model) is not None
    new = [name for name, is_name in zip(stored, is_new, strict=True) if is_name and not stored[name].withdrawn_us]
    new = new[-2 * MAX_NEW :]  # no more can be listed
    starts = range(0, max(1, len(new)), DESCRIBED_AT_ONCE)
    parts = [new[start : start + DESCRIBED_AT_ONCE] if is_described else [] for start in starts]
    tables = {
        "puts": pl.DataFrame(puts, types, orient="row"),
        "stated": state_items(model, _tabulate(model, known, stored)),
        "new": pl.concat([describe_new(model, _tabulate(model, part, stored)) for part in parts]),
    }
    return tables, stored


def _tabulate(model: TrainedModel, ids: Sequence[str], stored: Mapping[str, StoredItem]) -> pl.DataFrame:
    """Return stored items, given their ids, as a table with the model's columns; vectors of other lengths are null."""
    types = {name: column.dtype for name, column in model.catalogue.columns.items()}
    rows = []
    for item_id in ids:
        is_unknown = model.catalogue.items.index_of(item_id) < 0
        rows.append({**(stored[item_id].row if is_unknown else stored[item_id].values), "item_id": item_id})
    content = content_of(model)
    is_of_model = pl.col("vector").list.len() == (content.n_numbers if content else 0)
    return tabulate(rows, types).with_columns(pl.when(is_of_model).then("vector"))


def _replace_rows(table: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """Return a table with other rows of some items, the changed ones last."""
    return pl.concat([table, changed]).unique("item_id", keep="last", maintain_order=True)


def _end_updates(
    tables: Mapping[str, pl.DataFrame], model: TrainedModel, stored: Mapping[str, StoredItem]
) -> dict[str, StoredItem | None]:
    """Return what is left of the updates that a model has fulfilled, at least in part, by id; None if nothing is.

    What is stored of a new item that users of the model used is an update from now on.
    """
    left: dict[str, StoredItem | None] = {}
    stated = tables["stated"]
    fulfilled = find_fulfilled(model, stated)
    kept = set(tables["puts"].filter(IS_KEPT)["item_id"])
    _, is_unused = find_known(model, stated["item_id"])
    for item_id in stated["item_id"].filter(pl.Series(~is_unused) | stated["item_id"].is_in(kept)):
        item = stored[item_id]
        names = fulfilled.get(item_id, set())
        values = {name: value for name, value in item.values.items() if name not in names}
        if not item.withdrawn_us and (len(values) < len(item.values) or item_id not in kept):
            # Whoever trained the model knew the description, too, which it does not keep.
            left[item_id] = StoredItem(values, item.first_us) if values.keys() & set(stated.columns) else None
    return left


def describe_ignored(served: ServedModel, item_id: str, values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value of an item that has no effect, or for all of it."""
    model = served.trained
    catalogue = served.recommender.catalogue
    _, (is_new,) = find_known(model, [item_id])
    if is_new and content_of(model) is None:
        return ["the model has learned nothing about new items, see its card"]
    n_numbers = find_content(model).n_numbers if is_new else 0
    ignored = []
    is_described = False
    for name, value in values.items():
        entity = entity_of_column(name)
        if name in COUNTS:
            ignored.append(f"the service counts {name!r} itself")
        elif name == "vector" and len(value) != n_numbers:
            ignored.append(f"the vector has {len(value)} numbers, but that of such an item has {n_numbers or 'none'}")
        elif name == "description" and not is_new:
            ignored.append("the model knows the item, so its description does not count")
        elif name in ("title", "description", "vector"):
            is_described = True
        elif name not in (*catalogue.columns, *LISTING, "added_at"):
            ignored.append(f"column {name!r} is unknown")
        elif entity in catalogue.entities:
            unknown = [catalogue.find_unknown(None, entity, one) for one in as_list(value)]
            is_described |= None in unknown
            ignored += filter(None, unknown)
    if is_new and not is_described:
        ignored.append("nothing says what the item is like; give a title, a description, or an entity of the model")
    return ignored


def describe_item(served: ServedModel, item_id: str, put: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what holds of an item, as values of an `ItemAnswer`, given its `PUTS`; None if it is unknown."""
    recommender = served.recommender
    catalogue = recommender.catalogue
    item = catalogue.items.index_of(item_id)
    is_withdrawn = put is not None and put[WITHDRAWN_US] > 0
    if item < 0 and not is_withdrawn:
        return None
    _, (is_new,) = find_known(served.trained, [item_id])
    origin = "model"
    if put is not None:
        origin = "withdrawal" if is_withdrawn else "new" if is_new else "update"
    rows = [] if item < 0 else [item]
    values = {name: column.gather(rows) for name, column in catalogue.columns.items()}
    own = served.trained.catalogue
    title = catalogue.title_of(item) if item >= 0 else ""
    updated = []
    if 0 <= item < len(own.items):
        updated = [name for name, column in own.columns.items() if values[name].ne_missing(column.gather(rows)).any()]
        updated += ["title"] * (title != own.title_of(item))
    return {
        "model": served.version,
        "item_id": item_id,
        "origin": origin,
        "since": None if put is None else to_time(put[WITHDRAWN_US] or put[LAST_US]),
        "is_listed": item >= 0 and bool((recommender.current_items or served.trained).listed[item]),
        "title": title,
        "values": {name: one for name, column in values.items() for one in column.to_list()},
        "updated": updated,
    }
