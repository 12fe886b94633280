"""New items, which no warm user uses: their rate of use per impression in each segment.

Rates have the pessimistic prior Beta(1, 99), since most new items are rarely used. An impression has the weight 1 in
the user's segment and `ELSEWHERE` in all others, so that an item that one segment passes over is shown less to the
others. Thompson samples are drawn once per segment; each list uses one of them, so propensities are known exactly.

Clusters of users as the context, Thompson sampling with pessimistic priors, and impressions as the outcome are those of
W. Bendada, G. Salha, T. Bontempelli, "Carousel Personalization in Music Streaming Apps with Contextual Bandits", RecSys
2020.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from firstday.display import readable
from firstday.segment.shown_counts import ShownCounts

PRIOR_USED, PRIOR_IGNORED = 1.0, 99.0
"""Beta prior of each new item's rate, in pseudo-impressions used and not used."""
ELSEWHERE = 0.3
"""Weight of an impression in another segment relative to one in the segment itself."""
N_DRAWS = 128
"""Number of Thompson samples per segment."""


@readable
@dataclass(frozen=True, eq=False)
class NewItems:
    """New items and the Beta posteriors of their rates."""

    shown_items: np.ndarray  # indexes of new items with impressions, int32, ascending, shape (n_shown,)
    used: np.ndarray  # first parameter of each segment's rate, float64, shape (n_segments, n_shown)
    ignored: np.ndarray  # second parameter
    other_items: np.ndarray  # indexes of the other new items, int32, ascending, whose rates have the prior distribution
    _drawn: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: ShownCounts, items: np.ndarray) -> NewItems:
        """Build from the ascending indexes of new items and the impression counts of all items."""
        is_shown = np.isin(items, counts.shown.columns)
        shown_items = items[is_shown]
        both = np.stack(counts.of_items(shown_items)).astype(np.float64)
        shown, used = ELSEWHERE * both.sum(axis=1, keepdims=True) + (1 - ELSEWHERE) * both
        ignored = np.maximum(shown - used, 0)
        return cls(shown_items, PRIOR_USED + used, PRIOR_IGNORED + ignored, items[~is_shown])

    def __len__(self) -> int:
        return len(self.shown_items) + len(self.other_items)

    def drawn(self, segment: int) -> np.ndarray:
        """Return the best new item of each Thompson sample for a segment, int32, shape (`N_DRAWS`,).

        The samples are the same on every call. There must be at least one new item.
        """
        if segment not in self._drawn:
            self._drawn[segment] = self._draw(segment, np.random.default_rng(segment))
        return self._drawn[segment]

    def _draw(self, segment: int, rng: np.random.Generator) -> np.ndarray:
        best = np.full(N_DRAWS, -1, dtype=np.int32)
        rates = np.full(N_DRAWS, -1.0)
        if len(self.other_items):
            # CDF of the maximum of n rates with prior Beta(1, b): (1 - (1 - x) ** b) ** n.
            highest = rng.random(N_DRAWS) ** (1 / len(self.other_items))
            rates = 1 - (1 - highest) ** (1 / PRIOR_IGNORED)
            best = self.other_items[rng.integers(len(self.other_items), size=N_DRAWS)]
        if len(self.shown_items):
            shape = (N_DRAWS, len(self.shown_items))
            drawn = rng.beta(self.used[segment], self.ignored[segment], shape)
            highest_ix = drawn.argmax(axis=1)
            is_better = drawn[np.arange(N_DRAWS), highest_ix] > rates
            best = np.where(is_better, self.shown_items[highest_ix], best)
        return best

    def rates_of(self, item: int) -> np.ndarray:
        """Return a new item's expected rate in each segment, float64, shape (n_segments,)."""
        if item in self.shown_items:
            column = np.searchsorted(self.shown_items, item)
            return self.used[:, column] / (self.used + self.ignored)[:, column]
        return np.full(len(self.used), PRIOR_USED / (PRIOR_USED + PRIOR_IGNORED))
