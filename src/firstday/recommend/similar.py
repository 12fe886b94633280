"""Similar items: what goes with an item, by the links of the model or by near vectors."""

from __future__ import annotations

import numpy as np

from firstday.ranking import NO_ITEM, top_k, unit_rows
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.rules.list_rules import ItemRules
from firstday.sparse import SparseRows

SIMILAR = "similar"
"""Requested strategy of lists of similar items."""
LINKED = "used_together"
"""Route of lists that begin with items used together with the item, most of all on the same day."""
NEAREST = "nearest"
"""Route of lists of items with near vectors."""
MAX_SEARCHED = 10_000
"""Maximum number of items whose vectors are compared: the most used."""
N_NEAREST = 50
"""Maximum number of items with near vectors."""
PERSONAL = 0.3
"""Exponent of the factor by which a user's probable taste changes the weights."""


def recommend_similar(query: Query, item: int, vector: np.ndarray | None = None) -> Answer:
    """Rank the items that go with an item, given by index, which the query must exclude.

    Without links, those with near vectors are taken; a `vector` is that of an item added since training. If something
    is known about a user, `blend` raises what the user probably likes.
    """
    model = query.model
    related = SparseRows.empty(1, model.n_items)
    if vector is None:
        links: SparseRows | None = model.learned.get("links")
        related = related if links is None else links.take(np.array([item]))
        related = related.keep(query.item_rules.allowed[related.columns])
        vector = model.fold_in.item_vectors[item]
    route = LINKED
    if not related.n_entries and vector.any():
        related = _find_nearest(query, vector)
        route = NEAREST
    items = related.columns
    scores = related.weights * _find_factors(query, items)
    scores[query.excluded.has(np.tile(items, (query.n_users, 1)))] = -np.inf
    best, values = top_k(scores, query.k)
    lists = np.append(items, NO_ITEM)[best]  # an empty rank is -1
    return Answer.from_lists(lists[:, 0] >= 0, route, lists, values)


def _find_nearest(query: Query, vector: np.ndarray) -> SparseRows:
    """Return the positive cosines of a vector with the nearest of the most used items, shape (1, n_items)."""
    searched = query.item_rules.take_allowed(query.model.popular_items, MAX_SEARCHED)
    cosines = unit_rows(query.model.fold_in.item_vectors[searched]) @ unit_rows(vector[None])[0]
    (best,), (values,) = top_k(cosines[None], N_NEAREST)
    items = searched[best[values > 0]]
    return SparseRows.from_pairs(np.zeros(len(items)), items, values[values > 0], 1, query.model.n_items)


def _find_factors(query: Query, items: np.ndarray) -> np.ndarray:
    """Return the factors of the weights of items, given ascending, for each user, float32, shape (n_users, n)."""
    factors = np.ones((query.n_users, len(items)), dtype=np.float32)
    allowed = np.zeros(query.model.n_items, dtype=bool)
    allowed[items] = True
    liked = find_strategy("blend").recommend(query.ask(k=max(1, len(items)), rules=ItemRules(allowed)))
    rows, ranks = np.nonzero(liked.items >= 0)
    columns = np.searchsorted(items, liked.items[rows, ranks])
    factors[rows, columns] = np.exp(PERSONAL * (liked.scores[rows, ranks] - liked.scores[rows, 0]))
    return factors
