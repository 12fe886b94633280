"""Datasets larger than one machine: the interface that training uses, and its computations on a part of the users.

The functions here take a part, which is a small Dataset. A distributed engine (`firstday.engine.spark`) runs them on
the machines that store the parts and adds up the results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.first_uses import FirstUses
from firstday.data.ids import Ids, stable_numbers
from firstday.data.parts import pack
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, Histories, LogSpan, read_histories
from firstday.data.splits.protocol import choose_protocol
from firstday.data.splits.roles import find_warm
from firstday.data.splits.split import take_actions
from firstday.data.summary import Summary, summarise
from firstday.display import readable
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.engine.everyone import Everyone, StatisticsTask, summarise_part
from firstday.impressions.counts import ShownCounts
from firstday.model.trained_model import TrainedModel
from firstday.sparse import SparseRows

Tables = str | Path | Mapping[str, Any]
"""A folder or a dataset name; or data frames by table name."""
MAX_STABLE_NUMBER = 2**64 - 1
"""The largest stable number."""


@readable
@dataclass(frozen=True, eq=False)
class Learners:
    """The data of the users to train on, and how to query all users.

    `facts` are those counts of `Dataset.summary` that differ for the whole dataset, whose protocol is `protocol`.
    `describe_everyone` computes statistics of all warm users; `count_others` counts the impressions of users who are
    not warm, given the model and the held-out users; `count_first_uses` counts the first uses of warm users who are not
    held out. All are None if the dataset contains all users. `factorise` is the engine's own method, if any, for item
    vectors from all warm users except the given held-out ones: float32, shape (n_items, d).
    """

    dataset: Dataset
    facts: Mapping[str, Any]
    describe_everyone: Callable[[StatisticsTask], Everyone] | None
    factorise: Callable[[Ids, int], np.ndarray] | None = None
    count_others: Callable[[TrainedModel, Ids], ShownCounts | None] | None = None
    count_first_uses: Callable[[Ids], FirstUses] | None = None
    protocol: str = "auto"


@runtime_checkable
class LargeDataset(Protocol):
    """Checked tables stored elsewhere, in parts of users."""

    @property
    def name(self) -> str:
        """As in `Dataset`."""

    @property
    def columns(self) -> Mapping[str, pl.Series]:
        """As in `Dataset`."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was ignored or decided while reading."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Bad rows that were dropped, one JSON line each."""

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        """Call a function on the Dataset of each part; yield the results in the order of the parts."""

    def find_learners(self, config: Config) -> Learners:
        """Choose the users to train on (`training.most_users`) and fetch their data."""


def sum_parts(dataset: Dataset | LargeDataset, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function on a Dataset, or on each part of a large one, and add up the results."""
    if isinstance(dataset, Dataset):
        return function(dataset, *arguments)
    return reduce(add, dataset.ask(function, *arguments))


def read_facts(dataset: Dataset | LargeDataset, config: Config) -> tuple[Summary, Histories]:
    """Return the counts of a dataset, and its users' histories under the chosen protocol."""
    summary = sum_parts(dataset, summarise)
    return summary, sum_parts(dataset, read_histories, config, choose_protocol(summary, config))


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
