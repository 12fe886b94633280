"""Questions to a part of the users, a small Dataset: what executors answer about it for training."""

from __future__ import annotations

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids, stable_numbers
from firstday.data.parts import pack
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, LogSpan
from firstday.data.splits.roles import find_warm
from firstday.data.splits.split import take_actions
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.engine.everyone import Everyone, StatisticsTask, summarise_part
from firstday.engine.shown_to_others import count_shown_to_others
from firstday.model.trained_model import TrainedModel
from firstday.segment.shown_counts import ShownCounts
from firstday.sparse import SparseRows


def take_learners(part: Dataset, seed: int, up_to: int) -> bytes:
    """Return the users of a part whose stable numbers are at most `up_to`, packed."""
    numbers = stable_numbers(part.users, seed)
    return pack(part.keep_users(np.flatnonzero(numbers <= up_to)))


def describe_warm(part: Dataset, config: Config, log: LogSpan | None, task: StatisticsTask) -> Everyone:
    """Compute the statistics of a part's warm users."""
    warm, actions, window = find_warm(part, config, log)
    return summarise_part(part, warm, take_actions(actions, warm), task, window)


def warm_affinity(part: Dataset, config: Config, log: LogSpan | None, held_out: Ids) -> SparseRows:
    """Return the item affinities of a part's users to train on, without held-out ones, shape (n, n_items)."""
    warm, actions, _ = find_warm(part, config, log)
    warm = warm[held_out.lookup(part.users.take(warm)) < 0]
    actions = take_actions(actions, warm)
    shape = (len(warm), len(part.items))
    n_used = select_uses(actions, config.signals, *shape).lengths()
    affinity = compute_affinity(actions, config.signals, *shape)
    return affinity.take(np.flatnonzero(n_used >= MIN_LEARNED_ITEMS))


def count_others(
    part: Dataset, config: Config, log: LogSpan | None, model: TrainedModel, held_out: Ids
) -> ShownCounts | None:
    """Count the impressions of a part's users who are not warm."""
    warm, actions, window = find_warm(part, config, log)
    return count_shown_to_others(part, model, warm, actions, held_out, window)
