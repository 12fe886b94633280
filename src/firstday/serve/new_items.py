"""Items put since training, held by every worker as part of the served model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import polars as pl

from firstday.features.signals import Catalogue
from firstday.model.trained_model import TrainedModel
from firstday.recommend.added_items import MAX_ADDED, AddedItems
from firstday.serve.http_errors import ApiError
from firstday.serve.models import ModelHolder, ServedModel
from firstday.serve.store.base import NEW_ITEMS, NewItem, Store, now_us, to_time
from firstday.tables.categories import entity_of_column

AGEING_S = 600.0
"""Seconds after which rates are computed again, as items get older."""
TYPES: Mapping[type, pl.DataType] = {bool: pl.Boolean(), float: pl.Float64(), str: pl.String()}


class NewItemTable:
    """The stored new items; `poll` makes them part of the current model's lists.

    Those that users of the model used are left out. If the store fails, the last items read remain in use.
    """

    def __init__(self, store: Store, holder: ModelHolder) -> None:
        self._store, self._holder = store, holder
        self._seen: tuple[int, str, int] | None = None
        self._turn = asyncio.Lock()

    async def poll(self) -> None:
        """Read the items if they have changed, or the model has, or the items have aged."""
        async with self._turn:
            changed_us = await self._store.find_change(NEW_ITEMS)
            served = self._holder.current
            seen = changed_us, served.version, int(monotonic() / AGEING_S)
            if seen == self._seen or not (changed_us or self._seen):
                return
            items = await self._store.read_items()
            added = await asyncio.to_thread(place, served.trained, items)
            if served is self._holder.current:  # otherwise another model was loaded meanwhile
                self._holder.current = served.with_items(added, {one.item_id: one.first_us for one in items})
                self._seen = seen

    async def put(self, items: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Store items by id, all or none, or delete those that are None; raise ApiError if there are too many."""
        served = self._holder.current
        added = served.recommender.added
        present = set() if added is None else set(map(str, added.ids.values))
        n_items = len(present.union(items))
        if any(items.values()) and n_items > MAX_ADDED:
            raise ApiError(
                409, "too_many_items", f"{n_items:,} items would be new to the model, of {MAX_ADDED:,}; delete some."
            )
        first_us = {one: us for one, us in served.put_us.items() if one in items}
        await self._store.put_items(
            {
                item_id: values and {**values, "first_us": first_us.get(item_id, now_us())}
                for item_id, values in items.items()
            }
        )
        await self.poll()


def place(model: TrainedModel, items: Sequence[NewItem]) -> AddedItems | None:
    """Return the newest items that no user of the model used; None if there are none, or nothing was learned of any."""
    known = [(one, model.catalogue.index_of(one.item_id)) for one in items]
    new = [one for one, index in known if index < 0 or model.popularity[index] == 0][-MAX_ADDED:]
    if not new or model.content is None:
        return None
    rows = []
    for one in new:
        row, _ = conform(model.catalogue, one.values)
        rows.append({"item_id": one.item_id, "added_at": to_time(one.first_us), **row})
    columns = {name: column.dtype for name, column in model.catalogue.columns.items()}
    texts = dict.fromkeys(("item_id", "title", "description"), pl.String())
    table = pl.DataFrame(rows, {**columns, **texts, "added_at": pl.Datetime("us", "UTC")})
    return AddedItems.of(model, table, datetime.now(UTC))


def conform(catalogue: Catalogue, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a row of the table `items` in the types of the model, and a sentence for each value that it ignores."""
    row = {name: values[name] for name in ("title", "description") if values.get(name)}
    if values.get("added_at"):
        row["added_at"] = datetime.fromisoformat(values["added_at"])
    ignored: list[str] = []
    columns = {entity_of_column(name): name for name in catalogue.columns if name != "added_at"}
    for name, ids in values.get("entities", {}).items():
        ignored += filter(None, (catalogue.find_unknown(None, name, one) for one in ids))
        if name in columns:
            row[columns[name]] = list(map(str, ids))
    for name, value in values.get("columns", {}).items():
        column = catalogue.columns.get(name)
        if column is None:
            ignored.append(f"column {name!r} is unknown")
        elif column.dtype == pl.List:
            row[name] = list(map(str, value if isinstance(value, list) else [value]))
        elif TYPES.get(type(value)) == column.dtype:
            row[name] = value
        else:
            ignored.append(f"column {name!r} has another type in the model")
    return row, ignored


def describe_ignored(served: ServedModel, item_id: str, values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value of an item that the model ignores, or for all of it."""
    model = served.trained
    index = model.catalogue.index_of(item_id)
    if index >= 0 and model.popularity[index] > 0:
        return ["the model knows the item, and lists it as it learned"]
    if model.content is None:
        return ["the model has learned nothing about new items, since its own have neither titles nor entities"]
    return conform(model.catalogue, values)[1]
