"""Item content: the vector and the use of a new item, predicted from its words and entities.

A word or a member of an entity is a term, which stands for the mean of the items that have it. What such means are
worth is learned by hiding some items from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.display import readable
from firstday.model.calibration import Calibration
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows

TEXTS = ("title", "description")
WORD = r"[\p{L}\p{N}]+"
MAX_TERMS = 2**17
"""Maximum number of terms to learn from; the most frequent ones are kept."""
SHRINKAGE = 5.0
"""Pseudo-items at the overall mean, added to the items of each term."""
MIN_ITEMS = 20
"""Minimum number of used items to learn from."""
MAX_HIDDEN = 1_000
"""Maximum number of items to hide; at most a fifth are."""
NO_CALIBRATION = Calibration(0.0, 1.0, 1.0, 0.0, 0)


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
    centre
        Mean over all items, float32, shape (d + 1,).
    n_hidden, cosine
        Number of hidden items, and the mean cosine of their vectors with the predicted ones.
    calibration
        Log-odds of use: its score is the dot product of user and predicted vector, its level the predicted logarithm.
    freshness
        Use of items in their first days relative to all items.
    """

    terms: Ids
    means: np.ndarray
    centre: np.ndarray
    n_hidden: int
    cosine: float
    calibration: Calibration
    freshness: float = 1.0

    def predict(self, columns: Mapping[str, pl.Series], n_items: int) -> tuple[np.ndarray, np.ndarray]:
        """Return vectors, float32, shape (n, d), and logarithms of popularity, shape (n,), of items.

        `columns` are as in `find_terms`. Items without known terms are average.
        """
        rows = index_terms(find_terms(columns), self.terms, n_items)
        found = self.centre + rows.mean_vectors(self.means)
        return found[:, :-1], found[:, -1]

    def chances(self, users: np.ndarray, vectors: np.ndarray, log_use: np.ndarray) -> np.ndarray:
        """Return the probability that each user uses each new item, float64, shape (n_users, n_items).

        `users` are unit vectors, zero if nothing is known about the user.
        """
        fitted = self.calibration
        log_odds = fitted.intercept + fitted.slope * (users @ vectors.T) + fitted.level * log_use
        return self.freshness * (0.5 + 0.5 * np.tanh(log_odds / 2))

    def describe(self) -> str:
        """Describe the evidence in one sentence."""
        return (
            f"Vectors of {self.n_hidden:,} hidden items, predicted from words and entities, have a mean cosine of "
            f"{self.cosine:.2f} with their own."
        )


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


def choose_terms(found: pl.DataFrame) -> Ids:
    """Return the terms that more than one item has, the most frequent first."""
    counts = found["term"].value_counts(sort=True).filter(pl.col("count") > 1)
    return Ids(counts["term"][:MAX_TERMS])


def fit_content(
    terms: Ids, rows: SparseRows, vectors: np.ndarray, popularity: np.ndarray
) -> tuple[ItemContent, np.ndarray, np.ndarray] | None:
    """Learn from the used items of a model; None if there are fewer than `MIN_ITEMS`, or none has terms.

    `rows` are the terms of each item, shape (n_items, n_terms), `vectors` those of the items, float32, shape (n_items,
    d), and `popularity` has the share of users who use each, shape (n_items,). Also returns the hidden items, and their
    predicted vectors and logarithms of popularity, shape (n_hidden, d + 1).
    """
    used = np.flatnonzero(vectors.any(axis=1) & (popularity > 0))
    rows = rows.take(used)
    if len(used) < MIN_ITEMS or not rows.n_entries:
        return None
    targets = np.column_stack([unit_rows(vectors[used]), np.log(popularity[used])]).astype(np.float32)
    centre = targets.mean(axis=0)
    targets -= centre
    order = np.random.default_rng(0).permutation(len(used))
    hidden, shown = np.split(order, [min(MAX_HIDDEN, len(order) // 5)])
    predicted = rows.take(hidden).mean_vectors(average_terms(rows.take(shown), targets[shown]))
    of_vectors = predicted[:, :-1]
    scale = (of_vectors * targets[hidden, :-1]).sum() / max(1e-9, float((of_vectors**2).sum()))
    predicted *= scale
    predicted += centre
    cosines = unit_rows(predicted[:, :-1]) * unit_rows(vectors[used[hidden]])
    means = average_terms(rows, targets) * np.float32(scale)
    cosine = round(float(cosines.sum(axis=1).mean()), 4)
    content = ItemContent(terms, means, centre, len(hidden), cosine, NO_CALIBRATION)
    return content, used[hidden], predicted


def average_terms(rows: SparseRows, targets: np.ndarray) -> np.ndarray:
    """Return the mean of each term's items, shrunk towards zero, float32, shape (n_terms, c)."""
    n_items = rows.column_sums()
    shrunk = (n_items / (n_items + SHRINKAGE)).astype(np.float32)
    return rows.transpose().mean_vectors(targets) * shrunk[:, None]
