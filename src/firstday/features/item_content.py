"""Item content: the vector and the use of a new item, predicted from its words and entities.

A word is treated like a member of an entity: it stands for the mean of the items that have it. What counts how much is
learned on items of the model by hiding each from the means that predict it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl

from firstday.data.events import ITEM
from firstday.display import readable
from firstday.ranking import unit_rows
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows

WORDS = ITEM
"""Name of the block of words, which no entity has."""
N_BUCKETS = 2**16
"""Number of hash buckets of words."""
WORD = r"[\p{L}\p{N}]+"
SHRINKAGE = 2.0
"""Pseudo-items at the overall mean, added to the mean of each word and entity member."""
RELIABLE_USERS = 10.0
"""Number of users at which an item counts half as much as one with many users."""
MIN_ITEMS = 20
"""Minimum number of used items to learn from."""
MAX_HIDDEN = 2_000
"""Maximum number of items to hide."""


@readable
@dataclass(frozen=True, eq=False)
class ItemContent:
    """Predicts the vector and the popularity of new items, and how often people like a user use them.

    Parameters
    ----------
    blocks
        By entity, and for `WORDS`, the mean of the items of each member or hash bucket, float32, shape (n_members, d +
        1): their unit vectors and the logarithms of their numbers of users, both relative to `centre`.
    weights
        Weight of each block for each column, float32, shape (n_blocks, d + 1).
    centre
        Mean over all items, float32, shape (d + 1,).
    buckets
        Hash buckets of the known words, int64, ascending, shape (n_words,).
    rarity
        Inverse document frequency of the known words, float32, shape (n_words,).
    n_hidden, cosine, cosine_of_centre, explained
        Number of hidden items; the mean cosine of their vectors with the predicted ones, and with the mean of all
        items; the explained share of the variance of the logarithm of their numbers of users.
    level
        How often newcomers use a hidden item, relative to the predicted popularity.
    slope
        Increase of the log-odds of use per unit of the dot product of user and predicted vector.
    shape
        Shape of the Gamma distribution of hidden items' use relative to the prediction.
    age_days, age_factors
        Use of items relative to all items, by age: ``age_factors[n]`` applies from ``age_days[n]`` days on.
    """

    blocks: Mapping[str, np.ndarray]
    weights: np.ndarray
    centre: np.ndarray
    buckets: np.ndarray
    rarity: np.ndarray
    n_hidden: int
    cosine: float
    cosine_of_centre: float
    explained: float
    level: float = 1.0
    slope: float = 0.0
    shape: float = 1.0
    age_days: np.ndarray = field(default_factory=lambda: np.zeros(1))
    age_factors: np.ndarray = field(default_factory=lambda: np.ones(1))

    def predict(self, texts: Sequence[str], members: Mapping[str, SparseRows]) -> tuple[np.ndarray, np.ndarray]:
        """Return vectors, float32, shape (n, d), and numbers of users, float64, shape (n,), of items.

        `members` has each item's members by entity, shape (n, n_members); without known ones, they are average.
        """
        rows = {**members, WORDS: weigh_words(count_words(texts).keep_columns(self.buckets), self.rarity)}
        predicted = np.tile(self.centre, (len(texts), 1))
        for (name, means), weights in zip(self.blocks.items(), self.weights, strict=True):
            if name in rows:
                predicted += weights * rows[name].mean_vectors(means, weighted=True)
        return predicted[:, :-1], np.exp(predicted[:, -1].astype(np.float64))

    def factor_at(self, age_days: np.ndarray) -> np.ndarray:
        """Return the use of items of some ages, shape (n,), relative to all items, float64."""
        return self.age_factors[np.maximum(0, np.searchsorted(self.age_days, age_days, side="right") - 1)]

    def lift(self, users: np.ndarray, items: np.ndarray, segments: Segments) -> np.ndarray:
        """Return how much likelier than average each user is to use each item, shape (n_users, n_items)."""
        return lift_by_vectors(self.slope, users, items, segments)

    def to_json(self) -> Mapping[str, Any]:
        """Return the evidence and what was learned of it as JSON values."""
        names = ("n_hidden", "cosine", "cosine_of_centre", "explained", "level", "slope", "shape")
        ages = dict(zip(self.age_days.tolist(), self.age_factors.tolist(), strict=True))
        return {**{name: getattr(self, name) for name in names}, "use_by_age_days": ages}

    def describe(self) -> str:
        """Describe the evidence in one sentence."""
        return (
            f"Vectors of {self.n_hidden:,} hidden items, predicted from words and entities, have a mean cosine of "
            f"{self.cosine:.2f} with their own (the mean vector: {self.cosine_of_centre:.2f}); {self.explained:.0%} of "
            "the variance of their logarithmic numbers of users is explained."
        )


def lift_by_vectors(slope: float, users: np.ndarray, items: np.ndarray, segments: Segments) -> np.ndarray:
    """Return the exponential of the slope times each dot product, relative to its mean over all segments' members.

    Users with a zero vector, of whom nothing is known, are average.
    """
    shares = segments.items.sizes / segments.items.sizes.sum()
    average = shares @ np.exp(slope * (unit_rows(segments.centroids) @ items.T))
    lifts: np.ndarray = np.exp(slope * (users @ items.T)) / average
    lifts[np.flatnonzero((users == 0).all(axis=1))] = 1
    return lifts


def join_texts(titles: Sequence[str] | None, descriptions: Sequence[str] | None, n_items: int) -> list[str]:
    """Return the title and description of each item as one text."""
    absent = [""] * n_items
    return list(map(" ".join, zip(titles or absent, descriptions or absent, strict=True)))


def count_words(texts: Sequence[str]) -> SparseRows:
    """Return how often each text has words of each hash bucket, shape (n_texts, `N_BUCKETS`)."""
    words = pl.Series("word", texts, dtype=pl.String).str.to_lowercase().str.extract_all(WORD)
    rows = words.to_frame().with_row_index("row").explode("word").drop_nulls()
    distinct = rows["word"].unique()
    buckets = pl.Series("bucket", [crc32(word.encode()) % N_BUCKETS for word in distinct.to_list()], dtype=pl.Int64)
    rows = rows.join(pl.DataFrame({"word": distinct, "bucket": buckets}), on="word")
    return SparseRows.from_pairs(rows["row"].to_numpy(), rows["bucket"].to_numpy(), None, len(texts), N_BUCKETS)


def weigh_words(counts: SparseRows, rarity: np.ndarray) -> SparseRows:
    """Return TF-IDF weights, given the inverse document frequency of each column."""
    weights = np.log1p(counts.weights) * rarity[counts.columns]
    return SparseRows(counts.starts, counts.columns, weights.astype(np.float32), counts.n_columns)


@dataclass(frozen=True, eq=False)
class HiddenItems:
    """Predictions of items hidden from the means: indexes, vectors and numbers of users as in `ItemContent.predict`."""

    items: np.ndarray
    vectors: np.ndarray
    n_users: np.ndarray


def fit_content(
    vectors: np.ndarray, n_users: np.ndarray, words: SparseRows, members: Mapping[str, SparseRows]
) -> tuple[ItemContent, HiddenItems] | None:
    """Learn from the used items of a model; None if there are fewer than `MIN_ITEMS`, or none has words or entities.

    `vectors` are those of the items, float32, shape (n_items, d), and `n_users` their numbers of users, shape
    (n_items,); `words` are from `count_words`, and `members` as in `ItemContent.predict`.
    """
    used = np.flatnonzero(vectors.any(axis=1) & (n_users > 0))
    words = words.take(used)
    n_texts = np.bincount(words.columns, minlength=N_BUCKETS)
    buckets = np.flatnonzero(n_texts >= 2)  # a hidden item has nothing in common by a word of its own
    rarity = np.log((1 + len(used)) / (1 + n_texts[buckets])).astype(np.float32)
    rows = {name: links.take(used).ones() for name, links in members.items()}
    rows[WORDS] = weigh_words(words.keep_columns(buckets), rarity)
    rows = {name: links for name, links in rows.items() if links.n_entries}
    if len(used) < MIN_ITEMS or not rows:
        return None
    reliability = (n_users[used] / (n_users[used] + RELIABLE_USERS)).astype(np.float32)
    targets = np.column_stack([unit_rows(vectors[used]), np.log(n_users[used])]).astype(np.float32)
    centre = np.average(targets, axis=0, weights=reliability).astype(np.float32)
    targets -= centre
    hidden = np.random.default_rng(0).permutation(len(used))[:MAX_HIDDEN]
    blocks = {}
    inputs = []
    for name, links in rows.items():
        blocks[name], predictions = _average_members(links, targets, reliability, hidden)
        inputs.append(predictions)
    x = np.stack(inputs)
    weights = np.empty((len(x), targets.shape[1]), dtype=np.float32)
    for columns in (slice(None, -1), slice(-1, None)):
        weights[:, columns] = _fit_weights(x[:, :, columns], targets[hidden, columns], reliability[hidden])[:, None]
    predicted = centre + np.einsum("bic,bc->ic", x, weights)
    truth = centre + targets[hidden]
    error = np.average((predicted - truth)[:, -1] ** 2, weights=reliability[hidden])
    variance = np.average(targets[hidden, -1] ** 2, weights=reliability[hidden])
    content = ItemContent(
        blocks,
        weights,
        centre,
        buckets,
        rarity,
        len(hidden),
        _mean_cosine(predicted, truth),
        _mean_cosine(np.tile(centre, (len(hidden), 1)), truth),
        round(float(1 - error / max(variance, 1e-9)), 4),
    )
    return content, HiddenItems(used[hidden], predicted[:, :-1], np.exp(predicted[:, -1].astype(np.float64)))


def _average_members(
    links: SparseRows, targets: np.ndarray, reliability: np.ndarray, hidden: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the shrunk mean of each member's items, and for each hidden item the mean of its members without it."""
    owners = links.row_of_entry()
    items = SparseRows.from_pairs(links.columns, owners, reliability[owners], links.n_columns, links.n_rows)
    mass = np.bincount(links.columns, reliability[owners], links.n_columns).astype(np.float32)
    sums = items.mean_vectors(targets, weighted=True) * mass[:, None]
    shown = links.take(hidden)
    of_entry = hidden[shown.row_of_entry()]
    shares = shown.weights / (mass[shown.columns] - reliability[of_entry] + SHRINKAGE)
    weighted = SparseRows(shown.starts, shown.columns, shares, shown.n_columns)
    total = np.bincount(shown.row_of_entry(), shares, len(hidden))[:, None]
    own = (reliability[:, None] * targets)[hidden]
    weight = np.bincount(shown.row_of_entry(), shown.weights, len(hidden))[:, None]
    others = total * (weighted.mean_vectors(sums, weighted=True) - own) / np.maximum(weight, 1e-12)
    return sums / (mass + SHRINKAGE)[:, None], others.astype(np.float32)


def _fit_weights(x: np.ndarray, y: np.ndarray, reliability: np.ndarray) -> np.ndarray:
    """Return the ridge regression weight of each block: `x` has shape (n_blocks, n, c), `y` (n, c)."""
    scaled = x * np.sqrt(reliability)[:, None]
    gram = np.einsum("aic,bic->ab", scaled, scaled).astype(np.float64)
    moments = np.einsum("aic,ic->a", scaled, y * np.sqrt(reliability)[:, None]).astype(np.float64)
    ridge = 1e-3 * np.trace(gram) + 1e-9
    solved: np.ndarray = np.linalg.solve(gram + ridge * np.eye(len(gram)), moments)
    return solved


def _mean_cosine(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean cosine of the vectors, without the last column."""
    cosines = (unit_rows(predicted[:, :-1]) * unit_rows(truth[:, :-1])).sum(axis=1)
    return round(float(cosines.mean()), 4)
