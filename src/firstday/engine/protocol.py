"""What an engine provides: tables, the users to train on, answers about all users, lists and models.

An engine is a module, and an entry point of the group ``firstday.engines``, such as `firstday.engine.local`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.first_uses import FirstUses
from firstday.data.splits.cut_offs import CutOffs
from firstday.data.splits.histories import Histories, read_histories
from firstday.data.splits.protocol import choose_protocol
from firstday.data.splits.snapshot import find_first_seen
from firstday.data.splits.split import Split
from firstday.data.splits.target_uses import TargetUses, count_target_uses
from firstday.data.summary import Summary, summarise
from firstday.embed.embeddings import Embeddings
from firstday.embed.methods import WarmLogs
from firstday.engine.everyone import Everyone, StatisticsTask
from firstday.impressions.counts import ShownCounts
from firstday.model.folder import KEEP
from firstday.model.trained_model import TrainedModel
from firstday.recommend.batch import BatchSummary
from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.list_rules import Rules
from firstday.tables.faults import Findings

Tables = str | Path | Mapping[str, Any]
"""A folder or a dataset name; or data frames by table name."""


class Learners(Protocol):
    """The users to train on, and answers about all users of the tables."""

    @property
    def dataset(self) -> Dataset:
        """The data of these users."""

    @property
    def is_sample(self) -> bool:
        """Whether other users count, too."""

    def split(self, config: Config) -> Split:
        """Split these users for training, by the protocol of all users."""

    def summary(self) -> Mapping[str, Any]:
        """Return the counts of `Dataset.summary` for all users."""

    def fit_embeddings(self, logs: WarmLogs, split: Split, config: Config) -> Embeddings:
        """Learn vectors from `logs`, those of the users to train on, or item vectors from all warm users."""

    def describe_everyone(self, split: Split, task: StatisticsTask) -> Everyone:
        """Compute the statistics of all warm users."""

    def count_first_uses(self, split: Split, config: Config) -> FirstUses | None:
        """Count the first uses of all warm users by day; None without times."""

    def count_shown_to_others(self, split: Split, model: TrainedModel, counted: np.ndarray) -> ShownCounts | None:
        """Count the impressions of users who are not warm; those of `counted`, `user_ix`, are counted already."""


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


@runtime_checkable
class Engine(Protocol):
    """Where rows are read, users are counted, and models and lists are written."""

    def start(self, master: str | None, conf: Mapping[str, str]) -> None:
        """Connect to a cluster, with its own settings."""

    def check_tables(
        self, tables: Tables, *, path: str | Path | None, config: Config, drop_bad_rows: float
    ) -> tuple[Dataset | LargeDataset | None, Findings]:
        """Read and check tables; the dataset is None if there are faults. For parameters see `firstday.load`."""

    def recommend_batch(
        self,
        recommender: Recommender,
        tables: Tables,
        k: int | None,
        strategy: str | None,
        *,
        keep_used: bool,
        rules: Rules,
        drop_bad_rows: float,
        plugins: tuple[str, ...] = (),
    ) -> tuple[Any, BatchSummary, tuple[str, ...]]:
        """Recommend to all users of some tables; see `firstday.recommend_batch`.

        `plugins` are the modules with methods that the model needs. Returns a data frame, a summary, and the bad rows
        that were dropped, one JSON line each.
        """

    def write_lists(self, lists: Any, out: str, left_out: tuple[str, ...] = ()) -> None:
        """Write lists in the format of an extension, and the dropped rows to a file next to them."""

    def check_place(self, place: str) -> None:
        """Raise ArtifactError if a folder contains something other than a model, before hours of training."""

    def save_model(
        self, recommender: Recommender, place: str, left_out: tuple[str, ...] = (), *, keep: int = KEEP
    ) -> None:
        """Save a model atomically, and the rows dropped from its tables in a file next to it.

        The last `keep` versions are kept; in a file system of a cluster, only the new version.
        """

    def open_model(self, place: str) -> Recommender:
        """Open a model; raise ArtifactError if the folder contains none, or it is damaged."""


def ask_all(
    dataset: Dataset | LargeDataset,
    function: Callable[..., Any],
    *arguments: Any,
    merge: Callable[[Any, Any], Any] = add,
) -> Any:
    """Call a function on a Dataset, or on each part of a large one, and merge the results."""
    if isinstance(dataset, Dataset):
        return function(dataset, *arguments)
    return reduce(merge, dataset.ask(function, *arguments))


def read_facts(dataset: Dataset | LargeDataset, config: Config) -> tuple[Summary, Histories]:
    """Return the counts of a dataset, and its users' histories under the chosen protocol."""
    summary = ask_all(dataset, summarise)
    return summary, ask_all(dataset, read_histories, config, choose_protocol(summary, config))


def read_target_uses(dataset: Dataset | LargeDataset, config: Config, cut_offs: CutOffs) -> TargetUses:
    """Count what the newcomers of some cut-offs used in their target windows."""
    first_seen = ask_all(dataset, find_first_seen, merge=np.minimum)
    histories = cut_offs.histories
    return ask_all(
        dataset, count_target_uses, config, histories.log, histories.target_days, cut_offs.moments, first_seen
    )
