"""Renewal of a model's counts: popularity, profile groups, segments' items and the clock as of newer tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.first_uses import FirstUses, count_first_uses
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, read_histories
from firstday.data.splits.holdout import log_of
from firstday.data.splits.registration import collect_newcomers, find_newest
from firstday.data.splits.split import Cohort, take_actions
from firstday.embed.embeddings import select_uses
from firstday.features.catalogue import map_columns
from firstday.methods.clock import choose_clock
from firstday.methods.latest import Latest
from firstday.methods.trending import choose_trend
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.segment.segments import ItemCounts, Segments, count_items, rank_items
from firstday.sparse import SparseRows
from firstday.tables.schema import EXPIRES_AT, RECOMMENDABLE


def renew_counts(model: TrainedModel, dataset: Dataset, held_out: np.ndarray) -> TrainedModel:
    """Return the model with counts of all users who are not held out, a mask of shape (n_users,), and a new clock.

    Titles, columns and unlisted items become those of the tables, as far as these have them. What was trained stays as
    it is. Items and profile values that the model does not know are ignored, and impressions are not counted again.
    """
    config = model.config
    signals = config.signals
    log = log_of(dataset, config)
    histories = choose_target_days(read_histories(dataset, config, log), config)
    window = histories.life(config.registration)
    warm = np.flatnonzero(histories.can_be_warm & ~held_out)
    model = _renew_items(model, dataset)
    known, _ = model.catalogue.translate(dataset, warm, take_actions(dataset.actions(window), warm))
    uses = select_uses(known.actions, signals, len(warm), model.n_items)
    everyone = count_items(np.zeros(len(warm), dtype=np.int64), uses, 1)
    vectors = model.fold_in.solve(known.affinity(signals))
    if dataset.user_vectors is not None:
        vectors = dataset.user_vectors[warm]
    recent: dict[str, Any] = {"clock": None, "trend": None}
    if log is not None and window is not None:
        first_uses = count_first_uses(dataset, warm, signals, window, log)
        newest = collect_newcomers(dataset, config, histories, find_newest(histories, np.flatnonzero(held_out)))
        recent = _renew_recent(model, dataset, first_uses, newest)
    data = {**model.facts["data"], "warm_users": len(warm)}
    if len(model.unlisted):
        data["items_unlisted"] = len(model.unlisted)
    return replace(
        model.with_learned(**recent),
        everyone=everyone,
        profile_groups=_renew_groups(model, known.profile, uses),
        segments=_renew_segments(model, vectors, uses),
        facts={**model.facts, "data": data},
    )


def _renew_items(model: TrainedModel, dataset: Dataset) -> TrainedModel:
    """Return the model with titles, columns and unlisted items as in the tables, as far as the tables have them."""
    catalogue = model.catalogue
    rows = dataset.items.lookup(catalogue.items.values)
    is_there = pl.Series(rows >= 0)

    def renew(new: pl.Series, old: pl.Series) -> pl.Series:
        return new.gather(np.maximum(rows, 0)).zip_with(is_there, old) if new.dtype == old.dtype else old

    columns = {
        name: renew(dataset.columns[name], old) if name in dataset.columns else old
        for name, old in catalogue.columns.items()
    }
    titles = catalogue.titles
    if titles and dataset.titles:
        titles = tuple(renew(pl.Series(dataset.titles), pl.Series(titles)))
    unlisted = model.unlisted
    if {RECOMMENDABLE, EXPIRES_AT} & dataset.columns.keys():
        is_listed = pl.Series(~np.isin(np.arange(len(dataset.items)), dataset.find_unlisted()))
        unlisted = np.flatnonzero(~renew(is_listed, pl.Series(model.listed)).to_numpy()).astype(np.int32)
    updated = np.flatnonzero(np.isin(rows, dataset.updated_items)).astype(np.int32)
    return replace(
        model, catalogue=replace(catalogue, columns=columns, titles=titles), unlisted=unlisted, updated=updated
    )


def _renew_groups(model: TrainedModel, profile: Mapping[str, np.ndarray], uses: SparseRows) -> dict[str, ItemCounts]:
    """Return the profile groups with the items of warm users; a column that is no longer there keeps its counts."""
    groups = dict(model.profile_groups)
    for name in groups.keys() & profile.keys():
        groups[name] = count_items(profile[name], uses, len(groups[name].sizes))
    return groups


def _renew_segments(model: TrainedModel, vectors: np.ndarray, uses: SparseRows) -> Segments:
    """Return the segments with the items of warm users, given their vectors and uses."""
    nearest = np.where(uses.lengths() >= MIN_LEARNED_ITEMS, model.segments.assign(unit_rows(vectors)), -1)
    items = count_items(nearest, uses, len(model.segments))
    items = replace(items, sizes=np.maximum(1, items.sizes))
    top_items = rank_items(items, uses.column_sums(), model.segments.top_items.shape[1])
    return replace(model.segments, items=items, top_items=top_items).without(model.unlisted)


def _renew_recent(model: TrainedModel, dataset: Dataset, first_uses: FirstUses, newest: Cohort) -> dict[str, Any]:
    """Return what is learned from first uses of the items that the model knows, by method."""
    items = model.catalogue.items
    first_uses = replace(first_uses, counts=map_columns(first_uses.counts, dataset.items, items))
    day_ones, _ = model.catalogue.translate(dataset, newest.users, newest.day_one)
    truth = map_columns(newest.truth, dataset.items, items)
    expired = newest.unavailable and map_columns(newest.unavailable, dataset.items, items)
    newest = replace(newest, truth=truth, day_one=day_ones.actions, unavailable=expired)
    latest: Latest = model.learned["latest"]
    if len(latest.came_us):  # empty if the model was trained without times
        latest = replace(latest, came_us=np.where(latest.came_us < 0, first_uses.first_us, latest.came_us))
    return {
        "clock": choose_clock(first_uses, newest, model.config.signals),
        "trend": choose_trend(first_uses, newest, model.config.signals),
        "latest": latest,
    }
