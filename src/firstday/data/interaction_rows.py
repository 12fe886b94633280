"""Rows of interactions: what they name, what is wrong with them, and their indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from firstday.data.checks import OR_DROP, check_present
from firstday.data.columns import conform_table
from firstday.data.events import EVENT_TYPES, ITEM, UTC_MICROSECONDS, Pair
from firstday.data.findings import Findings
from firstday.data.ids import Ids
from firstday.data.raw import RawTable
from firstday.data.tables import DEFAULT_SIGNAL


def find_ids(raw: RawTable) -> dict[str, pl.Series]:
    """Return the distinct ids of ``users`` and of ``items`` that interactions name, sorted."""
    wanted = [name for name in ("user_id", "item_id", "entity", "entity_id") if name in raw.columns]
    found: dict[str, pl.Series] = {}
    for batch in raw.batches(wanted) if wanted else ():
        rows = name_items(conform_table("interactions", batch, Findings(), is_text=raw.is_text))
        for home, column in (("users", "user_id"), ("items", "item_id")):
            if column in rows.columns:
                mine = rows[column].drop_nulls().unique()
                found[home] = _unite(found[home], mine) if home in found else mine
    empty = pl.Series([], dtype=pl.String)
    return {home: found.get(home, empty).sort() for home in ("users", "items")}


def _unite(one: pl.Series, other: pl.Series) -> pl.Series:
    """Return the distinct ids of both; whole numbers only where both are."""
    if one.dtype != other.dtype:
        one, other = one.cast(pl.String), other.cast(pl.String)
    return pl.concat([one, other]).unique()


def name_items(interactions: pl.DataFrame) -> pl.DataFrame:
    """Write rows whose entity is ``item`` as rows with an item_id, which is what they mean."""
    if not {"entity", "entity_id"} <= set(interactions.columns):
        return interactions
    mine = (pl.col("entity") == ITEM).fill_null(value=False)
    if not interactions.select(mine.any()).item():
        return interactions
    entity_id = pl.col("entity_id")
    if "item_id" in interactions.columns:
        types = {interactions["item_id"].dtype, interactions["entity_id"].dtype}
        shared = pl.Int64 if types == {pl.Int64()} else pl.String
        given = pl.col("item_id").cast(shared)
        item_id = pl.when(mine & given.is_null()).then(entity_id.cast(shared)).otherwise(given)
        mine &= given.is_null()  # a row with both is a fault, which is found later
    else:
        item_id = pl.when(mine).then(entity_id)
    return interactions.with_columns(
        item_id=item_id, entity=pl.when(~mine).then("entity"), entity_id=pl.when(~mine).then("entity_id")
    )


def check_rows(frame: pl.DataFrame, given: list[str], findings: Findings) -> bool:
    """Find interactions that mean nothing to any model; return whether targets could be looked at."""
    check_present("interactions", frame, findings)
    looked_at = _check_targets(frame, given, findings)
    if "signal" in frame.columns:
        empty = frame["signal"].is_null()
        findings.rows("interactions.signal", empty, "are empty", None, f"fill them in {OR_DROP}")
    if "weight" in frame.columns:
        where, weight = "interactions.weight", frame["weight"]
        endless = weight.is_not_null() & ~weight.cast(pl.Float32).is_finite()
        findings.rows(where, endless, "are NaN or infinite", weight, f"write finite numbers {OR_DROP}")
        advice = "write 0 or more; dislike is told by signals such as skip and ban"
        findings.rows(where, (weight < 0) & weight.is_finite(), "are negative", weight, advice)
        findings.note_rows(where, weight.null_count(), len(weight), "are empty and weigh 1")
    return looked_at


def _check_targets(frame: pl.DataFrame, given: list[str], findings: Findings) -> bool:
    """Find rows that name no target, two targets, or half an entity; return whether targets could be looked at."""
    where, has = "interactions", {"item_id", "entity", "entity_id"} & {*given, *frame.columns}
    if not has:
        found = ", ".join(given)
        findings.fault(f"{where}.item_id: the column is missing (found: {found}); add it, or entity and entity_id.")
    for one, other in (("entity", "entity_id"), ("entity_id", "entity")):
        if one in has and other not in has:
            findings.fault(f"{where}.{other}: the column is missing beside {one}; add it.")
    if len(has) == 1 and has <= set(frame.columns) & {"item_id"}:
        findings.rows(f"{where}.item_id", frame["item_id"].is_null(), "are empty", None, f"fill them in {OR_DROP}")
        return True
    if not {"entity", "entity_id"} <= has or not has <= set(frame.columns):
        return False
    entity, entity_id = frame["entity"].is_not_null(), frame["entity_id"].is_not_null()
    item = frame["item_id"].is_not_null() if "item_id" in has else pl.repeat(False, frame.height, eager=True)
    both = item & (entity | entity_id)
    findings.rows(where, both, "have both item_id and entity", None, "keep one of them in each row")
    neither = ~item & ~entity & ~entity_id
    findings.rows(where, neither, "have neither item_id nor entity", None, f"fill in one of them {OR_DROP}")
    half = ~item & (entity != entity_id)
    findings.rows(where, half, "have only one of entity and entity_id", None, f"fill in both {OR_DROP}")
    return True


def code_rows(
    rows: pl.DataFrame,
    user_ix: np.ndarray,
    item_ix: np.ndarray | None,
    entities: Mapping[str, Ids],
    pairs: Sequence[Pair],
) -> pl.DataFrame:
    """Index interactions without faults.

    Parameters
    ----------
    rows
        Interactions in their final types.
    user_ix, item_ix
        int32, shape (n_rows,): indexes of users and items, -1 where a row is about an entity; None without items.
    entities
        The ids of each entity's members.
    pairs
        The (signal, entity) pairs, by their code.

    Returns
    -------
    polars.DataFrame
        Columns as in `events.EVENT_TYPES`.
    """
    has, n = set(rows.columns), rows.height
    target_ix = np.full(n, -1, dtype=np.int32) if item_ix is None else item_ix.copy()
    entity = rows["entity"].fill_null(ITEM) if "entity" in has else pl.repeat(ITEM, n, eager=True)
    for name in entity.unique().to_list() if "entity" in has else ():
        if name != ITEM:
            own = (entity == name).to_numpy()
            target_ix[own] = entities[name].lookup(rows["entity_id"].filter(pl.Series(own)))
    signal = rows["signal"] if "signal" in has else pl.repeat(DEFAULT_SIGNAL, n, eager=True)
    code = np.zeros(n, dtype=np.int64)
    signals, kinds = sorted({s for s, _ in pairs}), sorted({e for _, e in pairs})
    table = np.array([[pairs.index((s, e)) for e in kinds] for s in signals], dtype=np.uint16)
    if n:
        of_signal = signal.replace_strict(signals, range(len(signals)), return_dtype=pl.Int64).to_numpy()
        of_entity = entity.replace_strict(kinds, range(len(kinds)), return_dtype=pl.Int64).to_numpy()
        code = table[of_signal, of_entity]
    weight = rows["weight"].fill_null(1.0) if "weight" in has else pl.repeat(1.0, n, eager=True)
    at = rows["timestamp"] if "timestamp" in has else pl.Series([None], dtype=UTC_MICROSECONDS).new_from_index(0, n)
    columns = {"user_ix": user_ix, "pair": code, "target_ix": target_ix, "timestamp": at, "weight": weight}
    return pl.DataFrame({name: pl.Series(columns[name]).cast(kind) for name, kind in EVENT_TYPES.items()})
