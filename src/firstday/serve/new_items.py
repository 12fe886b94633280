"""Items put since training, held by every worker as part of the served model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from firstday.model.trained_model import TrainedModel
from firstday.recommend.added_items import AddedItems
from firstday.serve.item_table import COLUMNS, as_list, to_table
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.store.base import NEW_ITEMS, NewItem, Store, now_us, to_time
from firstday.tables.categories import entity_of_column


class NewItemTable:
    """The stored new items; `poll` makes them part of the current model's lists.

    Those that users of the model used are left out. If the store fails, the last items read remain in use.
    """

    def __init__(self, store: Store, holder: ModelHolder) -> None:
        self._store, self._holder = store, holder
        self._seen: tuple[int, str] | None = None
        self._first_us: Mapping[str, int] = {}
        self._turn = asyncio.Lock()

    async def poll(self) -> None:
        """Read the items if they have changed, or the model has."""
        async with self._turn:
            changed_us = await self._store.find_change(NEW_ITEMS)
            served = self._holder.current
            seen = changed_us, served.version
            if seen == self._seen:
                return
            items = await self._store.read_items()
            self._first_us = {one.item_id: one.first_us for one in items}
            added = await asyncio.to_thread(place, served.trained, items)
            if served is self._holder.current:  # otherwise another model was loaded meanwhile
                self._holder.current = served.with_items(added, self._first_us)
                self._seen = seen

    async def put(self, items: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Store items by id, all or none, or delete those that are None."""
        await self.poll()  # another worker may have put them first
        entries = []
        for item_id, values in items.items():
            first_us = self._first_us.get(item_id, now_us())
            dated = {} if values is None else {"added_at": to_time(first_us).isoformat(), **values}
            entries.append(NewItem(item_id, dated, first_us))
        await self._store.put_items(entries)
        await self.poll()


def place(model: TrainedModel, items: Sequence[NewItem]) -> AddedItems | None:
    """Return the items that no user of the model used; None if there are none, or nothing was learned of any."""
    if model.content is None or not items:
        return None
    types = {name: column.dtype for name, column in model.catalogue.columns.items()}
    return AddedItems.of(model, to_table(items, types)) or None


def describe_ignored(served: ServedModel, item_id: str, values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value of an item that the model does not know, or for all of it."""
    added = served.recommender.added
    if added is None or added.ids.index_of(item_id) < 0:
        return ["the model knows the item, or it has learned nothing about new items, see its card"]
    catalogue = added.catalogue
    ignored = []
    for name, value in values.items():
        entity = entity_of_column(name)
        if name in COLUMNS:
            continue
        if name not in catalogue.columns:
            ignored.append(f"column {name!r} is unknown")
        elif entity in catalogue.entities:
            ignored += filter(None, (catalogue.find_unknown(None, entity, one) for one in as_list(value)))
    return ignored
