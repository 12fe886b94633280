"""Reliability of the probabilities of use on test users: the source of a table of docs/quality.md.

python benchmarks/calibration.py movielens-100k --seeds 5
python benchmarks/calibration.py online-retail --path online_retail_2009_2010.parquet
python benchmarks/calibration.py x-wines --path xwines_slim.zip

For each seed, or each cut-off of a log with times, a model is trained, and `blend` lists items for the test users:
without rules, and from a random half of the catalogue. Predicted shares of used items are compared with actual ones, by
rank and by decile of the prediction. The expected calibration error is the mean distance over the deciles. The former
method, a logistic regression on the rank and the score of the first item, is fitted to lists of all validation users.
Results go to docs/results/calibration-NAME.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import typer
from result_files import RESULTS, write_results

from firstday.cli.options import open_tables
from firstday.config import Config
from firstday.data.splits.histories import Protocol
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.model.calibration import Calibration
from firstday.ranking import NO_ITEM
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_query
from firstday.recommend.registry import find_strategy
from firstday.recommend.rules.list_rules import Rules, compile_rules
from firstday.recommend.spec import PROBABILITY
from firstday.sparse import SparseRows
from firstday.training.calibrate import MAX_CALIBRATION_USERS, calibrate
from firstday.training.fit import cohort_query, fit
from firstday.training.validation import Fold, head

K = 50
RANKS = {"1-3": slice(0, 3), "4-10": slice(3, 10), "11-50": slice(10, K)}
N_DECILES = 10
Lists = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Scores, whether there is an item, and whether the user went on to use it: shape (n_users, K)."""


def main(
    tables: str,
    path: Path | None = None,
    seeds: int = 1,
    cut_offs: int | None = None,
    name: str | None = None,
    protocol: Protocol | None = None,
) -> None:
    """Train for every seed or cut-off; write the reliability of `blend`, users pooled."""
    dataset, config = open_tables(tables, path, None, protocol=protocol)
    if cut_offs:
        config = config.override("registration.cut_offs", cut_offs)
    times = find_cut_offs(dataset, config)
    parts = [
        predict(part, config.override("seed", seed))
        for seed in range(seeds)
        for part in hold_out(dataset, config, seed, times)
    ]
    rows = {way: describe(*map(np.concatenate, zip(*(part[way] for part in parts), strict=True))) for way in parts[0]}
    content = {"dataset": name or dataset.name, "trainings": len(parts), "rows": rows}
    write_results(content, RESULTS / f"calibration-{content['dataset']}.json")


def predict(part: Holdout, config: Config) -> dict[str, Lists]:
    """Train, and return predictions, items and hits for the test users whose lists have probabilities."""
    folds: list[Fold] = []

    def keep_folds(chosen: Sequence[Fold], *rest: Any) -> dict[str, Calibration]:
        folds.extend(chosen)
        return calibrate(chosen, *rest)

    with patch("firstday.training.fit.calibrate", keep_folds):
        recommender = fit(part.dataset, part.split, config).recommender
    model = recommender.model
    test = cohort_query(recommender, part.newcomers, part.cold, K)
    half = np.random.default_rng(0).permutation(model.n_items)[: model.n_items // 2]
    allowed = Rules(allow=[str(model.catalogue.items.values[int(item)]) for item in half])
    found = {
        "item": list_items(test, part.cold.truth),
        "item, half of the catalogue": list_items(test.ask(rules=compile_rules(model, [allowed], {})), part.cold.truth),
    }
    past = [list_raw(fold.with_length(K).query, fold.truth) for fold in head(folds, MAX_CALIBRATION_USERS)]
    scores, listed, hits = map(np.concatenate, zip(*past, strict=True))
    found["rank"] = predict_by_rank((scores, listed, hits), list_raw(test, part.cold.truth))
    return found


def list_items(query: Query, truth: SparseRows) -> Lists:
    """Return the lists of the users who get probabilities."""
    answer = answer_query(query, "blend")
    rows = np.flatnonzero(answer.scales == PROBABILITY)
    items = np.where(np.arange(K) < answer.n_ranked[:, None], answer.items, NO_ITEM)[rows]
    return answer.scores[rows], items >= 0, truth.take(rows).has(items)


def list_raw(query: Query, truth: SparseRows) -> Lists:
    """Return the lists of the users whom `blend` answers, with its own scores."""
    answer = find_strategy("blend").recommend(query)
    rows = np.flatnonzero(answer.routes == "blend")
    return answer.scores[rows], answer.items[rows] >= 0, truth.take(rows).has(answer.items[rows])


def predict_by_rank(fitted: Lists, test: Lists) -> Lists:
    """Fit the former method to some lists, and predict for others."""
    from sklearn.linear_model import LogisticRegression

    def inputs(lists: Lists) -> np.ndarray:
        scores, listed, _ = lists
        ranks = np.broadcast_to(np.arange(K), listed.shape)
        first = np.broadcast_to(scores[:, :1], listed.shape)
        return np.stack([np.log1p(ranks), np.sqrt(ranks), first], axis=2)

    model = LogisticRegression(C=1e3, max_iter=1_000).fit(inputs(fitted)[fitted[1]], fitted[2][fitted[1]])
    likely = model.predict_proba(inputs(test).reshape(-1, 3))[:, 1].reshape(test[1].shape)
    return likely, test[1], test[2]


def describe(likely: np.ndarray, listed: np.ndarray, hits: np.ndarray) -> dict[str, Any]:
    """Return predicted and actual shares, in %, by rank and by decile, and the error."""

    def shares(chosen: np.ndarray | Sequence[int], of: tuple[np.ndarray, np.ndarray]) -> list[float]:
        return [round(100 * float(values[chosen].mean()), 2) for values in of]

    by_rank = {name: shares(listed[:, ranks], (likely[:, ranks], hits[:, ranks])) for name, ranks in RANKS.items()}
    flat = (likely[listed].astype(np.float64), hits[listed].astype(np.float64))
    deciles = np.array_split(np.argsort(flat[0], kind="stable"), N_DECILES)
    by_decile = [shares(decile, flat) for decile in deciles]
    clipped = np.clip(flat[0], 1e-4, 1 - 1e-4)
    log_loss = -np.mean(flat[1] * np.log(clipped) + (1 - flat[1]) * np.log(1 - clipped))
    return {
        "users": len(likely),
        "by_rank": by_rank,
        "by_decile": by_decile,
        "error": round(float(np.mean([abs(said - used) for said, used in by_decile])), 3),
        "log_loss": round(float(log_loss), 4),
    }


if __name__ == "__main__":
    typer.run(main)
