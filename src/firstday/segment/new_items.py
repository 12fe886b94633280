"""Items that no warm user uses: how often each segment uses them when they are shown, as far as impressions tell.

A rate begins with the pessimistic prior Beta(1, 99): most new items are used seldom. Each time an item is shown counts,
in the segment itself once, elsewhere `ELSEWHERE` times, so that what one segment passes over need not be shown to all
the others as often again. Draws from these beliefs (Thompson sampling) are made once for each segment and kept: lists
take one of them, so that how likely each item is to be drawn is known exactly.

References
----------
W. Bendada, G. Salha, T. Bontempelli, "Carousel Personalization in Music Streaming Apps with Contextual Bandits",
RecSys 2020: clusters of users as the context, Thompson sampling with pessimistic priors, impressions as the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from firstday.display import readable
from firstday.segment.shown_counts import ShownCounts

PRIOR_USED, PRIOR_IGNORED = 1.0, 99.0
"""How often each new item was used, and shown and not used, before it was shown for the first time."""
ELSEWHERE = 0.3
"""What an impression in another segment counts beside one in the segment itself."""
N_DRAWS = 128
"""Draws of a best item that are kept for each segment."""


@readable
@dataclass(frozen=True, eq=False)
class NewItems:
    """New items and what impressions tell of them.

    Parameters
    ----------
    shown_items
        Indexes of those that were shown to anyone, int32, ascending, shape (n_shown,).
    used, ignored
        Parameters of the Beta distribution of each segment's rate, float64, shape (n_segments, n_shown).
    other_items
        Indexes of those that were never shown, int32, ascending; their rates have the prior.
    """

    shown_items: np.ndarray
    used: np.ndarray
    ignored: np.ndarray
    other_items: np.ndarray
    _drawn: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: ShownCounts, items: np.ndarray) -> NewItems:
        """Make them of new items' indexes, ascending, and of what all items were shown and used."""
        is_shown = np.isin(items, counts.shown.columns)
        shown_items = items[is_shown]
        shown, used = (of_items.astype(np.float64) for of_items in counts.of_items(shown_items))
        shown, used = (ELSEWHERE * of.sum(axis=0) + (1 - ELSEWHERE) * of for of in (shown, used))
        ignored = np.maximum(shown - used, 0)
        return cls(shown_items, PRIOR_USED + used, PRIOR_IGNORED + ignored, items[~is_shown])

    def __len__(self) -> int:
        return len(self.shown_items) + len(self.other_items)

    def drawn(self, segment: int) -> np.ndarray:
        """Return the best new item by each of the draws for a segment, int32, shape (`N_DRAWS`,).

        Rates are drawn from what is believed of them; the item with the highest rate is the best. The draws are the
        same each time. There must be a new item.
        """
        if segment not in self._drawn:
            self._drawn[segment] = self._draw(segment, np.random.default_rng(segment))
        return self._drawn[segment]

    def _draw(self, segment: int, rng: np.random.Generator) -> np.ndarray:
        best = np.full(N_DRAWS, -1, dtype=np.int32)
        rates = np.full(N_DRAWS, -1.0)
        if len(self.other_items):
            # The highest of n rates with the prior Beta(1, b): its distribution function is (1 - (1 - x) ** b) ** n.
            highest = rng.random(N_DRAWS) ** (1 / len(self.other_items))
            rates = 1 - (1 - highest) ** (1 / PRIOR_IGNORED)
            best = self.other_items[rng.integers(len(self.other_items), size=N_DRAWS)]
        if len(self.shown_items):
            drawn = rng.beta(self.used[segment], self.ignored[segment], (N_DRAWS, len(self.shown_items)))
            at = drawn.argmax(axis=1)
            is_better = drawn[np.arange(N_DRAWS), at] > rates
            best = np.where(is_better, self.shown_items[at], best)
        return best

    def rates_of(self, item: int) -> np.ndarray:
        """Return the expected rate of one of the items in each segment, float64, shape (n_segments,)."""
        place = int(np.searchsorted(self.shown_items, item))
        if place < len(self.shown_items) and self.shown_items[place] == item:
            used, ignored = self.used[:, place], self.ignored[:, place]
            rates: np.ndarray = used / (used + ignored)
            return rates
        return np.full(len(self.used), PRIOR_USED / (PRIOR_USED + PRIOR_IGNORED))
