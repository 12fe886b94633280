"""`neighbors` and `friends`: what established people near to the user, or known to them, use."""

from __future__ import annotations

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.embed.kept_users import Neighborhood
from firstday.ranking import weigh_nearest
from firstday.recommend.query import Answer, Query
from firstday.recommend.soft_segments import mix_segments
from firstday.recommend.spec import KEPT_USERS, StrategySpec, reading
from firstday.sparse import SparseRows

N_NEIGHBORS = 200
"""Warm users who speak for one cold user, at most."""
N_SEARCHED = 2_500
"""Kept warm users among whom they are sought: all of the nearest segments until there are so many."""


def recommend_neighbors(query: Query) -> Answer:
    """Rank items by how many of the nearest warm users use them, the nearer the more; needs a signal or a profile."""
    return query.rank_scores(lambda rows: score_neighbors(query, rows), "neighbors", query.known)


def score_neighbors(query: Query, rows: np.ndarray, settings: Neighborhood | None = None) -> np.ndarray:
    """Return the share of neighbours who use each item, leaning on everyone's, float32, shape (n_rows, n_items).

    The weight of a neighbour falls by e for every `temperature` of the cosine to the predicted vector. The
    share with everyone counts as `smoothing` of the neighbours' weight.
    """
    model, warm = query.model, query.model.warm
    assert warm is not None
    settings = settings or model.neighborhood
    nearest, weights = find_neighbors(model, query.predicted[rows], settings.temperature)
    shares = add_up(warm.used_by_neighbors.take(nearest.ravel()), weights.ravel(), len(rows), model.n_items)
    shares += np.float32(settings.smoothing) * model.popularity
    return shares


def find_neighbors(model: TrainedModel, vectors: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the warm users nearest to each vector, and their weights.

    Where a model keeps many, only those of the segments nearest to the vector are looked at (`N_SEARCHED`).

    Parameters
    ----------
    model
        It must keep warm users.
    vectors
        Of length 1, float32, shape (n, d).
    temperature
        Of the weights; see `firstday.ranking.weigh_nearest`.

    Returns
    -------
    nearest : numpy.ndarray
        Positions of the kept users, int64, shape (n, m), m at most `N_NEIGHBORS`; unsorted.
    weights : numpy.ndarray
        float32, shape (n, m); they add up to 1.

    References
    ----------
    An inverted file whose lists are the segments: H. Jegou, M. Douze, C. Schmid, "Product Quantization for Nearest
    Neighbor Search", TPAMI 2011, section 4, without the quantization.
    """
    assert model.warm is not None
    people = model.warm.neighbor_vectors
    if len(people) <= N_SEARCHED:
        return weigh_nearest(vectors @ people.T, N_NEIGHBORS, temperature)
    order, by_segment, starts = model.kept_by_segment
    nearest_segments = np.argsort(-model.segments.closeness(vectors), axis=1)
    sizes = np.cumsum(np.diff(starts)[nearest_segments], axis=1)
    n_looked_at = (sizes < N_SEARCHED).sum(axis=1) + 1  # segments
    width = int(np.take_along_axis(sizes, n_looked_at[:, None] - 1, axis=1).max())
    closeness = np.full((len(vectors), width), -np.inf, dtype=np.float32)
    members = np.zeros((len(vectors), width), dtype=np.int64)
    for row, vector in enumerate(vectors):
        at = 0
        for segment in nearest_segments[row, : n_looked_at[row]].tolist():
            start, end = starts[segment], starts[segment + 1]
            np.dot(by_segment[start:end], vector, out=closeness[row, at : at + end - start])
            members[row, at : at + end - start] = order[start:end]
            at += end - start
    columns, weights = weigh_nearest(closeness, N_NEIGHBORS, temperature)
    return np.take_along_axis(members, columns, axis=1), weights


def add_up(uses: SparseRows, weights: np.ndarray, n_users: int, n_items: int) -> np.ndarray:
    """Add the weights of the people who use each item.

    Parameters
    ----------
    uses
        Items of the people, as many for each user, a user's people one after the other, shape (n_people, n_items).
    weights
        One for each of the people, shape (n_people,).
    n_users, n_items
        Shape of the result, float32.
    """
    lengths = uses.lengths()
    cells: np.ndarray = uses.columns
    if n_users > 1:
        cells = np.repeat(np.arange(len(lengths)) // (len(lengths) // n_users) * n_items, lengths) + cells
    added = np.bincount(cells, np.repeat(weights, lengths), minlength=n_users * n_items)
    return added.reshape(n_users, n_items).astype(np.float32)


def recommend_friends(query: Query) -> Answer:
    """Rank items by the share of friends who use them; needs a friend whom the model keeps."""
    friends = query.signals.friends
    if friends is None or query.model.warm is None:
        nobody = np.zeros(query.n_users, dtype=bool)
        shape = (query.n_users, query.k)
        return Answer.where(nobody, "friends", np.full(shape, -1, np.int32), np.zeros(shape, np.float32))
    return query.rank_scores(lambda rows: score_friends(query, rows), "friends", friends.lengths() > 0)


def score_friends(query: Query, rows: np.ndarray, settings: Neighborhood | None = None) -> np.ndarray:
    """Return the share of friends who use each item, float32, shape (n_rows, n_items).

    People have few friends here, so the share leans on what people like them use: the segments near to the friends'
    mean vector count as `friend_smoothing` friends more.
    """
    model, friends = query.model, query.signals.friends
    assert friends is not None
    assert model.warm is not None
    known_people = friends.take(rows)
    used = known_people.through(model.warm.uses)
    scores = np.zeros((len(rows), model.n_items), dtype=np.float32)
    scores[used.row_of_entry(), used.columns] = used.weights
    lean = np.float32((settings or model.neighborhood).friend_smoothing)
    scores += lean * mix_segments(model, known_people.mean_vectors(model.warm.vectors))
    scores /= (known_people.lengths() + lean)[:, None]
    return scores


NEIGHBORS = StrategySpec(
    name="neighbors",
    recommend=recommend_neighbors,
    describe="Rank items by how many of the nearest warm users use them, the nearer the more.",
    explain="What the warm users nearest to the predicted taste use most, the nearer the more.",
    needs=(KEPT_USERS,),
    reads=reading(),
    scale="share of the nearest people",
    rescale=lambda model, scores: scores / np.float32(1 + model.neighborhood.smoothing),
)
FRIENDS = StrategySpec(
    name="friends",
    recommend=recommend_friends,
    describe="Rank items by the share of friends who use them.",
    explain="What the user's friends use, and people like these friends.",
    needs=(KEPT_USERS,),
    reads=reading("friends"),
    scale="share of friends and people like them",
)
