"""The questionnaire: which item to ask a newcomer about next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firstday.artifact.trained_model import TrainedModel

N_CANDIDATES = 300
"""How many items may be asked about: the most used ones, since people must know what they are asked about."""
SMOOTHING = 5.0
"""Users at the overall share added to each segment, so that no answer rules a segment out."""


@dataclass(frozen=True)
class Question:
    """What to ask.

    Parameters
    ----------
    item
        The item's index.
    gain_bits
        How much its answer tells of the segment, on average: between 0 and 1 bit.
    """

    item: int
    gain_bits: float


@dataclass(frozen=True, eq=False)
class QuestionBook:
    """Chooses the next item to ask about by how well its answer would tell the segments apart.

    A newcomer is believed to be in each segment as often as warm users are. "Yes, I like it" to an item makes a segment
    more likely by the share of its users who use the item, "no" by the share of those who do not. The next item is the
    one whose answer says most, on average, about the segment: the mutual information of answer and segment.

    Parameters
    ----------
    candidates
        Items' indexes, most used first, shape (n,).
    shares
        Share of each segment's users who use each of them, float64, shape (n_segments, n), strictly within 0 and 1.
    prior
        Share of warm users in each segment, shape (n_segments,).
    """

    candidates: np.ndarray
    shares: np.ndarray
    prior: np.ndarray

    @classmethod
    def of(cls, model: TrainedModel, n_candidates: int = N_CANDIDATES) -> QuestionBook:
        """Collect what a model's segments use."""
        counted, popularity = model.segments.items, np.asarray(model.popularity, dtype=np.float64)
        candidates = np.asarray(model.popular_items[:n_candidates])
        candidates = candidates[popularity[candidates] > 0]
        place = np.full(model.n_items, -1, dtype=np.int64)
        place[candidates] = np.arange(len(candidates))
        at = place[counted.counts.columns]
        asked = at >= 0
        users = np.zeros((len(counted.sizes), len(candidates)))
        users[counted.counts.row_of_entry()[asked], at[asked]] = counted.counts.weights[asked]
        overall = np.clip(popularity[candidates], 1e-6, 1 - 1e-6)
        shares = (users + SMOOTHING * overall) / (counted.sizes[:, None] + SMOOTHING)
        return cls(candidates, shares, counted.sizes / max(1, counted.sizes.sum()))

    def believe(self, liked: Sequence[int], passed: Sequence[int]) -> np.ndarray:
        """Return how likely each segment is after some answers, float64, shape (n_segments,).

        Parameters
        ----------
        liked, passed
            Items' indexes answered with yes and with no; others than the candidates tell nothing.
        """
        with np.errstate(divide="ignore"):
            belief = np.log(self.prior)
        belief = belief + np.log(self.shares[:, np.isin(self.candidates, liked)]).sum(axis=1)
        belief = belief + np.log1p(-self.shares[:, np.isin(self.candidates, passed)]).sum(axis=1)
        belief = np.exp(belief - belief.max())
        normalised: np.ndarray = belief / belief.sum()
        return normalised

    def next_item(self, liked: Sequence[int], passed: Sequence[int], closed: Sequence[int] = ()) -> Question | None:
        """Return what to ask next, None where everything was asked.

        Parameters
        ----------
        liked, passed
            See `believe`.
        closed
            Further items that are not to be asked about.
        """
        belief = self.believe(liked, passed)
        gains = _entropy(belief @ self.shares) - belief @ _entropy(self.shares)
        gains[np.isin(self.candidates, [*liked, *passed, *closed])] = -np.inf
        if not len(gains) or gains.max() == -np.inf:
            return None
        best = int(gains.argmax())
        return Question(int(self.candidates[best]), max(0.0, float(gains[best])))


def _entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy of yes with probability p and no otherwise, in bits."""
    result: np.ndarray = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    return result
