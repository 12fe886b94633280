"""Similar items: what goes with an item, by the links of the model."""

from __future__ import annotations

import numpy as np

from firstday.ranking import NO_ITEM, top_k
from firstday.recommend.query import Answer, Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.rules.list_rules import ItemRules
from firstday.sparse import SparseRows

SIMILAR = "similar"
"""Requested strategy of lists of similar items."""
LINKED = "used_together"
"""Route of lists that begin with items used together with the item, most of all on the same day."""
PERSONAL = 0.3
"""Exponent of the factor by which a user's probable taste changes the weights."""


def recommend_similar(query: Query, item: int) -> Answer:
    """Rank the items that go with an item, given by index, which the query must exclude.

    If something is known about a user, `blend` raises what the user probably likes.
    """
    model = query.model
    links = model.links or SparseRows.empty(model.n_items, model.n_items)
    links = links.take(np.array([item]))
    links = links.keep(query.item_rules.allowed[links.columns])
    items = links.columns
    scores = links.weights * _find_factors(query, items)
    scores[query.excluded.has(np.tile(items, (query.n_users, 1)))] = -np.inf
    best, values = top_k(scores, query.k)
    lists = np.append(items, NO_ITEM)[best]  # an empty rank is -1
    return Answer.from_lists(lists[:, 0] >= 0, LINKED, lists, values)


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
