"""Finding what is wrong with tables, all of it at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.columns import conform_table
from firstday.data.dataset import ITEM
from firstday.data.ids import Ids
from firstday.data.tables import (
    DEFAULT_SIGNAL,
    ITEM_COLUMNS,
    TABLES,
    USER_COLUMNS,
    Findings,
    Frames,
    RawTable,
    entity_members,
    entity_of_column,
)

OR_DROP = "or drop the rows"


def check_frames(raw: Mapping[str, RawTable | None], config: Config, findings: Findings) -> dict[str, pl.DataFrame]:
    """Bring tables to their final types and find every fault in them.

    Parameters
    ----------
    raw
        Tables by name; None for one that is there but could not be read (what refers to it is not checked).
    config
        Names the signals that interactions may carry.
    findings
        Gets the faults and notes.

    Returns
    -------
    dict
        Tables ready for `assemble.assemble`, provided that there are no faults.
    """
    frames = {name: conform_table(name, raw[name], findings) for name in TABLES if raw.get(name) is not None}  # type: ignore[arg-type]
    if "interactions" in frames:
        frames["interactions"] = name_items(frames["interactions"])
    share_id_type(frames, USER_COLUMNS)
    share_id_type(frames, ITEM_COLUMNS)
    for name, frame in frames.items():
        if name == "interactions":
            table = raw[name]
            assert table is not None
            _check_interactions(frame, table.frame.columns, config, findings)
        else:
            check_present(name, frame, findings)
        unique = TABLES[name].unique
        if unique is not None and unique in frame.columns:
            ids = frame[unique]
            repeats = ids.is_not_null() & ~ids.is_first_distinct()
            findings.rows(f"{name}.{unique}", repeats, "repeat an id", ids, "keep one row for each id")
    if "interactions" not in raw:
        findings.faults.append("interactions: the table is missing; add interactions.parquet or interactions.csv.")
    for one, other in (("users", "items"), ("items", "users")):
        if f"embeddings/{one}" in raw and f"embeddings/{other}" not in raw:
            findings.faults.append(f"embeddings/{other}: the table is missing beside embeddings/{one}; add it.")
    _check_references(frames, raw, USER_COLUMNS, "users", findings)
    _check_references(frames, raw, ITEM_COLUMNS, "items", findings)
    homes = [(name, frames.get(name, pl.DataFrame()).columns) for name in ("items", "collections") if name in raw]
    if all(column in columns for name, columns in homes for column in TABLES[name].required):
        _check_entities(frames, _faulty_entities(raw, findings), findings)
    _check_vectors(frames, findings)
    return frames


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


def share_id_type(frames: dict[str, pl.DataFrame], places: tuple[tuple[str, str], ...]) -> None:
    """Make ids of one kind String everywhere if they are String anywhere, so that they join."""
    present = [(table, column) for table, column in places if table in frames and column in frames[table].columns]
    if any(frames[table][column].dtype == pl.String for table, column in present):
        for table, column in present:
            frames[table] = frames[table].with_columns(pl.col(column).cast(pl.String))


def check_present(name: str, frame: pl.DataFrame, findings: Findings) -> None:
    """Find rows whose required text or ids are missing."""
    for column in TABLES[name].required:
        if column in frame.columns and column != "vector":
            missing = frame[column].is_null()
            findings.rows(f"{name}.{column}", missing, "are empty", None, f"fill them in {OR_DROP}")
    if name == "collections" and "entity" in frame.columns:
        own = frame["entity"] == ITEM
        findings.rows("collections.entity", own, "name 'item', which is no collection", None, f"rename it {OR_DROP}")


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
        absent = weight.null_count()
        if absent:
            findings.notes.append(f"{where}: {absent:,} of {len(weight):,} rows are empty and weigh 1.")
    return looked_at


def _check_interactions(frame: pl.DataFrame, given: list[str], config: Config, findings: Findings) -> None:
    """Find rows that mean nothing, rows with an unknown signal, and whether anything is used."""
    if check_rows(frame, given, findings):
        _check_use(frame, config, findings)
    if "signal" in frame.columns:
        signal = frame["signal"]
        unknown = signal.is_not_null() & ~signal.is_in(list(config.signals.known))
        example = next(iter(signal.filter(unknown)), None)
        known = ", ".join(config.signals.known)
        advice = f"known are {known}; name yours in the configuration (signals.affinity.{example} = 1.0) {OR_DROP}"
        findings.rows("interactions.signal", unknown, "have an unknown signal", signal, advice)


def _check_targets(frame: pl.DataFrame, given: list[str], findings: Findings) -> bool:
    """Find rows that name no target, two targets, or half an entity; return whether targets could be looked at."""
    where, has = "interactions", {"item_id", "entity", "entity_id"} & {*given, *frame.columns}
    if not has:
        found = ", ".join(given)
        findings.faults.append(
            f"{where}.item_id: the column is missing (found: {found}); add it, or entity and entity_id."
        )
    for one, other in (("entity", "entity_id"), ("entity_id", "entity")):
        if one in has and other not in has:
            findings.faults.append(f"{where}.{other}: the column is missing beside {one}; add it.")
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


def _check_use(frame: pl.DataFrame, config: Config, findings: Findings) -> None:
    """Find out whether anything says that items are used: popularity, lists and truth are made of it."""
    used = frame["item_id"].is_not_null() if "item_id" in frame.columns else pl.repeat(False, frame.height, eager=True)
    if "signal" in frame.columns:
        used &= frame["signal"].is_in(list(config.signals.use))
    elif DEFAULT_SIGNAL not in config.signals.use:
        used &= False
    if "weight" in frame.columns:
        used &= frame["weight"].fill_null(1.0) > 0
    if frame.height and not used.any():
        use = ", ".join(config.signals.use)
        findings.faults.append(
            f"interactions: no row says that an item is used (signals {use}, weight above 0); add such rows, "
            "or name the signals that mean use in the configuration (signals.use)."
        )


def _check_references(
    frames: Frames,
    raw: Mapping[str, RawTable | None],
    places: tuple[tuple[str, str], ...],
    home: str,
    findings: Findings,
) -> None:
    """Find rows that name users or items which the home table, or without it interactions, does not have."""
    source = home if home in raw else "interactions"
    id_column = places[0][1]
    if source not in frames or id_column not in frames[source].columns:
        return
    known = Ids.of(frames[source][id_column].drop_nulls().unique())
    for table, column in places[1:]:
        if table != source and table in frames and column in frames[table].columns:
            ids = frames[table][column]
            unknown = ids.is_not_null() & pl.Series(known.lookup(ids) < 0)
            findings.rows(f"{table}.{column}", unknown, f"name unknown {home}", ids, f"add them to {home} {OR_DROP}")


def _faulty_entities(raw: Mapping[str, RawTable | None], findings: Findings) -> set[str]:
    """Return the entities of columns of `items` that have faults themselves."""
    items = raw.get("items")
    columns = [] if items is None else items.frame.columns
    return {entity_of_column(c) for c in columns if any(fault.startswith(f"items.{c}:") for fault in findings.faults)}


def _check_entities(frames: Frames, faulty: set[str], findings: Findings) -> None:
    """Find interactions with an entity, or an entity's id, that neither items nor collections have."""
    interactions = frames.get("interactions", pl.DataFrame())
    if not {"entity", "entity_id"} <= set(interactions.columns):
        return
    entity, ids = interactions["entity"], interactions["entity_id"]
    members = entity_members(frames)
    unknown = entity.is_not_null() & ~entity.is_in([*members, *faulty])
    known = f"known are {', '.join(members)}" if members else "there are none yet"
    advice = f"{known}; add such a column to items, or collections of it, {OR_DROP}"
    findings.rows("interactions.entity", unknown, "name an unknown entity", entity, advice)
    for name, rows in members.items():
        known_ids = Ids.of(rows["entity_id"].unique())
        stray = (entity == name) & ids.is_not_null() & pl.Series(known_ids.lookup(ids) < 0)
        advice = f"add them to items or collections {OR_DROP}"
        findings.rows("interactions.entity_id", stray, f"name an unknown {name}", ids, advice)


def _check_vectors(frames: Frames, findings: Findings) -> None:
    """Find items without a vector of their own, and users' and items' vectors that do not fit each other."""
    tables = [frames.get(f"embeddings/{kind}", pl.DataFrame()) for kind in ("users", "items")]
    if all("vector" in table.columns and table.height for table in tables):
        users, items = (next(filter(None, table["vector"].list.len()), 0) for table in tables)
        if users != items:
            findings.faults.append(
                f"embeddings/users.vector: has {users} numbers where those of items have {items}; "
                "bring both from the same model."
            )
    source = frames.get("items", frames.get("interactions", pl.DataFrame()))
    if "item_id" in tables[1].columns and "item_id" in source.columns:
        ids = source["item_id"].drop_nulls().unique().sort()
        lacking = pl.Series(np.asarray(Ids.of(tables[1]["item_id"].drop_nulls().unique()).lookup(ids) < 0))
        findings.rows("embeddings/items", lacking, "have no vector", ids, "bring one for every item", noun="items")
