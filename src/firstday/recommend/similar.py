"""Similar items: what goes with an item, by the links of the model or, without enough links, by vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firstday.ranking import NO_ITEM, top_k, unit_rows
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.rules.list_rules import ItemRules
from firstday.sparse import SparseRows, contains, union_rows

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
    links = model.links or SparseRows.empty(model.n_items, model.n_items)
    links = links.take(np.array([item]))
    links = links.keep(query.item_rules.allowed[links.columns])
    return rank_similar(query, links, model.fold_in.item_vectors[item])


def rank_similar(query: Query, links: SparseRows, vector: np.ndarray) -> Answer:
    """Rank the items that go with an item, given its links, shape (1, n_items), and its vector.

    If there are fewer links than ranks, items with near vectors follow. If something is known about a user, `blend`
    raises what the user probably likes.
    """
    related = links
    if links.n_entries < query.k and vector.any():
        near = find_nearest(query, vector)
        near = near.keep(~contains(links, near))
        weights = near.weights * links.weights.min(initial=1)  # behind the links
        related = union_rows([links, replace(near, weights=weights)])
    items = related.columns
    scores = related.weights * _find_factors(query, items)
    scores[query.excluded.has(np.tile(items, (query.n_users, 1)))] = -np.inf
    best, values = top_k(scores, query.k)
    lists = np.append(items, NO_ITEM)[best]  # an empty rank is -1
    return Answer.from_lists(lists[:, 0] >= 0, LINKED if links.n_entries else NEAREST, lists, values)


def find_nearest(query: Query, vector: np.ndarray) -> SparseRows:
    """Return the positive cosines of a vector with the nearest vectors of allowed items, shape (1, n_items)."""
    model = query.model
    searched = query.item_rules.take_allowed(model.popular_items, MAX_SEARCHED)
    cosines = unit_rows(model.fold_in.item_vectors[searched]) @ unit_rows(vector[None])[0]
    (best,), (values,) = top_k(cosines[None], N_NEAREST)
    is_near = values > 0
    items = searched[best[is_near]]
    return SparseRows.from_pairs(np.zeros(len(items)), items, values[is_near], 1, model.n_items)


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
