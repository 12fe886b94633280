"""The engine `local`: everything on this machine, on which the whole dataset is one part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.first_uses import FirstUses, count_first_uses
from firstday.data.frame_libraries import library_of, to_library
from firstday.data.left_out import left_out_path, write_left_out
from firstday.data.load import check_tables
from firstday.data.newcomers import load_newcomers
from firstday.data.splits.histories import LogSpan
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.split import Split
from firstday.embed.embeddings import Embeddings
from firstday.embed.methods import WarmLogs, fit_embeddings
from firstday.engine.everyone import Everyone, StatisticsTask, summarise_part
from firstday.engine.protocol import LargeDataset, Learners, Tables
from firstday.engine.shown_to_others import count_shown_to_others
from firstday.errors import ConfigError
from firstday.files import replaced
from firstday.impressions.counts import ShownCounts
from firstday.model.folder import KEEP, check_target
from firstday.model.trained_model import TrainedModel
from firstday.progress import Progress
from firstday.recommend import recommender as recommenders
from firstday.recommend.batch import BatchSummary, list_users
from firstday.recommend.list_files import find_list_form, write_list_file
from firstday.recommend.model_card import put_card
from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.list_rules import Rules, compile_rules

__all__ = [
    "check_place", "check_tables", "open_model", "recommend_batch", "save_model", "start", "write_lists",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class LocalLearners:
    """All users of a dataset; see `firstday.engine.protocol.Learners`."""

    dataset: Dataset
    is_sample: bool = False

    def split(self, config: Config) -> Split:
        """Split the users for training."""
        return split_for_training(self.dataset, config, config.seed)

    def summary(self) -> Mapping[str, Any]:
        """Return the counts of the dataset."""
        return self.dataset.summary()

    def fit_embeddings(self, logs: WarmLogs, _: Split, config: Config) -> Embeddings:
        """Learn vectors from the users to train on."""
        if config.training.factors == "mllib":
            raise ConfigError(
                "training.factors: 'mllib' requires the Spark engine; train on Spark, or set it to 'sample'."
            )
        return fit_embeddings(logs, config.embedding, seed=config.seed, threads=config.threads)

    def describe_everyone(self, split: Split, task: StatisticsTask) -> Everyone:
        """Compute the statistics of all warm users."""
        return summarise_part(self.dataset, split.warm, split.warm_actions, task, split.warm_window)

    def count_first_uses(self, split: Split, config: Config) -> FirstUses | None:
        """Count the first uses of all warm users by day; None without times."""
        window = split.warm_window
        first = self.dataset.events.first
        if window is None or first is None:
            return None
        log = LogSpan(first, int(window.end.max()))
        return count_first_uses(self.dataset, split.warm, config.signals, window, log)

    def count_shown_to_others(self, split: Split, model: TrainedModel, counted: np.ndarray) -> ShownCounts | None:
        """Count the impressions of users who are not among the warm ones that are `counted` already."""
        window = split.warm_window
        held_out = split.held_out_ids(self.dataset.users)
        return count_shown_to_others(self.dataset, model, counted, self.dataset.actions(window), held_out, window)


def as_learners(dataset: Dataset | Learners) -> Learners:
    """Return the users to train on: those of a dataset, or those found by `find_learners`."""
    return LocalLearners(dataset) if isinstance(dataset, Dataset) else dataset


def find_learners(dataset: Dataset | LargeDataset, config: Config, progress: Progress) -> Learners:
    """Find the users to train on, wherever their data is."""
    if isinstance(dataset, Dataset):
        return LocalLearners(dataset)
    progress("training users", 0, 1)
    learners = dataset.find_learners(config)
    progress("training users", 1, 1)
    return learners


def start(master: str | None, conf: Mapping[str, str]) -> None:
    """Raise ConfigError if there are settings of a cluster."""
    if master is not None or conf:
        raise ConfigError("--spark-master and --spark-conf need --engine spark; add it, or leave them out.")


def recommend_batch(
    recommender: Recommender,
    tables: Tables,
    k: int | None,
    strategy: str | None,
    *,
    keep_used: bool,
    rules: Rules,
    drop_bad_rows: float,
    plugins: tuple[str, ...] = (),  # noqa: ARG001  loaded already
) -> tuple[Any, BatchSummary, tuple[str, ...]]:
    """Recommend to all users of some tables, with lists in the library of these."""
    dataset = load_newcomers(tables, config=recommender.model.config, drop_bad_rows=drop_bad_rows)
    lists, summary = list_users(recommender, dataset, k, strategy, keep_used=keep_used, rules=rules)
    notes = [f"Rules: {note}." for note in compile_rules(recommender.model, [rules], {}).notes]
    return to_library(lists, library_of(tables)), summary.with_notes([*dataset.notes, *notes]), dataset.left_out


def write_lists(lists: pl.DataFrame, out: str, left_out: tuple[str, ...] = ()) -> None:
    """Write lists atomically to a file in the format of its extension, and the dropped rows to a file next to it."""
    form = find_list_form(out)
    with replaced(Path(out)) as staged:
        write_list_file(lists, staged, form)
    write_left_out(left_out_path(Path(out)), left_out)


def check_place(place: str) -> None:
    """Raise ArtifactError if a folder contains something other than a model."""
    check_target(_local(place))


def save_model(recommender: Recommender, place: str, left_out: tuple[str, ...] = (), *, keep: int = KEEP) -> None:
    """Save a model atomically with its card, and the rows dropped from its tables in a file next to it."""
    path = recommender.save(_local(place), keep=keep)
    put_card(recommender.model, path)
    write_left_out(left_out_path(path), left_out)


def open_model(place: str) -> Recommender:
    """Open a model."""
    return recommenders.open_model(_local(place))


def _local(place: str) -> Path:
    if "://" in place:
        raise ConfigError(f"{place}: is an address on a cluster; add --engine spark, or give a local path.")
    return Path(place)
