"""Components of `blend`: what a method adds to the weighted sum that ranks the default list.

A component is a function of a query and some rows of its users that returns one of three values: `Shares`, a `Lift`, or
`Scores`. It must not depend on rules or exclusions, which `blend` applies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from firstday.display import readable
from firstday.errors import count_of
from firstday.recommend.query import Query
from firstday.sparse import SparseRows

LEAST_SHARE = 1e-6
"""Added to shares before taking logarithms, so that items nobody uses have a finite score."""


@readable
@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of people who use each item, scored by their logarithm; items with large shares become candidates.

    Parameters
    ----------
    rows
        Shares specific to the user, added to the background, not negative, shape (n_rows, n_items).
    background
        Share of each item, the same for all users, float32, shape (n_items,). Candidates are found quickly if it is the
        same array in every call, such as a value derived from the model (`TrainedModel.derive`).
    """

    rows: SparseRows
    background: np.ndarray

    @cached_property
    def dense(self) -> np.ndarray:
        """Share of every item, float32, shape (n_rows, n_items)."""
        return self.rows.dense(self.background)

    def at(self, chosen: np.ndarray) -> np.ndarray:
        """Return the shares of chosen items, float32, shape of `chosen`, (n_rows, n_chosen)."""
        return np.asarray(self.background[chosen] + self.rows.at(chosen))


@readable
@dataclass(frozen=True, eq=False)
class Lift:
    """Scores of a few items per user; 0 for all others. Items with a high score become candidates.

    `rows` has the scores, about as large as standard deviations, shape (n_rows, n_items).
    """

    rows: SparseRows

    def at(self, chosen: np.ndarray) -> np.ndarray:
        """Return the scores of chosen items, float32, shape of `chosen`, (n_rows, n_chosen)."""
        return self.rows.at(chosen)


@readable
@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of candidates that other components found.

    Parameters
    ----------
    at
        Maps item indexes, in any order, of shape (n_rows, n_chosen), to their scores, finite, float32, of that shape.
    are_logs
        Whether scores are logarithms of shares or probabilities, to which `blend` adds the clock's terms.
    """

    at: Callable[[np.ndarray], np.ndarray]
    are_logs: bool = False


Part = Shares | Lift | Scores
Component = Callable[[Query, np.ndarray], Part]
"""Maps a query and rows of its users, int64, shape (n_rows,), to their part of the weighted sum."""


def log_share_component(score: Callable[[Query, np.ndarray], np.ndarray]) -> Component:
    """Make a component from a function that returns shares of all items, float32, shape (n_rows, n_items)."""

    def component(query: Query, rows: np.ndarray) -> Scores:
        shares = score(query, rows) + np.float32(LEAST_SHARE)
        return Scores(lambda chosen: np.log(np.take_along_axis(shares, chosen, axis=1)), are_logs=True)

    return component


def score_component(score: Callable[[Query, np.ndarray], np.ndarray]) -> Component:
    """Make a component from a function that returns scores of all items, in standard deviations over the ranked ones.

    Scores are float32, shape (n_rows, n_items). Items that score minus infinity get the lowest score of the user.
    """

    def component(query: Query, rows: np.ndarray) -> Scores:
        scores = score(query, rows)
        is_missing = np.isnan(scores)
        if is_missing.any():
            raise ValueError(f"scores contain NaN ({count_of(is_missing.sum(), scores.size, 'values')})")
        is_ranked = scores > -np.inf
        masked = np.ma.masked_array(scores, ~is_ranked)
        centred = (masked - masked.mean(axis=1, keepdims=True)) / np.maximum(masked.std(axis=1, keepdims=True), 1e-9)
        lowest = centred.min(axis=1, keepdims=True)
        filled = np.where(is_ranked, centred.filled(0), lowest.filled(0)).astype(np.float32)
        return Scores(lambda chosen: np.take_along_axis(filled, chosen, axis=1))

    return component
