"""Scores lists of any library on the cold users of a split, like those of `evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.ids import Ids
from firstday.data.splits.histories import MIN_LEARNED_ITEMS
from firstday.data.splits.holdout import Holdout
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.target_uses import AT_TRAINING, BY_DAY_ONE
from firstday.embed.embeddings import select_uses
from firstday.errors import DataError, count_of, expect
from firstday.evaluation.evaluation_split import EvaluationSplit, name_cut_off
from firstday.evaluation.own_metrics import OwnMetric, name_metrics
from firstday.evaluation.results import Results
from firstday.evaluation.run import (
    Run,
    check_against,
    check_arguments,
    describe_protocol,
    describe_run,
    join_runs,
    score_lists,
)
from firstday.features.catalogue import Catalogue
from firstday.metrics import PrecisionRule
from firstday.recommend.spec import NO_LIST
from firstday.segment.segments import count_items
from firstday.tables.frames import to_polars
from firstday.tables.raw_table import first_line

TYPES: dict[Any, Any] = {
    **dict.fromkeys(("strategy", "cut_off", "catalogue", "route"), pl.String),
    "seed": pl.Int64,
    "rank": pl.Float64,
}
"""Types of the columns of lists, but for `user_id` and `item_id`."""
ROWS = "rows"
STRANGERS = "are of users who are not cold in that part, and were left out"
FOREIGN = "are of items that the split does not have, and are no hits"
UNKNOWN = "are of items that were unknown at training, and are no hits of precision"
USED = "are of items that the user used on day one, and are no hits"


def score(
    split: EvaluationSplit,
    lists: Mapping[str, Any] | Any,
    *,
    k: int | None = None,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = (),
    metrics: Sequence[OwnMetric] = (),
) -> Results:
    """Score lists that any library made for the cold users of a split, in the same table as those of `evaluate`.

    A user without a list scores 0, and has the route ``none``. Notes count rows of other users, of items that were
    unknown at training and of items used on day one, and name the seeds and cut-offs without lists.

    Parameters
    ----------
    split
        From `split` or `open_split`.
    lists
        Data frames by name of the strategy, or one with the column `strategy`, of any library that Narwhals supports.
        Their columns are `seed`, `cut_off` (or none under `sampled`) and `user_id` as in `EvaluationSplit.to_frames`,
        `item_id`, and `rank` (the lowest is the best); optionally `catalogue` and `route`, see `Results.lists`. Without
        `catalogue`, all metrics are about the same list.
    k, divide_by, against, metrics
        See `evaluate`.

    Returns
    -------
    Results
        Without what needs a model: segments, times, diversity, `knowledge` of users, and gains over older models.

    Raises
    ------
    DataError
        A strategy has no rows, or a row lacks a value, is of another seed, cut-off or catalogue, or repeats an item or
        a rank of its user.
    """
    expect("split", split, EvaluationSplit, "what fd.split or fd.open_split returns")
    check_arguments(divide_by, k=k)
    own_metrics = name_metrics(metrics)
    rows = _read_lists(lists)
    check_against(against, rows["strategy"].to_list())
    counts: Counter[tuple[str, str]] = Counter()
    k = k or split.config.recommend.k
    runs = [_score_part(rows, *part, split.config, k, divide_by, own_metrics, counts) for part in split.holdouts()]
    parts = pl.DataFrame({"seed": [run.seed for run in runs], "cut_off": [run.cut_off for run in runs]})
    _check_rows(rows, parts)
    results = join_runs(runs, against, divide_by=divide_by, own_metrics=tuple(own_metrics), **describe_protocol(split))
    notes = [_describe_rows(*key, n, counts[key[0], ROWS]) for key, n in counts.items() if n and key[1] != ROWS]
    expected = parts.join(rows.select("strategy").unique(maintain_order=True), how="cross")
    for part in expected.join(rows, on=expected.columns, how="anti").to_dicts():
        notes.append(f"lists: there are none for {part}, so all of its users score 0.")
    return replace(results, notes=(*results.notes, *notes))


def _describe_rows(name: str, problem: str, n: int, n_rows: int) -> str:
    """Return a note on rows of a list; raise DataError if all rows have a problem of their ids."""
    found = f"lists of {name}: {count_of(n, n_rows, 'rows')} {problem}"
    if n == n_rows and problem in (STRANGERS, FOREIGN):
        raise DataError(f"{found}; use the ids of the split's tables.")
    return f"{found}."


def _read_lists(lists: Mapping[str, Any] | Any) -> pl.DataFrame:
    """Return all lists as one frame with the columns of `TYPES`, `user_id` and `item_id`."""
    columns = [*TYPES, "user_id", "item_id"]
    frames = [pl.DataFrame(schema=columns)]
    try:
        for name, frame in lists.items() if isinstance(lists, Mapping) else [(None, lists)]:
            rows = to_polars(frame).lazy().collect()
            if rows.is_empty():
                raise DataError(f"lists: {name or 'the frame'} has no rows; give at least one list, or omit it.")
            frames.append(rows if name is None else rows.with_columns(strategy=pl.lit(name)))
        rows = pl.concat(frames, how="diagonal_relaxed").select(columns)
        ids = {name: pl.String for name in ("user_id", "item_id") if not rows[name].dtype.is_integer()}
        rows = rows.cast(TYPES | ids)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"lists: cannot be read ({first_line(error)}); give data frames with the columns user_id, item_id, rank, "
            "seed and cut_off, by name of the strategy."
        ) from None
    if rows.is_empty():
        raise DataError("lists: is empty; give at least one list.")
    return rows.with_columns(
        pl.col("rank").fill_nan(None),
        pl.col("cut_off").fill_null(""),
        pl.col("catalogue").fill_null(AT_TRAINING),
        pl.col("route").fill_null(pl.col("strategy")),
    )


def _check_rows(rows: pl.DataFrame, parts: pl.DataFrame) -> None:
    """Raise DataError for rows that lack a value, are of none of the parts, or repeat others."""
    needed = ("strategy", "user_id", "item_id", "rank")
    of_user = (*parts.columns, "strategy", "catalogue", "user_id")
    repeats = [pl.struct(*of_user, column).is_duplicated() for column in ("item_id", "rank")]
    faults = {
        f"lack one of {', '.join(needed)}": rows.filter(pl.any_horizontal(pl.col(needed).is_null())),
        f"have another catalogue than {AT_TRAINING} or {BY_DAY_ONE}": rows.filter(
            ~pl.col("catalogue").is_in((AT_TRAINING, BY_DAY_ONE))
        ),
        "have no seed and cut_off of the split": rows.join(parts, on=parts.columns, how="anti"),
        "repeat an item or a rank of their user": rows.filter(pl.any_horizontal(repeats)),
    }
    for fault, bad in faults.items():
        if len(bad):
            first = bad.row(0, named=True)
            raise DataError(f"lists: {count_of(len(bad), len(rows), 'rows')} {fault} (first: {first}); correct them.")


def _score_part(
    rows: pl.DataFrame,
    seed: int,
    holdout: Holdout,
    config: Config,
    k: int,
    divide_by: PrecisionRule,
    own_metrics: Mapping[str, OwnMetric],
    counts: Counter[tuple[str, str]],
) -> Run:
    """Score the lists of one part; `counts` collects the numbers of rows by list and problem."""
    trained = holdout.dataset
    newcomers = holdout.newcomers
    cold = holdout.cold
    users = Ids(newcomers.users.take(cold.users))
    warm = holdout.split.warm
    uses = select_uses(holdout.split.warm_actions, config.signals, len(warm), len(trained.items))
    everyone = count_items(np.zeros(len(warm), dtype=np.int64), uses, 1)
    used = unite_uses(cold.day_one, config.signals)
    in_training = np.append(trained.items.lookup(newcomers.items.values), -1)
    items = trained.items.values
    scores = {}
    for name in rows["strategy"].unique(maintain_order=True):
        listed = rows.filter(strategy=name, seed=seed, cut_off=name_cut_off(holdout))
        kinds = listed.partition_by("catalogue", as_dict=True)
        of_known = kinds.get((AT_TRAINING,), listed)
        lists, routes = _place(of_known, users, newcomers.items, k)
        scores[name] = score_lists(in_training[lists], routes, cold.truth, everyone, items, divide_by, own_metrics)
        counts[name, ROWS] += len(of_known)
        counts[name, STRANGERS] += int((users.lookup(of_known["user_id"]) < 0).sum())
        listed_ix = newcomers.items.lookup(of_known["item_id"])
        counts[name, FOREIGN] += int((listed_ix < 0).sum())
        counts[name, UNKNOWN] += int((in_training[listed_ix[listed_ix >= 0]] < 0).sum())
        counts[name, USED] += int(used.has(lists).sum())
        if holdout.all_uses is not None and cold.day_end_us is not None:
            lists, _ = _place(kinds.get((BY_DAY_ONE,), listed), users, newcomers.items, k)
            lists[holdout.all_uses.first_seen[lists] >= cold.day_end_us[:, None]] = -1  # not known to anybody then
            scores[name] = scores[name].with_all_uses(lists, holdout.all_uses.truth, divide_by)
    learners = trained.users.take(warm[uses.lengths() >= MIN_LEARNED_ITEMS])
    catalogue = Catalogue.of(trained, config.signals.names, Ids(learners) if config.recommend.warm_users else None)
    signals, _ = catalogue.translate(newcomers, cold.users, cold.day_one)
    facts = {"k": k, "seed": seed, "cut_off": name_cut_off(holdout), "notes": holdout.split.notes, "n_warm": len(warm)}
    run = describe_run(scores, cold, users.values, signals, catalogue, **facts)
    return run.of_holdout(holdout)


def _place(rows: pl.DataFrame, users: Ids, items: Ids, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first k items of each user as indexes, -1 for other positions and items, and the routes."""
    indexed = rows.with_columns(user=users.lookup(rows["user_id"]), item=items.lookup(rows["item_id"]))
    ranked = indexed.with_columns(position=pl.col("rank").rank("ordinal").over("user") - 1)
    first = ranked.filter(pl.col("user") >= 0, pl.col("position") < k)
    user, position, item, route = (first[name].to_numpy() for name in ("user", "position", "item", "route"))
    lists = np.full((len(users), k), -1, dtype=np.int32)
    lists[user, position] = item
    routes = np.full(len(users), NO_LIST, dtype=object)
    routes[user] = route
    return lists, routes
