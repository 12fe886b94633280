"""Datasets on a Spark cluster: parts of users on the executors' disks, on which functions are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import functions as fn

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.first_uses import FirstUses, add_first_uses, count_warm_first_uses
from firstday.data.ids import Ids
from firstday.data.parts import join_users, unpack
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, Histories, LogSpan
from firstday.data.splits.split import Split
from firstday.embed.embeddings import Embeddings
from firstday.embed.methods import WarmLogs, fold_in_users
from firstday.engine.everyone import Everyone, StatisticsTask, merge
from firstday.engine.local import LocalLearners
from firstday.engine.protocol import read_facts
from firstday.engine.spark.session import named_errors
from firstday.engine.spark.work import (
    MERGED_PARTS,
    PARTS_DDL,
    RATINGS_DDL,
    Batches,
    Question,
    add_answers,
    answer_question,
    count_others,
    describe_warm,
    list_ratings,
    map_parts,
    take_learners,
    unpack_answer,
)
from firstday.impressions.counts import ShownCounts, add_shown
from firstday.model.trained_model import TrainedModel

A = TypeVar("A")

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MAX_STABLE_NUMBER = 2**64 - 1
"""The largest stable number."""
MIN_FETCHED_PARTS = 32
"""Minimum number of answers that the driver fetches in one job."""
MAX_JOBS = 16
"""Maximum number of jobs in which the users to train on are fetched; each job scans all partitions."""
MAX_USER_RATIO = 10
"""Maximum number of users fetched by the driver, warm or not, as a multiple of `training.most_users`."""


@dataclass(frozen=True, eq=False)
class ClusterDataset:
    """Checked tables, divided into parts of users and stored on the executors' disks.

    See `firstday.engine.protocol.LargeDataset`. All parts share the catalogue; `parts` has one row for each
    (`firstday.engine.spark.work.PARTS_DDL`).
    """

    name: str
    catalogue: Dataset
    parts: DataFrame
    n_parts: int
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def ask(self, function: Question, *arguments: Any, n_jobs: int = 1) -> Iterator[Any]:
        """Call a function on the Dataset of each part, on the executors; yield the results in the order of the parts.

        The arguments are broadcast. All answers of one of at most `n_jobs` jobs are in the driver's memory.
        """
        work = self._work(answer_question, function, *arguments)
        step = max(MIN_FETCHED_PARTS, -(-self.n_parts // n_jobs))
        for start in range(0, self.n_parts, step):
            selection = self.parts.where(fn.col("part").between(start, start + step - 1))
            yield from collect_answers(selection.mapInArrow(work, PARTS_DDL), self.name)

    def add_up(self, merge: Callable[[Iterable[A]], A], function: Callable[..., A], *arguments: Any) -> A:
        """Call a function on the Dataset of each part and add up the results, as far as possible on the executors.

        `merge` adds up results in the given order, which depends only on the part numbers. See also `ask`.
        """

        def join(table: pa.Table) -> pa.Table:
            return add_answers(merge, table)

        sums = self.parts.mapInArrow(self._work(answer_question, function, *arguments), PARTS_DDL)
        n_sums = self.n_parts
        while n_sums > 1:
            group = fn.floor(fn.col("part") / MERGED_PARTS)
            sums = sums.groupBy(group).applyInArrow(join, PARTS_DDL)
            n_sums = -(-n_sums // MERGED_PARTS)
        return merge(collect_answers(sums, self.name))

    def _work(self, function: Callable[..., pa.Table], *arguments: Any) -> Callable[[Batches], Batches]:
        """Return a function for `mapInArrow` that calls `function` on each part; see `map_parts`."""
        broadcast = self.parts.sparkSession.sparkContext.broadcast(arguments)
        catalogue = self._sent_catalogue

        def work(batches: Batches) -> Batches:
            return map_parts(function, catalogue.value, broadcast.value, batches)

        return work

    @cached_property
    def _sent_catalogue(self) -> Any:
        """The catalogue, broadcast to the executors once."""
        return self.parts.sparkSession.sparkContext.broadcast(self.catalogue)

    @property
    def columns(self) -> Mapping[str, pl.Series]:
        """Columns of `items` that filters can read."""
        return self.catalogue.columns

    def find_learners(self, config: Config) -> ClusterLearners:
        """Choose the users to train on and fetch them to the driver; see `firstday.engine.protocol.LargeDataset`."""
        summary, histories = read_facts(self, config)
        choose_target_days(histories, config)  # raises for tables without timestamps
        is_warm = histories.can_be_warm & (histories.n_used >= MIN_LEARNED_ITEMS)
        threshold = find_threshold(histories.numbers, is_warm, config.training.most_users)
        packed = self.ask(take_learners, config.seed, threshold, n_jobs=MAX_JOBS)
        parts = (unpack(part, self.catalogue) for part in packed)
        are_all = threshold == MAX_STABLE_NUMBER
        dataset = join_users(self.name, parts, self.catalogue, are_all=are_all)
        first, last = summary.moments or (None, None)
        dataset = replace(dataset, events=replace(dataset.events, first=first, last=last), notes=self.notes)
        return ClusterLearners(self, dataset, config, histories, summary.interactions, not are_all)

    def factorise(self, config: Config, log: LogSpan | None, held_out: Ids, dimensions: int) -> np.ndarray:
        """Compute item vectors with MLlib's ALS from all warm users except held-out ones."""
        work = self._work(list_ratings, self.n_parts, config, log, held_out)
        with named_errors(self.name):
            ratings = self.parts.mapInArrow(work, RATINGS_DDL).persist(StorageLevel.DISK_ONLY)
            vectors = factorise(ratings, len(self.catalogue.items), dimensions, config)
        ratings.unpersist()
        return vectors

    def forget(self) -> None:
        """Delete the parts from the executors' disks."""
        self.parts.unpersist()


@dataclass(frozen=True, eq=False)
class ClusterLearners:
    """Users to train on, fetched from a cluster; see `firstday.engine.protocol.Learners`.

    `histories` and `n_interactions` are those of all users. If these are not more, this machine answers about them.
    """

    tables: ClusterDataset
    dataset: Dataset
    config: Config
    histories: Histories
    n_interactions: int
    is_sample: bool

    def split(self, config: Config) -> Split:
        """Split the users for training, by the protocol of all users."""
        return self._local.split(config.override("protocol", self.histories.protocol))

    def summary(self) -> Mapping[str, Any]:
        """Return the counts of the dataset, with the numbers of all users and interactions."""
        return {**self.dataset.summary(), "users": len(self.histories), "interactions": self.n_interactions}

    def fit_embeddings(self, logs: WarmLogs, split: Split, config: Config) -> Embeddings:
        """Learn vectors from the users to train on, or by `training.factors` those of items from all warm users."""
        if config.training.factors != "mllib" or logs.precomputed is not None:
            return self._local.fit_embeddings(logs, split, config.override("training.factors", "sample"))
        n_users = logs.affinity.n_rows
        dimensions = config.embedding.resolve_dimensions(n_users, len(self.dataset.items))
        held_out = split.held_out_ids(self.dataset.users)
        item_vectors = self.tables.factorise(self.config, self.histories.log, held_out, dimensions)
        return fold_in_users(logs.affinity, item_vectors, config.embedding)

    def describe_everyone(self, split: Split, task: StatisticsTask) -> Everyone:
        """Compute the statistics of all warm users."""
        if not self.is_sample:
            return self._local.describe_everyone(split, task)
        return self._add_up(merge, describe_warm, task)

    def count_first_uses(self, split: Split, config: Config) -> FirstUses | None:
        """Count the first uses of all warm users by day; None without times."""
        if not self.is_sample or self.histories.log is None:
            return self._local.count_first_uses(split, config)
        held_out = split.held_out_ids(self.dataset.users)
        return self._add_up(add_first_uses, count_warm_first_uses, held_out)

    def count_shown_to_others(self, split: Split, model: TrainedModel, counted: np.ndarray) -> ShownCounts | None:
        """Count the impressions of users who are not warm."""
        if not self.is_sample:
            return self._local.count_shown_to_others(split, model, counted)
        model = replace(model, learned={})  # executors may lack the plugins of learned values
        held_out = split.held_out_ids(self.dataset.users)
        return self._add_up(add_shown, count_others, model, held_out)

    @property
    def _local(self) -> LocalLearners:
        return LocalLearners(self.dataset)

    def _add_up(self, merge: Callable[[Iterable[A]], A], function: Callable[..., A], *arguments: Any) -> A:
        """Add up answers about the parts of all users."""
        return self.tables.add_up(merge, function, self.config, self.histories.log, *arguments)


def collect_answers(parts: DataFrame, name: str) -> Iterator[Any]:
    """Return the answers of parts (`firstday.engine.spark.work.PARTS_DDL`) in order; `name` appears in messages.

    Uses Arrow, since `collect` holds several copies of the rows in the driver's Java heap, and silently loses rows if
    the heap is too small.
    """
    with named_errors(name):
        rows = pl.DataFrame(parts.select("part", "answer").toArrow())
    return map(unpack_answer, rows.sort("part")["answer"])


def find_threshold(numbers: np.ndarray, is_warm: np.ndarray, max_warm: int) -> int:
    """Return the stable number up to which users are fetched: at most `max_warm` warm users, and a multiple of all."""
    threshold = MAX_STABLE_NUMBER
    for candidates, n in ((numbers[is_warm], max_warm), (numbers, MAX_USER_RATIO * max_warm)):
        if len(candidates) > n:
            threshold = min(threshold, int(np.partition(candidates, n - 1)[n - 1]))
    return threshold


def factorise(ratings: DataFrame, n_items: int, dimensions: int, config: Config) -> np.ndarray:
    """Compute item vectors with MLlib's alternating least squares (ALS) for implicit feedback (Hu et al., ICDM 2008).

    Ratings have a row per user and item: `user`, `item` (from 0), `rating` (affinity, above 0). The result is float32,
    shape (n_items, dimensions), with zeros for items without ratings.
    """
    from pyspark.ml.recommendation import ALS

    ((n_ratings, n_users),) = ratings.agg(fn.count("item"), fn.countDistinct("user")).collect()
    settings = config.embedding
    als = ALS(
        rank=dimensions,
        maxIter=settings.als_iterations,
        # MLlib multiplies the regularisation by the number of ratings of the user or item.
        regParam=settings.als_regularization * n_users / max(1, n_ratings),
        alpha=settings.als_confidence,
        implicitPrefs=True,
        seed=config.seed,
        userCol="user",
        itemCol="item",
        ratingCol="rating",
    )
    factors = als.fit(ratings).itemFactors.toArrow()
    vectors = np.zeros((n_items, dimensions), dtype=np.float32)
    vectors[factors["id"].to_numpy()] = np.stack(factors["features"].to_pylist())
    return vectors
