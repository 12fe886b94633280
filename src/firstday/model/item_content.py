"""Item content: the vector and the use of a new item, predicted from its words, entities and the caller's own vectors.

A word or a member of an entity is a term, which is represented by the mean of the items that have it. Own vectors are
projected by ridge regression. `firstday.methods.item_content` learns what both are worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.display import readable
from firstday.model.calibration import log_known, to_probabilities
from firstday.model.trained_model import FEW, TrainedModel
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows

TEXTS = ("title", "description")
WORD = r"[\p{L}\p{N}]+"
N_INPUTS = 6
"""Number of inputs of log-odds; see `stack_inputs`."""
MONTH = 30
"""Number of days after which an item's age begins to count."""


@readable
@dataclass(frozen=True, eq=False)
class ItemContent:
    """Predicts the vector and the popularity of new items, and how probably a user uses them.

    Parameters
    ----------
    terms
        Known words and members of entities.
    means
        Mean of the items of each term, float32, shape (n_terms, d + 1): their unit vectors and the logarithms of their
        popularity, both relative to `centre`, and scaled to predict the vectors of hidden items best.
    projection
        Weights of own vectors of unit length, float32, shape (c, d + 1), like `means`; c is 0 without own vectors.
    centre
        Mean over all items, float32, shape (d + 1,).
    n_hidden, cosine
        Number of hidden items, and the mean cosine of their vectors with the predicted ones.
    odds
        Log-odds of use: an intercept, and the weight of each input of `stack_inputs`, float64. Only those of age and of
        the number known may be negative, so log-odds do not fall if one more of the day's items shares the item's
        entity and nothing else changes.
    usual_odds
        The same for lists other than those of `blend`, of users of whom as much is known as usual, and of items in
        their first days: proportional to success, and independent of the age and the number known.
    rates
        How usual it is that users go on within each member of an entity, by entity: the mean share of its other items
        that users of one of its items use, float32, shape (n_members,).
    """

    terms: Ids
    means: np.ndarray
    projection: np.ndarray
    centre: np.ndarray
    n_hidden: int
    cosine: float
    odds: np.ndarray
    usual_odds: np.ndarray
    rates: Mapping[str, np.ndarray] = field(default_factory=dict)

    def predict(
        self, columns: Mapping[str, pl.Series], n_items: int, own_vectors: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return vectors, float32, shape (n, d), and logarithms of popularity, shape (n,), of items.

        `columns` are as in `find_terms`, `own_vectors` have the shape (n, c), rows without one are NaN. Items without
        known terms and without a vector are average. What is predicted of an item does not depend on the others.
        """
        rows = index_terms(find_terms(columns), self.terms, n_items)
        found = self.centre + rows.mean_vectors(self.means)
        if own_vectors is not None:
            # One product per item, as rounding depends on the shape.
            found += (scale_vectors(own_vectors)[:, None] @ self.projection)[:, 0]
        return found[:, :-1], found[:, -1]

    @property
    def n_numbers(self) -> int:
        """Length c of own vectors; 0 without own vectors."""
        return len(self.projection)

    def chances(self, likeness: np.ndarray, log_use: np.ndarray) -> np.ndarray:
        """Return the probability that users use items in their first days, by vectors and popularity alone."""
        return to_probabilities(weigh_inputs(stack_inputs(likeness, log_use), self.usual_odds))

    def describe(self) -> str:
        """Describe the evidence in one sentence."""
        return (
            f"Vectors of {self.n_hidden:,} hidden items, predicted from their content, have a mean cosine of "
            f"{self.cosine:.2f} with their own."
        )


def stack_inputs(
    likeness: np.ndarray,
    log_use: np.ndarray,
    continued: np.ndarray | float = 0.0,
    success: np.ndarray | float = 1.0,
    days: np.ndarray | float = 0.0,
    n_known: np.ndarray | int = FEW,
) -> np.ndarray:
    """Return the inputs of log-odds along a new last axis, float64; arguments are broadcast.

    They are the cosine of the vectors of user and item, the logarithm of the item's popularity, how much its use
    exceeds this by the members that it shares with the day's items (`expect_use`) and what was expected since it came
    (both as logarithms), the days since, and the number of interactions.
    """
    continuation = np.log1p(continued / np.exp(log_use))
    age = np.log1p(np.maximum(days, 0) / MONTH)
    inputs = likeness, log_use, continuation, np.log(success), age, log_known(n_known)
    return np.stack(np.broadcast_arrays(*inputs), axis=-1)


def weigh_inputs(inputs: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Return the log-odds of use, float64, given the result of `stack_inputs`, and an intercept and weights."""
    return np.asarray(odds[0] + np.einsum("...i,i", inputs, odds[1:]))  # not a product by BLAS: any shape rounds alike


def expect_use(
    liked: SparseRows,
    members_of_items: Mapping[str, SparseRows],
    members_of_new: Mapping[str, SparseRows],
    rates: Mapping[str, np.ndarray],
) -> np.ndarray | float:
    """Return the use of new items that is expected by the members that they share with the day's items.

    It is the number of liked items of each member times its rate, added up: float32, shape (n_users, n_new).
    `members_of_items` have the shape (n_items, n_members), `members_of_new` (n_new, n_members).
    """
    expected: np.ndarray | float = 0.0
    for entity, of_new in members_of_new.items():
        if entity in rates:
            counts = liked.ones().through(members_of_items[entity])
            weighted = replace(counts, weights=counts.weights * rates[entity][counts.columns])
            expected = expected + weighted.times(of_new.transposed)
    return expected


def content_of(model: TrainedModel) -> ItemContent | None:
    """Return what a model has learned about new items; None if too few items have titles or entities."""
    content: ItemContent | None = model.learned.get("content")
    return content


def find_terms(columns: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Return the words of the texts of items, and the values of list columns, as rows of item and term."""
    frames = [pl.DataFrame({"item": [], "term": []}, {"item": pl.Int64, "term": pl.String})]
    for name, column in columns.items():
        if name in TEXTS:
            terms = column.str.to_lowercase().str.extract_all(WORD)
        elif column.dtype == pl.List:
            terms = column.list.eval(pl.lit(f"{name}=") + pl.element())
        else:
            continue
        rows = pl.DataFrame({"item": np.arange(len(column)), "term": terms})
        frames.append(rows.explode("term").drop_nulls())
    return pl.concat(frames)


def index_terms(found: pl.DataFrame, terms: Ids, n_items: int) -> SparseRows:
    """Return the known terms of each item, shape (n_items, n_terms)."""
    columns = terms.lookup(found["term"])
    is_known = columns >= 0
    items = found["item"].to_numpy()[is_known]
    return SparseRows.from_pairs(items, columns[is_known], None, n_items, len(terms)).ones()


def scale_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return vectors of unit length, float32; zeros for rows of NaN."""
    return unit_rows(np.nan_to_num(vectors).astype(np.float32))
