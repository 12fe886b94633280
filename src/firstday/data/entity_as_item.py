"""Members of another entity as the items (`Config.item`), such as shows in place of their episodes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from time import time

import numpy as np
import polars as pl
import polars.selectors as cs

from firstday.data.dataset import Dataset, Entity
from firstday.data.events import ITEM, Events
from firstday.data.fields import fill_lists, find_item_columns, read_columns
from firstday.data.impressions import link_shown
from firstday.data.splits.snapshot import find_first_seen
from firstday.data.user_rows import take_rows
from firstday.errors import ConfigError
from firstday.tables.categories import entity_of_column
from firstday.tables.faults import Findings
from firstday.tables.schema import NEWEST, NEWEST_ITEM, NEWEST_TITLE

TEXTS = pl.List(pl.String)


def use_entity_as_item(dataset: Dataset, items: pl.DataFrame, findings: Findings) -> Dataset:
    """Return a dataset whose items are the members of `Config.item`, given the table of its items.

    An interaction with an item becomes one with each of its members. Items without a member are left out, with a note.
    Raises ConfigError for an unknown entity.
    """
    name = entity_of_column(findings.config.item)
    if name == ITEM:
        return dataset
    if name not in dataset.entities:
        raise ConfigError(f"item: is {name!r}; give one of {', '.join([ITEM, *dataset.entities])}.")
    entity = dataset.entities[name]
    members = entity.items.transpose()
    links = pl.DataFrame({"item_ix": members.row_of_entry(), "member_ix": members.columns}).cast(pl.Int32)
    rows = dataset.events.whole()
    of_items = rows.filter(entity=ITEM)
    n_interactions = np.bincount(of_items["target_ix"], minlength=len(dataset.items))
    is_left_out = members.lengths() == 0
    advice = f"they and {n_interactions[is_left_out].sum():,} interactions with them were left out"
    findings.note_rows("items", is_left_out.sum(), len(is_left_out), f"have no {name}", advice, noun="items")
    table = _group_items(items, _order_items(dataset, n_interactions), links, entity, name)
    newest = table.drop_in_place("item_ix")
    titled = table.with_columns(title=pl.coalesce("title", "item_id"))
    entities = {other: replace(of, items=of.items.through(members).ones()) for other, of in dataset.entities.items()}
    del entities[name]
    return replace(
        dataset,
        items=entity.ids,
        events=Events.of(_link_rows(rows, name, links)),
        entities=entities,
        item_vectors=take_rows(dataset.item_vectors, newest.to_numpy()),
        impressions=dataset.impressions and dataset.impressions.map(partial(link_shown, links=links)),
        new_items=None if dataset.new_items is None else table.drop_nulls(NEWEST_ITEM),
        columns=fill_lists(find_item_columns(table)),
        **read_columns(Dataset, "items", titled),
    )


def _link_rows(rows: pl.DataFrame, name: str, links: pl.DataFrame) -> pl.DataFrame:
    """Return interactions with the members of an entity in place of those with their items, and with the entity."""
    is_item = pl.col("entity") == ITEM
    linked = rows.filter(is_item).join(links, left_on="target_ix", right_on="item_ix")
    others = rows.remove(is_item).with_columns(pl.col("entity").replace(name, ITEM), member_ix="target_ix")
    return pl.concat([linked, others]).with_columns(target_ix="member_ix")


def _order_items(dataset: Dataset, n_interactions: np.ndarray) -> np.ndarray:
    """Return the indexes of items: those that are not listed, then the others, the newest (or most used) last."""
    seen = find_first_seen(dataset)
    seen[seen > time() * 1e6] = -1
    seen[dataset.find_unlisted()] = -2
    return np.lexsort([n_interactions, seen])


def _group_items(
    items: pl.DataFrame, order: np.ndarray, links: pl.DataFrame, entity: Entity, name: str
) -> pl.DataFrame:
    """Return the table `items` of an entity's members, given that of their items; in their order, the newest is last.

    Texts of lists are those of all items, `added_at` is the earliest, and other values are those of the newest item.
    """
    of_items = items.sort("item_id").with_row_index("item_ix").drop(NEWEST, strict=False)[order]
    renamed = of_items.rename({"item_id": NEWEST_ITEM, "title": NEWEST_TITLE}, strict=False)
    groups = renamed.join(links, on="item_ix", maintain_order="left").group_by("member_ix")
    grouped = groups.agg(
        pl.col(TEXTS).explode().drop_nulls().unique().sort(),
        pl.col("^added_at$").min(),
        pl.exclude(TEXTS).exclude("added_at").last(),
    )
    members = pl.DataFrame({"item_id": entity.ids.values, "title": entity.names}, schema_overrides={"title": pl.String})
    table = members.with_row_index("member_ix").join(grouped, on="member_ix", how="left", maintain_order="left")
    label = cs.string() & cs.matches(f"^{name}_(title|name)$")
    title = pl.coalesce(pl.col("title").replace("", None), label)
    table = table.with_columns(pl.col(NEWEST_ITEM).cast(pl.String), title=title)
    return table.drop("member_ix", name, f"{name}_id", strict=False)
