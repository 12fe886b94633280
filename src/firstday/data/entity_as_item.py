"""Members of another entity as the items (`Config.item`), such as shows in place of their episodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Entity
from firstday.data.events import ITEM, SORT_ORDER, Events, sort_pairs
from firstday.data.fields import as_microseconds, place_vectors
from firstday.data.ids import Ids
from firstday.data.impressions import link_shown
from firstday.data.interactions import Interactions, Vocabulary
from firstday.errors import ConfigError
from firstday.tables.categories import entity_of_column
from firstday.tables.faults import Findings
from firstday.tables.schema import EXPIRES_AT, NEWEST_ITEM, NEWEST_TITLE, RECOMMENDABLE, UPDATED, Frames

Checked = tuple[Frames, Vocabulary, Interactions]
"""Tables other than interactions, the valid ids, and the indexed interactions; all without faults."""
NO_NAMES = pl.DataFrame(schema={"entity": pl.String, "entity_id": pl.String, "name": pl.String})
COMBINED: Mapping[str, pl.Expr] = {
    "added_at": pl.col("added_at").min(),
    EXPIRES_AT: pl.when(pl.col(EXPIRES_AT).null_count() == 0).then(pl.col(EXPIRES_AT).max()),
    RECOMMENDABLE: pl.col(RECOMMENDABLE).fill_null(True).any(),
    UPDATED: pl.col(UPDATED).any(),
    NEWEST_ITEM: pl.col(NEWEST_ITEM).drop_nulls().last(),
    NEWEST_TITLE: pl.col(NEWEST_TITLE).filter(pl.col(NEWEST_ITEM).is_not_null()).last(),
}
"""Values of a member, given those of its items, the newest last; for other columns, see `_combine`."""


def use_entity_as_item(checked: Checked, findings: Findings) -> Checked:
    """Replace items by the members of `Config.item`: an interaction with an item becomes one with each of its members.

    Items without a member, and interactions with them, are left out, with a note. Raises ConfigError for an unknown
    entity.
    """
    name = findings.config.item
    frames, vocabulary, (events, impressions) = checked
    if name == ITEM:
        return checked
    assert vocabulary.items is not None
    entities = dict(vocabulary.entities or {})
    if name not in entities:
        choice = ", ".join(entities) or "none"
        raise ConfigError(f"item: is {name!r}, which is not an entity of the tables ({choice}); give one of them.")
    entity = entities.pop(name)
    members = entity.items.transpose()
    order = order_items(frames["items"], events, findings.config)
    _note_left_out(events, members.lengths() == 0, findings)
    links = pl.DataFrame({"item_ix": members.row_of_entry(), "member_ix": members.columns}).cast(pl.Int32)
    linked = {other: replace(of, items=of.items.through(members).ones()) for other, of in entities.items()}
    return (
        _group_tables(frames, vocabulary.items, entity, name, order),
        replace(vocabulary, items=entity.ids, entities=linked),
        (_link_events(events, name, links), impressions and link_shown(impressions, links)),
    )


def order_items(items: pl.DataFrame, events: Events, config: Config) -> np.ndarray:
    """Return the indexes of items, the newest last: by `added_at`, then by first use, then by number of uses."""
    use = config.signals.use
    first_used = events.first_moments("target_ix", items.height, -1, events.codes_of(ITEM, use))
    keys = [_count_by_item(events, items.height, use), first_used]
    if "added_at" in items.columns:
        keys.append(as_microseconds(items.sort("item_id")["added_at"]))
    return np.lexsort(keys)


def _count_by_item(events: Events, n_items: int, signals: Collection[str] | None = None) -> np.ndarray:
    """Return the number of interactions with each item, of all signals or of some, int64, shape (n_items,)."""
    is_counted = pl.col("pair").is_in(events.codes_of(ITEM, signals))
    counts = events.rows.lazy().filter(is_counted).group_by("target_ix").len().collect()
    n = np.zeros(n_items, dtype=np.int64)
    n[counts["target_ix"].to_numpy()] = counts["len"].to_numpy()
    return n


def _note_left_out(events: Events, is_left_out: np.ndarray, findings: Findings) -> None:
    n_interactions = int(_count_by_item(events, len(is_left_out))[is_left_out].sum())
    findings.note_rows(
        "items",
        int(is_left_out.sum()),
        len(is_left_out),
        f"have no {findings.config.item}",
        f"they and {n_interactions:,} interactions with them were left out",
        noun="items",
    )


def _group_tables(frames: Frames, items: Ids, entity: Entity, name: str, order: np.ndarray) -> dict[str, pl.DataFrame]:
    """Return the tables with the members of an entity as items, given the items in their order."""
    grouped = dict(frames)
    names = grouped.get("names", NO_NAMES)
    is_title = pl.col("entity") == name
    table = _group_items(frames["items"].sort("item_id"), entity, name, order)
    titles = (
        names.filter(is_title).group_by(item_id=pl.col("entity_id").cast(pl.String)).agg(title=pl.col("name").min())
    )
    labels = [label for label in (f"{name}_title", f"{name}_name") if table.schema.get(label) == pl.String]
    table = table.join(titles, on="item_id", how="left").with_columns(title=pl.coalesce("title", *labels, "item_id"))
    if "vector" in frames["items"].columns:
        vectors = _average_vectors(frames["items"], items, entity)
        table = table.join(vectors, on="item_id", how="left")
    if "embeddings/items" in frames:
        grouped["embeddings/items"] = _average_vectors(frames["embeddings/items"], items, entity)
    grouped["items"] = entity.ids.values.to_frame("item_id").join(table, on="item_id", how="left")
    grouped["names"] = names.remove(is_title)
    return grouped


def _group_items(items: pl.DataFrame, entity: Entity, name: str, order: np.ndarray) -> pl.DataFrame:
    """Return a row for each member that has items, from the rows of these, without title and vector."""
    is_available = pl.lit(True)
    if RECOMMENDABLE in items.columns:
        is_available &= pl.col(RECOMMENDABLE).fill_null(True)
    if "added_at" in items.columns:
        is_available &= (pl.col("added_at") <= datetime.now(UTC)).fill_null(True)
    newest = {NEWEST_ITEM: pl.when(is_available).then(pl.col("item_id").cast(pl.String))}
    if "title" in items.columns:
        newest[NEWEST_TITLE] = pl.col("title")
    columns = [column for column in items.columns if entity_of_column(column) != name]
    rows = items.select(columns).with_columns(**newest).drop("title", "vector", strict=False)
    entries = np.argsort(np.argsort(order)[entity.items.columns], kind="stable")
    members = entity.ids.take(entity.items.row_of_entry()[entries])
    rows = rows[entity.items.columns[entries]].with_columns(members.alias("item_id"))
    combined = [_combine(column, dtype) for column, dtype in rows.drop("item_id").schema.items()]
    return rows.group_by("item_id").agg(combined)


def _combine(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return how the values of a member's items become one: all texts of lists, or else the value if all agree."""
    if column in COMBINED:
        return COMBINED[column]
    values = pl.col(column)
    if dtype == pl.List:
        return values.explode().drop_nulls().unique().sort()
    return pl.when(values.n_unique() == 1).then(values.first())


def _average_vectors(rows: pl.DataFrame, items: Ids, entity: Entity) -> pl.DataFrame:
    """Return the mean vector of each member's items as `item_id` and `vector`, for members with any."""
    rows = rows.drop_nulls("vector")
    vectors = place_vectors(rows["vector"], items.lookup(rows["item_id"]), len(items))
    has_vector = ~np.isnan(vectors).any(axis=1)
    given = entity.items.keep(has_vector[entity.items.columns])
    means = pl.Series("vector", given.mean_vectors(vectors)).cast(pl.List(pl.Float32))
    return pl.DataFrame([entity.ids.values.alias("item_id"), means]).filter(given.lengths() > 0)


def _link_events(events: Events, name: str, links: pl.DataFrame) -> Events:
    """Replace interactions with items by those with their members, and those with an entity by those with items."""
    renamed = [(signal, ITEM if entity == name else entity) for signal, entity in events.pairs]
    pairs = sort_pairs(set(renamed))
    codes = {code: pairs.index(pair) for code, pair in enumerate(renamed)}
    is_item = pl.col("pair").is_in(events.codes_of(ITEM))

    def link(rows: pl.DataFrame) -> pl.DataFrame:
        linked = rows.filter(is_item).join(links, left_on="target_ix", right_on="item_ix")
        linked = linked.with_columns(target_ix="member_ix").select(rows.columns)
        joined = pl.concat([rows.remove(is_item), linked])
        return joined.with_columns(pl.col("pair").replace(codes)).sort(SORT_ORDER)

    return Events.of_rows(pairs, events.rows.map(link))
