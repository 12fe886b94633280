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
from firstday.model.calibration import Calibration, log_known
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows

TEXTS = ("title", "description")
WORD = r"[\p{L}\p{N}]+"
FRESH_DAYS = 30
"""Number of days for which an item counts as new."""


@readable
@dataclass(frozen=True)
class UseOdds:
    """Log-odds with which a user uses a new item in `blend`: an intercept, and a weight for each of some inputs.

    Weights are not negative, but for those of `age` and `known`, so log-odds do not fall if one more of the day's items
    shares the item's entity and nothing else changes.

    Parameters
    ----------
    likeness
        Cosine of the user's and the item's predicted vectors.
    log_use
        Predicted logarithm of the item's popularity.
    continuation
        Logarithm of 1 + the use expected by the entities that the day's items share, relative to this popularity; see
        `ItemContent.rates`.
    success
        Logarithm of the item's use so far, relative to what was expected.
    age
        Logarithm of 1 + the number of months since the item came.
    known
        See `log_known`.
    """

    intercept: float = 0.0
    likeness: float = 0.0
    log_use: float = 0.0
    continuation: float = 0.0
    success: float = 0.0
    age: float = 0.0
    known: float = 0.0

    def at(self, inputs: np.ndarray) -> np.ndarray:
        """Return the log-odds, float64, given the result of `stack_inputs`."""
        weights = self.likeness, self.log_use, self.continuation, self.success, self.age, self.known
        log_odds: np.ndarray = self.intercept + (inputs * weights).sum(axis=-1)
        return log_odds


def stack_inputs(
    likeness: np.ndarray,
    log_use: np.ndarray,
    expected: np.ndarray,
    success: np.ndarray,
    days: np.ndarray,
    n_known: np.ndarray,
) -> np.ndarray:
    """Return the inputs of `UseOdds`, float64, shape (n_users, n_items, n_inputs).

    `likeness`, the use `expected` by entities, `success` and the `days` since items came have the shape (n_users,
    n_items), `log_use` (n_items,), and `n_known` (n_users,).
    """
    continuation = np.log1p(expected / np.exp(log_use))
    age = np.log1p(np.maximum(days, 0) / FRESH_DAYS)
    inputs = likeness, log_use, continuation, np.log(success), age, log_known(n_known)[:, None]
    return np.stack(np.broadcast_arrays(*inputs), axis=-1).astype(np.float64)


def expect_use(
    liked: SparseRows,
    members_of_items: Mapping[str, SparseRows],
    members_of_new: Mapping[str, SparseRows],
    rates: Mapping[str, np.ndarray],
    n_new: int,
) -> np.ndarray:
    """Return the use of new items that is expected by the entities that they share with the day's items.

    It is the number of the day's items of each of the item's members times the member's rate, added up: float64, shape
    (n_users, n_new). `members_of_items` have the shape (n_items, n_members), `members_of_new` (n_new, n_members).
    """
    expected = np.zeros((liked.n_rows, n_new))
    for entity, of_members in rates.items():
        counts = liked.ones().through(members_of_items[entity])
        weighted = replace(counts, weights=counts.weights * of_members[counts.columns])
        expected += weighted.times(members_of_new[entity].transposed)
    return expected


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
    calibration
        Log-odds of use: its score is the dot product of user and predicted vector, its level the predicted logarithm.
    freshness
        Use of items in their first days relative to all items.
    fresh_from
        Items added before this time, such as 2026-01-31T12:00:00Z, are no longer in their first days.
    odds
        Log-odds of use in `blend`, whose inputs include the day's items.
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
    calibration: Calibration
    freshness: float = 1.0
    fresh_from: str = ""
    odds: UseOdds = UseOdds()
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

    def find_freshness(self, added_at: pl.Series | None, n_items: int) -> np.ndarray:
        """Return `freshness` for items in their first days, or of unknown age, and 1 for older ones, shape (n,).

        `added_at` are times as text, like `fresh_from`; None if no age is known.
        """
        if added_at is None:
            return np.full(n_items, self.freshness)
        is_old = (added_at < self.fresh_from).fill_null(False)
        return np.where(is_old, 1.0, self.freshness)

    def chances(self, users: np.ndarray, vectors: np.ndarray, log_use: np.ndarray) -> np.ndarray:
        """Return the probability that each user uses each item, float64, shape (n_users, n_items).

        `users` are unit vectors, zero if nothing is known about the user. Items may be stacked.
        """
        fitted = self.calibration
        log_odds = fitted.intercept + fitted.slope * (users @ vectors.mT) + fitted.level * log_use
        chances: np.ndarray = 0.5 + 0.5 * np.tanh(log_odds / 2)
        return chances

    def describe(self) -> str:
        """Describe the evidence in one sentence."""
        return (
            f"Vectors of {self.n_hidden:,} hidden items, predicted from their content, have a mean cosine of "
            f"{self.cosine:.2f} with their own."
        )


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
