"""Where the default departs from the authors' released code, and what the code does there.

Written from descriptions of the code and from the article, never from the code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from firstday.config import SegmentConfig
from firstday.evaluation.run import Run
from firstday.methods.vectors import DAY_ONE
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import Strategy
from firstday.sparse import SparseRows

DEPARTURES: Mapping[str, Mapping[str, Any]] = tomllib.loads(
    Path(__file__).with_name("departures.toml").read_text(encoding="utf-8")
)
"""Departures by name, in the order of the stages: `code`, `here` and `reason`, and `settings` that follow the code."""


def fit_by_scikit_learn(vectors: np.ndarray, n_clusters: int, config: SegmentConfig, seed: int) -> np.ndarray:
    """Return the centroids of k-means with scikit-learn's defaults; see `FitCentroids`."""
    from sklearn.cluster import KMeans

    kmeans = KMeans(n_clusters, n_init=config.restarts, random_state=seed).fit(vectors)
    return np.asarray(kmeans.cluster_centers_[np.unique(kmeans.labels_)])


def recommend_without_fallback(query: Query) -> Answer:
    """Rank songs by the mean vector of the day's streams; without streams, all score 0, in the order of the file."""
    songs = query.model.scoring_vectors
    return query.rank_scores(lambda rows: query.liked_means[rows] @ songs.T, DAY_ONE.name)


def average_ties(run: Run, query: Query, strategies: Mapping[str, Strategy], truth: SparseRows) -> Run:
    """Return the run with the NDCG of `measure_tied_ndcg`."""
    long_query = query.ask(k=min(query.model.config.segments.top_items, query.model.n_items))
    scores = {}
    for name, strategy in strategies.items():
        ndcg = np.where(run.is_evaluated, measure_tied_ndcg(strategy(long_query), truth, query.k), np.nan)
        scores[name] = replace(run.scores[name], metrics={**run.scores[name].metrics, "ndcg": ndcg})
    return replace(run, scores=scores)


def measure_tied_ndcg(answer: Answer, truth: SparseRows, k: int) -> np.ndarray:
    """Return NDCG@k in % by scikit-learn, which averages over songs with equal scores, shape (n_users,).

    Lists should be longer than k, since ties may extend beyond it. `truth` has the relevant songs, (n_users, n_items).
    """
    from sklearn.metrics import ndcg_score

    values = []
    for user, songs in enumerate(answer.items):
        relevant = truth.row(user)
        missed = np.setdiff1d(relevant, songs)  # count in the ideal
        gains = np.isin(np.append(songs, missed), relevant)
        scores = np.pad(answer.scores[user], (0, len(missed)), constant_values=-1e9)
        values.append(ndcg_score([gains], [scores], k=k))
    return 100 * np.array(values)
