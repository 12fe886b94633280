"""Similar items: what goes with an item, by the links of the model or, without enough links, by vectors."""

from __future__ import annotations

import numpy as np

from firstday.ranking import NO_ITEM, top_k, unit_rows
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.rules.list_rules import ItemRules

SIMILAR = "similar"
"""Requested strategy of lists of similar items."""
LINKED = "used_together"
"""Route of lists that begin with items used together with the item, most of all on the same day."""
NEAREST = "nearest"
"""Route of lists of the items with the nearest vectors."""
N_NEAREST = 500
"""Maximum number of items that are listed for their vectors."""
MAX_SEARCHED = 50_000
"""Maximum number of items, the most used, whose vectors are compared."""
PERSONAL = 0.3
"""Exponent of the factor by which a user's probable taste changes the weights."""


def recommend_similar(query: Query, item: int) -> Answer:
    """Rank the items that go with an item, given by index, which the query must exclude."""
    model = query.model
    links = np.zeros(0, dtype=np.int32)
    weights = np.zeros(0, dtype=np.float32)
    if model.links is not None:
        links = model.links.row(item)
        is_allowed = query.item_rules.allowed[links]
        links = links[is_allowed]
        weights = model.links.row_weights(item)[is_allowed]
    return rank_similar(query, links, weights, model.fold_in.item_vectors[item])


def rank_similar(query: Query, links: np.ndarray, weights: np.ndarray, vector: np.ndarray) -> Answer:
    """Rank the items that go with an item, given its links, their weights and its vector.

    Items with links come first. If there are fewer than the list has ranks, those with near vectors follow. If
    something is known about a user, `blend` raises what the user probably likes.
    """
    items = links
    if len(links) < query.k and vector.any():
        nearest, cosines = find_nearest(query, vector)
        is_new = ~np.isin(nearest, links)
        items = np.append(links, nearest[is_new])
        weights = np.append(weights, weights.min(initial=1) * cosines[is_new])
    order = np.argsort(items)
    items = items[order]
    scores = weights[order] * _find_factors(query, items)
    scores[query.excluded.has(np.tile(items, (query.n_users, 1)))] = -np.inf
    best, values = top_k(scores, query.k)
    lists = np.append(items, NO_ITEM)[best].astype(np.int32)  # an empty rank is -1
    return Answer.from_lists(lists[:, 0] >= 0, LINKED if len(links) else NEAREST, lists, values)


def find_nearest(query: Query, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the allowed items whose vectors have the greatest positive cosines with a vector, and these cosines."""
    model = query.model
    searched = query.item_rules.take_allowed(model.popular_items, MAX_SEARCHED)
    cosines = unit_rows(model.fold_in.item_vectors[searched]) @ unit_rows(vector[None])[0]
    best, values = top_k(np.where(cosines > 0, cosines, -np.inf)[None], N_NEAREST)
    is_found = best[0] >= 0
    return searched[best[0, is_found]], values[0, is_found]


def _find_factors(query: Query, items: np.ndarray) -> np.ndarray:
    """Return the factors of the weights of items, given ascending, for each user, float32, shape (n_users, n)."""
    factors = np.ones((query.n_users, len(items)), dtype=np.float32)
    if not (query.has_features | (query.passed_over.lengths() > 0)).any():  # without a mask of the catalogue
        return factors
    allowed = np.zeros(query.model.n_items, dtype=bool)
    allowed[items] = True
    liked = find_strategy("blend").recommend(query.ask(k=max(1, len(items)), rules=ItemRules(allowed)))
    rows, ranks = np.nonzero((liked.items >= 0) & (liked.routes != "")[:, None])
    best = liked.scores[rows, 0]
    columns = np.searchsorted(items, liked.items[rows, ranks])
    factors[rows, columns] = np.exp(PERSONAL * (liked.scores[rows, ranks] - best))
    return factors
