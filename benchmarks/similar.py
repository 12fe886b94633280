"""What goes with an item: lists of similar items against the rest of held-out baskets, for docs/quality.md.

python benchmarks/similar.py online-retail models/online-retail --path data/online_retail_2009_2010.parquet
python benchmarks/similar.py complete-journey models/complete-journey

A model is trained on what came before a cut-off, unless the folder has one. Then, for lines drawn uniformly from the
baskets after it, the list of the line's item is compared with the other items of the basket. A basket is what a user
uses at one moment; items that the model does not know are left out. Baselines get the same warm users; of their
options, those with the best precision on these very lines are reported. Renews the dataset's part of
docs/results/similar.json.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer
from result_files import RESULTS, read_results, to_json, write_results

from firstday.cli.options import open_tables
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Events
from firstday.data.splits.histories import write_moment
from firstday.data.splits.holdout import find_cut_offs, split_for_training
from firstday.data.splits.snapshot import take_snapshot
from firstday.data.splits.split import Split
from firstday.features.signals import Signals
from firstday.methods.ease import MAX_ITEMS, fit_ease
from firstday.methods.item_scores import to_matrix
from firstday.metrics import bootstrap_means, measure
from firstday.ranking import most_used, rank_scores, unit_rows
from firstday.recommend.recommender import Recommender, open_model
from firstday.sparse import SparseRows
from firstday.training.fit import fit, warm_uses
from firstday.training.item_links import link_items

K = 10
MEASURES = ("precision", "ndcg", "hit")
OPTIONS_OF_ITEM_ITEM = ((0.0, 0.3), (10.0, 0.3), (30.0, 0.3), (100.0, 0.5), (10.0, 0.1))
"""Shrinkage and asymmetry; plain cosine has 0 and 0.5."""
OPTIONS_OF_EASE = ((300.0, 0.0), (3000.0, 0.0), (1000.0, 0.5), (300.0, 0.9))
"""Regularization and dropout."""
MAX_INTERACTIONS = 1000
"""Maximum number of earlier uses of a user."""
RESULT = RESULTS / "similar.json"


def main(
    tables: str,
    model: Path,
    path: Path | None = None,
    cut_off: float = 0.7,
    lines: int = 4000,
    users: int = 500,
) -> None:
    """Evaluate one dataset; the cut-off is a share of the log's time, `users` the number of lines with a user."""
    dataset, config = open_tables(tables, path, None)
    events = dataset.events
    assert events.first is not None
    assert events.last is not None
    moment = int(events.first + cut_off * (events.last - events.first))
    cut_offs = find_cut_offs(dataset, config)
    assert cut_offs is not None
    past = take_snapshot(dataset, cut_offs.histories.registered_us, moment)
    split = split_for_training(past, config, config.seed, end=moment)
    if not model.exists():
        fit(past, split, config).recommender.save(model)
    recommender = open_model(model)
    frame = pl.concat(events.frames()).filter(pl.col("pair").is_in(events.codes_of(ITEM, config.signals.use)))
    frame = frame.with_columns(item=pl.Series(past.items.lookup(dataset.items.values)[frame["target_ix"].to_numpy()]))
    drawn, truth = draw_lines(frame, len(past.items), moment, lines)
    queried, row_of_line = np.unique(drawn["item"].to_numpy(), return_inverse=True)
    uses = warm_uses(past, split, config)
    found = {}
    for name, lists_of_options in list_makers(recommender, past, split, uses, queried).items():
        candidates = [lists[row_of_line] for lists in lists_of_options]
        found[name] = max(candidates, key=lambda lists: measure(lists, truth).precision.mean())
    of_lines = compare(found, truth, drawn["user_ix"].to_numpy())
    content = read_results(RESULT)
    content[dataset.name] = {
        "cut_off": write_moment(moment)[:10],
        "k": K,
        "lines": drawn.height,
        "users": drawn["user_ix"].n_unique(),
        "others": float(np.median(truth.lengths())),
        "lists": of_lines,
        "for_users": evaluate_users(recommender, frame, drawn[:users], truth),
    }
    write_results(content, RESULT)


def draw_lines(frame: pl.DataFrame, n_items: int, moment: int, n: int) -> tuple[pl.DataFrame, SparseRows]:
    """Draw lines of baskets with other known items; return them, and these others, shape (n, n_items)."""
    is_later = pl.col("timestamp").to_physical() >= moment
    lines = frame.filter(is_later, pl.col("item") >= 0).unique(["user_ix", "timestamp", "item"])
    lines = lines.sort("user_ix", "timestamp", "item").with_columns(n=pl.len().over("user_ix", "timestamp"))
    drawn = lines.filter(pl.col("n") > 1).sample(n, seed=0, shuffle=True)
    baskets = drawn.select("user_ix", "timestamp", line=pl.int_range(pl.len()), queried="item").join(
        lines, ["user_ix", "timestamp"]
    )
    others = baskets.filter(pl.col("item") != pl.col("queried"))
    return drawn, SparseRows.from_pairs(others["line"].to_numpy(), others["item"].to_numpy(), None, n, n_items)


def list_makers(
    recommender: Recommender, past: Dataset, split: Split, uses: SparseRows, queried: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """Return the lists of the queried items by name, one for each combination of options, each (n_queried, K)."""
    model = recommender.model
    liked = SparseRows.from_lists(list(queried[:, None]), model.n_items)
    undated = replace(past, events=Events.empty())
    nobody = SparseRows.empty(0, model.n_items)
    matrix = to_matrix(uses)
    users_of_items = matrix.T.tocsr()
    n_users = np.maximum(1, uses.column_sums())
    most_used_items = most_used(n_users, MAX_ITEMS)

    def rank(score: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Rank all items by the scores that a function returns for some queried items."""
        typer.echo("*", nl=False, err=True)
        return rank_scores(lambda rows: score(queried[rows]).astype(np.float32), liked, K)[0]

    def rank_links(links: SparseRows) -> np.ndarray:
        return rank(lambda items: links.take(items).dense())

    def rank_together(shrinkage: float, asymmetry: float) -> np.ndarray:
        """Rank as `item_item` does, without a limit on neighbours."""

        def score(items: np.ndarray) -> np.ndarray:
            norm = n_users[items][:, None] ** (1 - asymmetry) * n_users**asymmetry + shrinkage
            return np.asarray((users_of_items[items] @ matrix).toarray() / norm)

        return rank(score)

    def rank_by_ease(regularization: float, dropout: float) -> np.ndarray:
        ease = fit_ease(uses, most_used_items, regularization=regularization, dropout=dropout)
        return rank(lambda items: ease.score(SparseRows.from_lists(list(items[:, None]), model.n_items)))

    similar = [recommender.similar(model.catalogue.items[item], K) for item in queried.tolist()]
    vectors = unit_rows(model.fold_in.item_vectors)
    return {
        "similar": [np.array([[model.catalogue.items.index_of(one.item_id) for one in answer] for answer in similar])],
        "links of days alone": [rank_links(link_items(past, split, nobody, model.config))],
        "links of users alone": [rank_links(link_items(undated, split, uses, model.config))],
        "item-item, cosine": [rank_together(0.0, 0.5)],
        "item-item, best options": [rank_together(*options) for options in OPTIONS_OF_ITEM_ITEM],
        "EASE, best options": [rank_by_ease(*options) for options in OPTIONS_OF_EASE],
        "cosine of vectors": [rank(lambda items: vectors[items] @ vectors.T)],
        "popular items": [rank(lambda items: np.tile(model.popularity, (len(items), 1)))],
    }


def compare(found: Mapping[str, np.ndarray], truth: SparseRows, users: np.ndarray) -> list[dict[str, Any]]:
    """Return the quality of each list, and its difference in precision to the first, with intervals, in %."""
    rows = []
    values = {name: 100 * measure_lists(lists, truth) for name, lists in found.items()}
    first, *_ = values.values()
    for name, of_lists in values.items():
        row = {"name": name, "distinct_items": len(np.unique(found[name]))}
        columns = np.column_stack([of_lists, of_lists[:, 0] - first[:, 0]])
        for measured, interval in zip((*MEASURES, "difference"), bootstrap_means(columns, users), strict=True):
            row |= to_json(measured, interval)
        rows.append(row)
    return rows


def measure_lists(lists: np.ndarray, truth: SparseRows) -> np.ndarray:
    """Return the `MEASURES` of each list, shape (n, 3)."""
    metrics = measure(lists, truth)
    return np.column_stack([metrics.precision, metrics.ndcg, truth.has(lists).any(axis=1)])


def evaluate_users(
    recommender: Recommender, frame: pl.DataFrame, drawn: pl.DataFrame, truth: SparseRows
) -> dict[str, Any]:
    """Evaluate lists for the users of baskets, given what they used before; only items new to them count."""
    items = recommender.model.catalogue.items
    histories = {user: rows for (user,), rows in frame.filter(pl.col("item") >= 0).group_by("user_ix")}
    lists: dict[str, list[list[int]]] = {"for the user": [], "the same for everybody": []}
    others = []
    users = []
    for line, row in enumerate(drawn.iter_rows(named=True)):
        before = histories[row["user_ix"]].filter(pl.col("timestamp") < row["timestamp"])["item"].to_list()
        new = np.setdiff1d(truth.row(line), before)
        if not before or not len(new):
            continue
        used = set(before)
        queried = items[row["item"]]
        user = Signals(interactions=[("stream", ITEM, items[item]) for item in before[-MAX_INTERACTIONS:]])
        for_user = recommender.similar(queried, K + len(used), user)
        for_everybody = recommender.similar(queried, K + len(used))
        for name, answer in zip(lists, (for_user, for_everybody), strict=True):
            listed = [items.index_of(one.item_id) for one in answer]
            lists[name].append([item for item in listed if item not in used][:K])
        others.append(new)
        users.append(row["user_ix"])
    new_items = SparseRows.from_lists(others, len(items))
    found = {name: np.array(of_name) for name, of_name in lists.items()}
    return {"lines": len(users), "lists": compare(found, new_items, np.array(users))}


if __name__ == "__main__":
    typer.run(main)
