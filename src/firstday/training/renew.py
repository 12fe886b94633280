"""Renewal of a model's counts: popularity, profile groups, segments' items and the clock as of newer tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.first_uses import count_first_uses
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, read_histories, write_moment
from firstday.data.splits.holdout import log_of
from firstday.data.splits.registration import collect_newcomers, find_newest
from firstday.data.splits.split import take_actions
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.features.catalogue import map_columns
from firstday.methods.clock import choose_clock
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.segment.segments import count_items, rank_items


def renew_counts(model: TrainedModel, dataset: Dataset, held_out: np.ndarray) -> TrainedModel:
    """Return the model with counts of all users who are not held out, a mask of shape (n_users,), and a new clock.

    What was trained stays as it is. Items and profile values that the model does not know are ignored, and impressions
    are not counted again.
    """
    config = model.config
    signals = config.signals
    items = model.catalogue.items
    log = log_of(dataset, config)
    histories = choose_target_days(read_histories(dataset, config, log), config)
    window = histories.life(config.registration)
    warm = np.flatnonzero(histories.can_be_warm & ~held_out)
    known, _ = model.catalogue.translate(dataset, warm, take_actions(dataset.actions(window), warm))
    shape = len(warm), len(items)
    uses = select_uses(known.actions, signals, *shape)
    everyone = count_items(np.zeros(len(warm), dtype=np.int64), uses, 1)
    groups = {
        name: count_items(known.profile[name], uses, len(counts.sizes))
        for name, counts in model.profile_groups.items()
        if name in known.profile
    }
    vectors = model.fold_in.solve(compute_affinity(known.actions, signals, *shape))
    if dataset.user_vectors is not None:
        vectors = dataset.user_vectors[warm]
    nearest = np.where(uses.lengths() >= MIN_LEARNED_ITEMS, model.segments.assign(unit_rows(vectors)), -1)
    by_segment = count_items(nearest, uses, len(model.segments))
    by_segment = replace(by_segment, sizes=np.maximum(1, by_segment.sizes))
    top_items = rank_items(by_segment, everyone.counts.column_sums(), model.segments.top_items.shape[1])
    segments = replace(model.segments, items=by_segment, top_items=top_items).without(model.unlisted)
    clock = None
    if log is not None and window is not None:
        first_uses = count_first_uses(dataset, warm, signals, window, log)
        first_uses = replace(first_uses, counts=map_columns(first_uses.counts, dataset.items, items))
        newest = collect_newcomers(dataset, config, histories, find_newest(histories, np.flatnonzero(held_out)))
        day_ones, _ = model.catalogue.translate(dataset, newest.users, newest.day_one)
        truth = map_columns(newest.truth, dataset.items, items)
        clock = choose_clock(first_uses, replace(newest, truth=truth, day_one=day_ones.actions), signals)
    data = {**model.facts["data"], "warm_users": len(warm)}
    if dataset.events.last is not None:
        data["counted_until"] = write_moment(dataset.events.last)[:10]
    return replace(
        model.with_learned(clock=clock),
        everyone=everyone,
        profile_groups={**model.profile_groups, **groups},
        segments=segments,
        facts={**model.facts, "data": data},
    )
