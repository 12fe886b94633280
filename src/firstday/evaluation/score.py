"""Scores lists of any library on the cold users of a split, like those of `evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.ids import Ids
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, write_moment
from firstday.data.splits.holdout import Holdout
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.target_uses import BY_DAY_ONE
from firstday.embed.embeddings import select_uses
from firstday.errors import DataError, count_of, expect
from firstday.evaluation.evaluation_split import EvaluationSplit, name_cut_off
from firstday.evaluation.figures import NO_LIST, Scores
from firstday.evaluation.results import Results
from firstday.evaluation.run import (
    Run,
    check_against,
    check_arguments,
    describe_protocol,
    describe_run,
    find_best_simple,
    join_runs,
    score_lists,
)
from firstday.features.catalogue import Catalogue
from firstday.metrics import PrecisionRule
from firstday.segment.segments import ItemCounts, count_items
from firstday.sparse import SparseRows
from firstday.tables.frames import to_polars
from firstday.tables.raw_table import first_line

COLUMNS = ("user_id", "item_id", "rank")
KEYS = ("strategy", "seed", "cut_off", "catalogue")
TYPES: dict[str, Any] = {**dict.fromkeys((*KEYS, "route"), pl.String), "seed": pl.Int64, "rank": pl.Float64}
PROBLEMS = {
    "strangers": "are of users who are not cold in that part, and were left out",
    "unknown": "are of items that are not in the dataset, and count as misses",
    "used": "are of items that the user used on day one, and count as misses",
    "later": "are of items that came after the user's day one, and count as misses",
}
"""Notes on rows of lists."""


def score(
    split: EvaluationSplit,
    lists: Mapping[str, Any] | Any,
    *,
    k: int | None = None,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = (),
) -> Results:
    """Score lists that any library made for the cold users of a split, in the same table as those of `evaluate`.

    A user without a list scores 0, and has the route ``none``.

    Parameters
    ----------
    split
        From `split` or `open_split`.
    lists
        Data frames by name of the strategy, or one with the column `strategy`, of any library that Narwhals supports.
        Their columns are `user_id`, `item_id` and `rank` (the lowest is the best); `seed` and `cut_off` if the split
        has several; optionally `route` and `catalogue`, as returned by `Results.lists`. Without `catalogue`, all
        metrics are computed from the same list.
    k, divide_by, against
        See `evaluate`; `against` defaults to the first strategy if none is one of the simple ones.

    Returns
    -------
    Results
        Without what needs a model: segments, times, `knowledge` of users, and gains over older models.

    Raises
    ------
    DataError
        A column is missing, a user has an item or a rank twice, or no user of a strategy is a cold user of the split.
    """
    expect("split", split, EvaluationSplit, "what fd.split or fd.open_split returns")
    check_arguments(divide_by, k=k)
    rows = _read_lists(split, lists)
    names = rows["strategy"].unique(maintain_order=True).to_list()
    check_against(against, names)
    counts: Counter[str] = Counter()
    runs = []
    for seed, holdout in split.holdouts():
        part = _Part(holdout, split.config, k or split.config.recommend.k, divide_by, counts)
        of_part = rows.filter(pl.col("seed") == seed, pl.col("cut_off") == name_cut_off(holdout))
        scores = {name: part.score(of_part.filter(pl.col("strategy") == name)) for name in names}
        runs.append(part.describe(scores, seed))
    for name in names:
        if all((run.scores[name].routes == NO_LIST).all() for run in runs):
            raise DataError(
                f"lists: no user of {name!r} is a cold user of the split; give user_id, seed and cut_off as in "
                "split.to_frames()['users']."
            )
    results = join_runs(runs, against or [find_best_simple(runs)], divide_by=divide_by, **describe_protocol(split))
    notes = (f"lists: {count_of(n, rows.height, 'rows')} {PROBLEMS[kind]}." for kind, n in counts.items() if n)
    return replace(results, notes=(*results.notes, *notes))


def _read_lists(split: EvaluationSplit, lists: Mapping[str, Any] | Any) -> pl.DataFrame:
    """Return all lists with the columns `strategy`, `seed`, `cut_off`, `catalogue`, `route` and `COLUMNS`."""
    parts = {"seed": [*split.seeds], "cut_off": [""]}
    if split.cut_offs is not None:
        parts["cut_off"] = [write_moment(moment) for moment in split.cut_offs.moments]
    needed = [*COLUMNS, *(name for name, values in parts.items() if len(values) > 1)]
    are_named = isinstance(lists, Mapping)
    frames = []
    for name, frame in lists.items() if are_named else [("lists", lists)]:
        try:
            rows = to_polars(frame).lazy().collect()
        except Exception as error:  # raised by any library
            raise DataError(f"{name}: is no data frame ({first_line(error)}); give one.") from None
        if are_named:
            rows = rows.with_columns(strategy=pl.lit(name))
        if missing := [column for column in ("strategy", *needed) if column not in rows.columns]:
            raise DataError(f"{name}: has no column {missing[0]} (found: {', '.join(rows.columns)}); add it.")
        absent = {
            "seed": parts["seed"][0], "cut_off": parts["cut_off"][0], "catalogue": None, "route": pl.col("strategy")
        }  # fmt: skip
        rows = rows.with_columns(**{column: value for column, value in absent.items() if column not in rows.columns})
        frames.append(rows.select(*TYPES, "user_id", "item_id").cast(TYPES, strict=False))
    rows = pl.concat(frames, how="vertical_relaxed")
    _check_rows(rows, parts)
    return rows


def _check_rows(rows: pl.DataFrame, parts: Mapping[str, Sequence[Any]]) -> None:
    """Raise DataError for rows of another seed or cut-off, without a rank, or that repeat an item or a rank."""
    faults = {f"have another {name} than the split": ~pl.col(name).is_in(values) for name, values in parts.items()}
    faults["have no rank"] = pl.col("rank").is_null()
    for column in ("item_id", "rank"):
        repeated = pl.struct(*KEYS, "user_id", column).is_duplicated()
        faults[f"repeat the {column} of another row of their user"] = repeated
    for fault, condition in faults.items():
        bad = rows.filter(condition.fill_null(True))
        if bad.height:
            first = ", ".join(
                f"{name} {value}" for name, value in bad.select(*KEYS[:3], *COLUMNS).row(0, named=True).items()
            )
            raise DataError(
                f"lists: {count_of(bad.height, rows.height, 'rows')} {fault} (first: {first}); correct them."
            )


@dataclass(frozen=True, eq=False)
class _Part:
    """One part of a split, on whose cold users lists are scored; `counts` collects the numbers of `PROBLEMS`."""

    holdout: Holdout
    config: Config
    k: int
    divide_by: PrecisionRule
    counts: Counter[str]

    @cached_property
    def uses(self) -> SparseRows:
        """Items that warm users use."""
        split = self.holdout.split
        return select_uses(split.warm_actions, self.config.signals, len(split.warm), len(self.holdout.dataset.items))

    @cached_property
    def everyone(self) -> ItemCounts:
        """Number of warm users who use each item."""
        return count_items(np.zeros(self.uses.n_rows, dtype=np.int64), self.uses, 1)

    @cached_property
    def users(self) -> Ids:
        """Ids of the cold users."""
        return Ids(self.holdout.newcomers.users.take(self.holdout.cold.users))

    def score(self, rows: pl.DataFrame) -> Scores:
        """Score the lists of one strategy."""
        cold = self.holdout.cold
        is_all = (rows["catalogue"] == BY_DAY_ONE).fill_null(value=False)
        kinds = [part for part in (rows.filter(~is_all), rows.filter(is_all)) if part.height] or [rows]
        lists, routes = self._place(kinds[0])
        at_training = self.holdout.dataset.items.lookup(self.holdout.newcomers.items.values)
        known = np.append(at_training, -1)[lists]
        scores = score_lists(known, routes, cold.truth, self.everyone, self.divide_by)
        if self.holdout.all_uses is None:
            return scores
        if len(kinds) > 1:
            lists, _ = self._place(kinds[1])
        return scores.with_all_uses(lists, self.holdout.all_uses.truth, self.divide_by)

    def _place(self, rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return lists, by the indexes of the newcomers' items, and routes."""
        newcomers = self.holdout.newcomers
        cold = self.holdout.cold
        indexed = rows.with_columns(
            pl.Series("user", self.users.lookup(rows["user_id"])),
            pl.Series("item", newcomers.items.lookup(rows["item_id"])),
        )
        of_cold = indexed.filter(pl.col("user") >= 0).sort("user", "rank")
        listed = of_cold.with_columns(position=pl.int_range(pl.len()).over("user")).filter(pl.col("position") < self.k)
        user = listed["user"].to_numpy()
        lists = np.full((len(cold), self.k), -1, dtype=np.int32)
        lists[user, listed["position"].to_numpy()] = listed["item"].to_numpy()
        routes = np.full(len(cold), NO_LIST, dtype=object)
        routes[user] = listed["route"].to_numpy()
        self.counts["strangers"] += rows.height - of_cold.height
        self.counts["unknown"] += int((listed["item"] < 0).sum())
        self.counts["used"] += int(unite_uses(cold.day_one, self.config.signals).has(lists).sum())
        if self.holdout.all_uses is not None and cold.day_end_us is not None:
            is_later = (lists >= 0) & (self.holdout.all_uses.first_seen[lists] >= cold.day_end_us[:, None])
            self.counts["later"] += int(is_later.sum())
            lists[is_later] = -1
        return lists, routes

    def describe(self, scores: Mapping[str, Scores], seed: int) -> Run:
        """Return the scores of all strategies as a run."""
        holdout = self.holdout
        trained = holdout.dataset
        learners = holdout.split.warm[self.uses.lengths() >= MIN_LEARNED_ITEMS]
        friends = Ids(trained.users.take(learners)) if self.config.recommend.warm_users else None
        catalogue = Catalogue.of(trained, self.config.signals.names, friends)
        signals, _ = catalogue.translate(holdout.newcomers, holdout.cold.users, holdout.cold.day_one)
        run = describe_run(
            scores,
            holdout.cold,
            self.users.values,
            signals,
            catalogue,
            self.everyone,
            k=self.k,
            seed=seed,
            segments=(),
            fit_seconds=0.0,
            cut_off=name_cut_off(holdout),
            notes=holdout.split.notes,
            all_items=holdout.newcomers.items,
        )
        if holdout.all_uses is None:
            return run
        return replace(run, users=run.users.with_columns(model_age=holdout.all_uses.model_age))
