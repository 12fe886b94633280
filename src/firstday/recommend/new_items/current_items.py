"""`CurrentItems`: the items of a model as they are now, with what was stated of them since training, and new ones.

In lists, new items have indexes after the model's items; but an item that the model knows, and that nobody used, keeps
its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from firstday.data.events import ITEM
from firstday.data.fields import find_item_columns
from firstday.display import readable
from firstday.embed.embeddings import select_items
from firstday.errors import DataError
from firstday.features.catalogue import Catalogue
from firstday.features.signal_batch import SignalBatch
from firstday.model.item_content import content_of
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.recommend.new_items.attributes import conform, describe_items
from firstday.recommend.new_items.new_items import NewItems
from firstday.recommend.rules.filters import list_values
from firstday.recommend.rules.list_rules import ID
from firstday.sparse import SparseRows, stack_rows
from firstday.tables.categories import entity_of_column
from firstday.tables.schema import EXPIRES_AT, RECOMMENDABLE, TIME_TEXT

MAX_NEW_ITEMS = 10_000
"""Maximum number of new items."""
NEVER = "9999"
"""A text after all times."""
LISTING: Mapping[str, pl.DataType] = {RECOMMENDABLE: pl.Boolean(), EXPIRES_AT: pl.String()}
"""Columns that decide whether an item may be listed."""


@readable
@dataclass(frozen=True, eq=False)
class CurrentItems:
    """The items of a model as they are now, and new ones.

    Parameters
    ----------
    model
        The model.
    catalogue
        The model's catalogue with current titles and columns, and the items that it does not know at the end.
    listed
        Mask of items that may be listed, bool, shape (n_items + n_unknown,).
    changed
        Indexes of the items that differ from those of the model, or are unknown to it, int64, ascending.
    new
        The new items.
    next_expiry
        Time at which the next item expires, as text; `NEVER` if none does.
    compiled_rules
        Cache of rules, see `compile_rules`.
    """

    model: TrainedModel
    catalogue: Catalogue
    listed: np.ndarray
    changed: np.ndarray
    new: NewItems
    next_expiry: str
    compiled_rules: dict[Any, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def changed_columns(self) -> dict[str, pl.Series]:
        """Ids and columns of the items in `changed`."""
        columns = {ID: self.catalogue.items.values, **self.catalogue.columns}
        rows = pl.Series(self.changed)
        return {name: column.gather(rows) for name, column in columns.items()}

    @cached_property
    def items_of_members(self) -> dict[str, SparseRows]:
        """For entities with a column, the items of each member, of those in `changed`, shape (n_members, n_items)."""
        links = {}
        for name, column in self.changed_columns.items():
            entity = entity_of_column(name)
            if column.dtype == pl.List(pl.String) and entity in self.model.members_of_items:
                ids = self.catalogue.ids_of(entity)
                positions, values = list_values(column)
                members = np.array([ids.index_of(value) for value in values], dtype=np.int64)
                is_known = members >= 0
                items = self.changed[positions[is_known]]
                links[entity] = SparseRows.from_pairs(members[is_known], items, None, len(ids), len(self.listed)).ones()
        return links

    @cached_property
    def members_of_items(self) -> dict[str, SparseRows]:
        """For entities with a column, the members that each item belongs to, shape (n_items, n_members)."""
        links = {}
        for entity, items in self.items_of_members.items():
            own = self.model.members_of_items[entity]
            is_kept = ~np.isin(own.row_of_entry(), self.changed)
            shape = len(self.listed), own.n_columns
            links[entity] = own.replace_entries(is_kept, items.columns, items.row_of_entry(), shape)
        return links

    @cached_property
    def members_of_new(self) -> dict[str, SparseRows]:
        """Like `members_of_items`, for the items in `new`, shape (n, n_members)."""
        return {entity: links.take(self.new.index) for entity, links in self.members_of_items.items()}

    def find_users(self, signals: SignalBatch) -> np.ndarray:
        """Return the users with an interaction with an item that the model does not know, int64, ascending."""
        touched = self._find_touched(signals)
        return np.flatnonzero(touched.keep(touched.columns >= self.model.n_items).lengths())

    def _find_touched(self, signals: SignalBatch) -> SparseRows:
        """Return the items that users interacted with by any signal, shape (n_users, n_items)."""
        return select_items(signals.actions, self.model.config.signals.names, signals.n_users, signals.n_items)

    def encode(self, signals: SignalBatch) -> np.ndarray:
        """Return features as `Encoder.encode` does, with the predicted vectors and the members of unknown items.

        These vectors are scaled to the mean length of those of the most used items.
        """
        model, encoder = self.model, self.model.encoder
        items = np.unique(self._find_touched(signals).columns)
        known, unknown = items[items < model.n_items], items[items >= model.n_items]
        own = encoder.fold_in.item_vectors
        predicted = self.new.vectors[self.new.index >= model.n_items][unknown - model.n_items]
        length = np.linalg.norm(own[model.reference_items], axis=1).mean()
        vectors = np.concatenate([own[known], length * predicted])
        members = {}
        for entity, links in encoder.members_of_items.items():
            of_unknown = SparseRows.empty(len(unknown), links.n_columns)
            if entity in self.members_of_items:
                of_unknown = self.members_of_items[entity].take(unknown)
            members[entity] = stack_rows([links.take(known), of_unknown])
        of_items = replace(
            encoder,
            target_vectors={
                **encoder.target_vectors,
                ITEM: unit_rows(vectors) if encoder.config.unit_vectors else vectors,
            },
            fold_in=replace(encoder.fold_in, item_vectors=vectors, stored_gram=encoder.fold_in.gram),
            members_of_items=members,
        )
        actions = {
            pair: rows.keep_columns(items) if pair[1] == ITEM else rows for pair, rows in signals.actions.items()
        }
        return of_items.encode(replace(signals, actions=actions, n_items=len(items)))

    @cached_property
    def of_model(self) -> CurrentItems:
        """The items of the model alone."""
        if not len(self.new):
            return self  # with its compiled rules
        n_items = self.model.n_items
        new = NewItems(self.model, self.new.items.clear(), self.new.index[:0])
        changed = self.changed[self.changed < n_items]
        catalogue = replace(self.catalogue, items=self.model.catalogue.items)
        return CurrentItems(self.model, catalogue, self.listed[:n_items], changed, new, self.next_expiry)


def find_known(model: TrainedModel, ids: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of each id in the model, int64, -1 if unknown, and whether the item is new.

    New are unknown items and, if the model has learned about such, those that none of its users used.
    """
    # `Ids.lookup` would cost as much as the catalogue is large.
    index = np.array([model.catalogue.items.index_of(item) for item in ids], dtype=np.int64)
    is_unused = (model.popularity[index] == 0) & (content_of(model) is not None)
    return index, (index < 0) | is_unused


def read_items(model: TrainedModel, items: pl.DataFrame, time: datetime) -> CurrentItems:
    """Return the items of a model at a time, given the table of those that are new or have changed.

    A missing value of an item that the model knows is the model's. Items that nobody used are new, too, as many as
    there is room for next to those that the model does not know.

    Raises
    ------
    ConfigError
        There are new items, and the model has learned nothing about such.
    DataError
        The model does not know more than `MAX_NEW_ITEMS`, or a column has another type than in the model.
    """
    index, is_new = find_known(model, items["item_id"])
    unused = np.flatnonzero(is_new & (index >= 0))
    is_new[unused[max(0, MAX_NEW_ITEMS - int((index < 0).sum())) :]] = False
    stated = state_items(model, items.filter(index >= 0))
    return join_items(model, stated, describe_new(model, items.filter(is_new)), time)


def state_items(model: TrainedModel, items: pl.DataFrame) -> pl.DataFrame:
    """Return what a table states of items: `item_id`, `title`, `LISTING` and the model's columns; null: nothing."""
    types = {name: column.dtype for name, column in model.catalogue.columns.items()}
    columns = conform({**LISTING, **types}, find_item_columns(items), items.height)
    title = items.get_column("title", default=pl.repeat(None, items.height, dtype=pl.String, eager=True))
    return pl.DataFrame({"item_id": items["item_id"], "title": title, **columns})


def describe_new(model: TrainedModel, items: pl.DataFrame) -> pl.DataFrame:
    """Return what lists need of new items: rows of `describe_items`, and `LISTING`."""
    stated = state_items(model, items)
    if items.is_empty() and content_of(model) is None:
        return stated
    return describe_items(model, items).with_columns(stated.select(*LISTING))


def join_items(model: TrainedModel, stated: pl.DataFrame, new: pl.DataFrame, time: datetime) -> CurrentItems:
    """Return the items of a model at a time, given `state_items` of those that it knows, and `describe_new`."""
    if new.height > MAX_NEW_ITEMS:
        raise DataError(
            f"items: {new.height:,} items are new to the model; add at most {MAX_NEW_ITEMS:,}, the newest, or train "
            "again."
        )
    now = time.astimezone(UTC).strftime(TIME_TEXT)
    index, _ = find_known(model, stated["item_id"])
    own = _find_own(model, index)
    current = stated.select(pl.coalesce(name, own[name]) for name in own.columns)
    differs = current.select(pl.col(name).ne_missing(own[name]) for name in own.columns)
    all_true = pl.repeat(True, model.n_items, eager=True)
    is_recommendable = model.catalogue.columns.get(RECOMMENDABLE, all_true).fill_null(True).to_numpy()
    is_expired = _find_expired(model, now)
    listed = model.listed & ~is_expired
    listed[index] = (model.listed | is_expired | ~is_recommendable)[index] & _may_list(current, now)
    is_changed = listed != model.listed
    is_changed[index] |= differs.select(pl.any_horizontal("title", *model.catalogue.columns)).to_series().to_numpy()
    known, _ = find_known(model, new["item_id"])
    is_unknown = known < 0
    unknown = new.filter(is_unknown)
    of_lists = np.where(is_unknown, model.n_items + is_unknown.cumsum() - 1, known)
    expiries = [table[EXPIRES_AT] for table in (current, unknown)]
    if EXPIRES_AT in model.catalogue.columns:
        expiries.append(model.catalogue.columns[EXPIRES_AT])
    return CurrentItems(
        model,
        _extend(_correct(model.catalogue, index, current, differs), unknown),
        np.append(listed, _may_list(unknown, now)),
        np.append(np.flatnonzero(is_changed), model.n_items + np.arange(unknown.height)),
        NewItems(model, new, of_lists),
        min(_find_next(expiry, now) for expiry in expiries),
    )


def find_fulfilled(model: TrainedModel, stated: pl.DataFrame) -> dict[Any, set[str]]:
    """Return which values in rows of `state_items` the model has by now, as names of columns, by item id.

    Values that it has from updates do not count: without these, the next model would not have them.
    """
    index, _ = find_known(model, stated["item_id"])
    is_own = ~np.isin(index, model.updated)
    stated = stated.filter(is_own)
    own = _find_own(model, index[is_own]).with_columns(pl.col(RECOMMENDABLE).fill_null(True))
    is_fulfilled = stated.select(pl.col(name).eq(own[name]).fill_null(False) for name in own.columns)
    return {
        item_id: {name for name, is_name in zip(own.columns, row, strict=True) if is_name}
        for item_id, row in zip(stated["item_id"], is_fulfilled.iter_rows(), strict=True)
    }


def _find_own(model: TrainedModel, index: np.ndarray) -> pl.DataFrame:
    """Return the title, `LISTING` and the columns of some items as the model has them."""
    catalogue = model.catalogue
    rows = pl.Series(index)
    absent = {name: pl.repeat(None, len(index), dtype=dtype, eager=True) for name, dtype in LISTING.items()}
    columns = {name: column.gather(rows) for name, column in catalogue.columns.items()}
    titles = pl.Series(map(catalogue.title_of, index.tolist()), dtype=pl.String)
    return pl.DataFrame({"title": titles, **absent, **columns})


def _may_list(items: pl.DataFrame, now: str) -> np.ndarray:
    """Return the mask of items with the columns `LISTING` that may be listed at a time."""
    is_recommendable = pl.col(RECOMMENDABLE).fill_null(True)
    is_valid = (pl.col(EXPIRES_AT) > now).fill_null(True)
    return items.select(is_recommendable & is_valid).to_series().to_numpy()


def _find_expired(model: TrainedModel, now: str) -> np.ndarray:
    """Return the mask of the model's items that have expired, as its tables said."""
    expiry = model.catalogue.columns.get(EXPIRES_AT)
    return np.zeros(model.n_items, dtype=bool) if expiry is None else (expiry <= now).fill_null(False).to_numpy()


def _find_next(expiry: pl.Series, now: str) -> str:
    """Return the first of some times that is after another, as text; `NEVER` if none is."""
    first = expiry.filter(expiry > now).min()
    return NEVER if first is None else str(first)


def _correct(catalogue: Catalogue, index: np.ndarray, current: pl.DataFrame, differs: pl.DataFrame) -> Catalogue:
    """Return a catalogue with the `current` values of some items where they differ."""

    def correct(name: str, own: pl.Series) -> pl.Series:
        is_changed = differs[name]
        if not is_changed.any():
            return own
        order = np.arange(len(own))
        values = current[name].filter(is_changed)
        order[index[is_changed.to_numpy()]] = len(own) + np.arange(len(values))
        return pl.concat([own, values]).gather(pl.Series(order))

    titles = catalogue.titles
    if differs["title"].any():
        corrected = list(titles or ("",) * len(catalogue.items))
        for item, title in zip(index.tolist(), current["title"].to_list(), strict=True):
            corrected[item] = title
        titles = tuple(corrected)
    columns = {name: correct(name, own) for name, own in catalogue.columns.items()}
    return replace(catalogue, titles=titles, columns=columns)


def _extend(catalogue: Catalogue, unknown: pl.DataFrame) -> Catalogue:
    """Return a catalogue with unknown items at the end."""
    if unknown.is_empty():
        return catalogue
    return replace(
        catalogue,
        items=catalogue.items.extend(unknown["item_id"]),
        titles=(catalogue.titles or ("",) * len(catalogue.items)) + tuple(unknown["title"]),
        columns={name: pl.concat([own, unknown[name]]) for name, own in catalogue.columns.items()},
    )
