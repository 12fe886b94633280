"""Tables larger than one machine: what training asks of them, and what a part of the users answers.

The functions here take a part, which is a small Dataset, wherever it is. An engine that keeps parts on many machines
runs them there and adds the answers up (`firstday.engine.spark`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids, stable_numbers
from firstday.data.parts import keep_users, pack
from firstday.data.splits.histories import LEAST_LEARNED, Histories, Log
from firstday.data.splits.roles import find_warm
from firstday.data.splits.split import take_actions
from firstday.data.summary import Summary
from firstday.display import readable
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.engine.everyone import Everyone, Question, describe_part
from firstday.segment.shown_counts import ShownCounts
from firstday.sparse import SparseRows

LARGEST = 2**64 - 1
"""The largest stable number."""


@readable
@dataclass(frozen=True, eq=False)
class Learners:
    """The users to learn from, and how to ask about everyone.

    Parameters
    ----------
    dataset
        All that belongs to them.
    facts
        Counts of the whole data, as `Dataset.summary` has them.
    describe_everyone
        Counts all warm users; None where the learners are all users.
    factorise
        Makes vectors of items from every warm user but those held out, by the engine's own method: takes the held-out
        users and the length of a vector, returns float32, shape (n_items, d). None where the engine has none.
    count_others
        Counts what was shown to everyone who is not warm; takes the model and the held-out users. None where the
        learners are all users.
    """

    dataset: Dataset
    facts: Mapping[str, Any]
    describe_everyone: Callable[[Question], Everyone] | None
    factorise: Callable[[Ids, int], np.ndarray] | None = None
    count_others: Callable[[TrainedModel, Ids], ShownCounts | None] | None = None


@runtime_checkable
class LargeDataset(Protocol):
    """Checked tables that are kept elsewhere, in parts of users."""

    @property
    def name(self) -> str:
        """As in `Dataset`."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the reading."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """A line of JSON for each bad row that was left out."""

    def summarise(self) -> Summary:
        """Count what is in the tables."""

    def read_histories(self, config: Config, log: Log | None) -> Histories:
        """Count what the roles of users depend on."""

    def find_learners(self, config: Config) -> Learners:
        """Choose the users to learn from (`training.most_users`), and bring them here."""


def take_learners(part: Dataset, seed: int, up_to: int) -> bytes:
    """Return the users of a part whose stable number is at most `up_to`, packed."""
    numbers = stable_numbers(part.users, seed)
    return pack(keep_users(part, np.flatnonzero(numbers <= up_to)))


def describe_warm(part: Dataset, config: Config, log: Log | None, question: Question) -> Everyone:
    """Describe the warm users of a part."""
    warm, actions, window = find_warm(part, config, log)
    return describe_part(part, warm, take_actions(actions, warm), question, window)


def warm_affinity(part: Dataset, config: Config, log: Log | None, held_out: Ids, signals: SignalConfig) -> SparseRows:
    """Return the affinities of a part's warm users for items, without those held out, shape (n_warm, n_items)."""
    warm, actions, _ = find_warm(part, config, log)
    of_warm = take_actions(actions, warm)
    affinity = compute_affinity(of_warm, signals, len(warm), len(part.items))
    n_used = select_uses(of_warm, signals, len(warm), len(part.items)).lengths()
    is_free = held_out.lookup(part.users.take(warm)) < 0
    return affinity.take(np.flatnonzero(is_free & (n_used >= LEAST_LEARNED)))
