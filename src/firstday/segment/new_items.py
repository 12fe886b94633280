"""New items, which no warm user uses: their rate of use per impression in each segment.

An item's rate has a Beta prior in each segment. An impression has the weight 1 in the user's segment and `ELSEWHERE` in
all others, so that an item that one segment passes over is shown less to the others. Thompson samples are drawn once
per segment; each list uses one of them, so propensities are known exactly.

Clusters of users as the context, Thompson sampling with pessimistic priors, and impressions as the outcome are those of
W. Bendada, G. Salha, T. Bontempelli, "Carousel Personalization in Music Streaming Apps with Contextual Bandits", RecSys
2020.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from firstday.display import readable
from firstday.ranking import NO_ITEM

ELSEWHERE = 0.3
"""Weight of an impression in another segment relative to one in the segment itself."""
N_DRAWS = 128
"""Number of Thompson samples per segment."""


@readable
@dataclass(frozen=True, eq=False)
class NewItems:
    """New items and the Beta posteriors of their rates."""

    items: np.ndarray  # indexes, int64, ascending, shape (n,)
    used: np.ndarray  # first parameter of each segment's rate, float64, shape (n_segments, n)
    ignored: np.ndarray  # second parameter
    least_rate: float = 0.0  # a sample offers no item below this rate
    _drawn: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls, items: np.ndarray, shown: np.ndarray, used: np.ndarray, rates: np.ndarray, least_rate: float
    ) -> NewItems:
        """Build from impressions, uses and prior rates, each of shape (n_segments, n); a prior counts as one use."""
        shown, used = (ELSEWHERE * counts.sum(axis=0) + (1 - ELSEWHERE) * counts for counts in (shown, used))
        return cls(items, 1 + used, 1 / rates - 1 + np.maximum(shown - used, 0), least_rate)

    def __len__(self) -> int:
        return len(self.items)

    def drawn(self, segment: int) -> np.ndarray:
        """Return the best new item of each Thompson sample for a segment, int64, shape (`N_DRAWS`,).

        It is `NO_ITEM` if no item reaches `least_rate`. The samples are the same on every call.
        """
        if segment not in self._drawn:
            rng = np.random.default_rng(segment)
            rates = rng.beta(self.used[segment], self.ignored[segment], (N_DRAWS, len(self)))
            best = self.items[rates.argmax(axis=1)]
            self._drawn[segment] = np.where(rates.max(axis=1) >= self.least_rate, best, NO_ITEM)
        return self._drawn[segment]

    def rates_of(self, item: int) -> np.ndarray:
        """Return a new item's expected rate in each segment, float64, shape (n_segments,)."""
        column = np.searchsorted(self.items, item)
        rates: np.ndarray = self.used[:, column] / (self.used + self.ignored)[:, column]
        return rates
