"""Datasets on a Spark cluster: parts of users on the executors' disks, on which functions are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import functions as fn

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.first_uses import add_first_uses, count_warm_first_uses
from firstday.data.ids import Ids
from firstday.data.parts import join_users, unpack
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, LogSpan
from firstday.engine.everyone import merge
from firstday.engine.large import MAX_STABLE_NUMBER, Learners, describe_warm, read_facts, take_learners
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
    list_ratings,
    map_parts,
    unpack_answer,
)
from firstday.impressions.counts import add_shown
from firstday.model.trained_model import TrainedModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MIN_FETCHED_PARTS = 32
"""Minimum number of answers that the driver fetches in one job."""
MAX_JOBS = 16
"""Maximum number of jobs in which the users to train on are fetched; each job scans all partitions."""
MAX_USER_RATIO = 10
"""Maximum number of users fetched by the driver, warm or not, as a multiple of `training.most_users`."""


@dataclass(frozen=True, eq=False)
class ClusterDataset:
    """Checked tables, divided into parts of users and stored on the executors' disks; see `LargeDataset`.

    All parts share the catalogue; `parts` has one row for each (`firstday.engine.spark.work.PARTS_DDL`).
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

    def add_up(self, merge: Callable[[Iterable[Any]], Any], function: Question, *arguments: Any) -> Any:
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

    def find_learners(self, config: Config) -> Learners:
        """Choose the users to train on and fetch them to the driver; see `firstday.engine.large.LargeDataset`."""
        summary, histories = read_facts(self, config)
        log = histories.log
        choose_target_days(histories, config)  # raises for tables without timestamps
        is_warm = histories.can_be_warm & (histories.n_used >= MIN_LEARNED_ITEMS)
        threshold = find_threshold(histories.numbers, is_warm, config.training.most_users)
        packed = self.ask(take_learners, config.seed, threshold, n_jobs=MAX_JOBS)
        parts = (unpack(part, self.catalogue) for part in packed)
        are_all = threshold == MAX_STABLE_NUMBER
        learners = join_users(self.name, parts, self.catalogue, are_all=are_all)
        first, last = summary.moments or (None, None)
        learners = replace(learners, events=replace(learners.events, first=first, last=last), notes=self.notes)
        factorise = partial(self._factorise, config, log)
        fetched = Learners(learners, {}, None, factorise, protocol=histories.protocol)
        if are_all:
            return fetched
        facts = {"users": len(histories), "interactions": summary.interactions}

        def count_shown(model: TrainedModel, held_out: Ids) -> Any:
            model = replace(model, learned={})  # executors may lack the plugins of learned values
            return self.add_up(add_shown, count_others, config, log, model, held_out)

        describe_everyone = partial(self.add_up, merge, describe_warm, config, log)
        count_first_uses = partial(self.add_up, add_first_uses, count_warm_first_uses, config, log)
        fetched = replace(fetched, facts=facts, describe_everyone=describe_everyone, count_first_uses=count_first_uses)
        return replace(fetched, count_others=count_shown) if summary.impressions else fetched

    def _factorise(self, config: Config, log: LogSpan | None, held_out: Ids, dimensions: int) -> np.ndarray:
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
