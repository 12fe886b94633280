"""Offers of `explore`: new items and their rate of use per impression in each segment.

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
import polars as pl

from firstday.display import readable
from firstday.model.item_content import content_of
from firstday.model.trained_model import TrainedModel
from firstday.ranking import NO_ITEM, unit_rows

ELSEWHERE = 0.3
"""Weight of an impression in another segment relative to one in the segment itself."""
N_DRAWS = 128
"""Number of Thompson samples per segment."""
MAX_OFFERED = 1_000
"""Maximum number of new items to offer; those with the highest expected rates are taken."""
MAX_RATE = 0.5
"""Maximum prior rate of a new item."""
PRIOR_RATE = 0.01
"""Prior rate of use per impression of a new item of which nothing is known."""


@readable
@dataclass(frozen=True, eq=False)
class Offers:
    """New items and the Beta posteriors of their rates."""

    items: np.ndarray  # indexes, int64, ascending, shape (n,)
    used: np.ndarray  # first parameter of each segment's rate, float64, shape (n_segments, n)
    ignored: np.ndarray  # second parameter
    least_rate: float = 0.0  # a sample offers no item below this rate
    _drawn: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, items: np.ndarray, shown: np.ndarray, used: np.ndarray, rates: np.ndarray, least_rate: float) -> Offers:
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


def offer_unused(model: TrainedModel) -> Offers:
    """Return the items of a model that nobody used as offers; none without impression counts."""
    n_segments = len(model.segments)
    return make_offers(model, np.zeros(0, np.int64), np.zeros((n_segments, 0)), np.zeros((2, 0)))


def make_offers(model: TrainedModel, index: np.ndarray, shares: np.ndarray, totals: np.ndarray) -> Offers:
    """Return new items as offers, and with impression counts the items of the model that nobody used.

    `index` has the new items' indexes in lists, shape (n,), `shares` the share of each segment's users that is expected
    to use them, shape (n_segments, n), and `totals` the numbers of their impressions and of users who used them since
    they were added, shape (2, n).
    """
    unused = np.setdiff1d(_find_unused(model), index)
    items = np.append(unused, index)
    shares = np.append(_expect_shares(model, unused), shares, axis=1)
    totals = np.append(np.zeros((2, len(unused))), totals, axis=1)
    best = np.argsort(-shares.max(axis=0, initial=0), kind="stable")[:MAX_OFFERED]
    best = best[np.argsort(items[best])]
    shown, used = _count_by_segment(model, items[best], totals[:, best])
    response, usual = model.derive(measure_response)
    return Offers.of(items[best], shown, used, np.minimum(MAX_RATE, response * shares[:, best]), usual)


def _find_unused(model: TrainedModel) -> np.ndarray:
    """Return the model's listed items that nobody used; without impression counts, none may be offered."""
    is_new = model.listed & (model.popularity == 0) & (model.shown_counts is not None)
    return np.flatnonzero(is_new)


def _expect_shares(model: TrainedModel, items: np.ndarray) -> np.ndarray:
    """Return the share of each segment's users that is expected to use some items, shape (n_segments, n)."""
    content = content_of(model)
    if content is None:
        return np.full((len(model.segments), len(items)), PRIOR_RATE)
    columns = {name: column.gather(pl.Series(items)) for name, column in model.catalogue.columns.items()}
    columns["title"] = pl.Series(map(model.catalogue.title_of, items.tolist()), dtype=pl.String)
    vectors, log_use = content.predict(columns, len(items))
    return content.chances(unit_rows(model.segments.centroids) @ vectors.T, log_use)


def _count_by_segment(model: TrainedModel, items: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return impressions and uses of items in each segment, shape (2, n_segments, n).

    The segments of `totals` are unknown, so they are spread over all segments by size.
    """
    sizes = model.segments.items.sizes
    counts = (sizes / sizes.sum())[:, None] * totals[:, None]
    if model.shown_counts is not None:
        is_own = items < model.n_items
        columns = np.tile(np.where(is_own, items, 0), (len(sizes), 1))
        own = [rows.at(columns) for rows in (model.shown_counts.shown, model.shown_counts.used)]
        counts += is_own * np.stack(own)
    return counts


def measure_response(model: TrainedModel) -> tuple[float, float]:
    """Return the rate of use per impression relative to items' shares of users, and the average rate of listed items.

    Without impressions, a user who uses an item does so at the first one; without content, no rate is too low.
    """
    if content_of(model) is None:
        return 1.0, 0.0
    counts = model.shown_counts
    if counts is None:
        return 1.0, float(model.segments.top_shares[:, : model.config.recommend.k].mean())
    n_used = 1 + float(counts.used.weights.sum())
    expected = 1 + float(counts.shown.weights @ model.popularity[counts.shown.columns])
    return n_used / expected, n_used / (1 + float(counts.shown.weights.sum()))
