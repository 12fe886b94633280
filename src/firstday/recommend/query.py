"""What a strategy is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.config import PeerName
from firstday.features.signals import SignalBatch
from firstday.ranking import NO_ITEM, first_allowed, top_k, unit_rows
from firstday.sparse import SparseRows

CELLS_AT_ONCE = 2**23
"""Scores (users x items) in memory at once: 32 MiB of float32."""


@dataclass(frozen=True, eq=False)
class ComputedDays:
    """Day ones of which only numbers are known, no single thing done, as in the paper's released data.

    Parameters
    ----------
    features
        The network's input, float32, shape (n_users, n_inputs).
    means
        Mean vector of the items used on day one, float32, shape (n_users, d), zeros where there were none.
    """

    features: np.ndarray
    means: np.ndarray

    def stand_in(self, similarity: Literal["dot", "cosine"]) -> tuple[SparseRows, np.ndarray]:
        """Return each mean as if it were one liked item: rows of shape (n_users, n_users), and the items' vectors."""
        liked = np.asarray(self.means.any(axis=1))
        rows = np.flatnonzero(liked)
        vectors = unit_rows(self.means) if similarity == "cosine" else self.means
        return SparseRows.from_pairs(rows, rows, None, len(liked), len(liked)), vectors

    def take(self, rows: np.ndarray) -> ComputedDays:
        """Return the day ones of some of the users."""
        return ComputedDays(self.features[rows], self.means[rows])


@dataclass(frozen=True, eq=False)
class Query:
    """Some users, asking a model for lists; what several strategies need is computed once.

    Parameters
    ----------
    model
        The trained model.
    signals
        What is known of the users.
    k
        Length of the lists.
    keep_used
        Whether items that a user has already used, or banned, may be in the list.
    computed
        Features and mean vectors where they are not to be made of the signals.
    """

    model: TrainedModel
    signals: SignalBatch
    k: int
    keep_used: bool = False
    computed: ComputedDays | None = None

    @property
    def n_users(self) -> int:
        """How many users ask."""
        return self.signals.n_users

    @cached_property
    def closed(self) -> SparseRows:
        """Items that may not be in each user's list, shape (n_users, n_items)."""
        if self.keep_used:
            return SparseRows.empty(self.n_users, self.model.n_items)
        return self.signals.closed_items(self.model.config.signals)

    @cached_property
    def known(self) -> np.ndarray:
        """Whether the features tell anything of each user, bool, shape (n_users,).

        True for anything done that has a block, and for a profile value that warm users have.
        """
        if self.computed is not None:
            return np.asarray(self.computed.features.any(axis=1))
        encoder, signals = self.model.encoder, self.signals
        found = np.zeros(self.n_users, dtype=bool)
        for pair, rows in signals.actions.items():
            if pair in encoder.pairs:
                found |= rows.starts[1:] > rows.starts[:-1]
        if encoder.config.fold_in:
            found |= self.liked.starts[1:] > self.liked.starts[:-1]
        if encoder.friend_vectors is not None and signals.friends is not None:
            found |= signals.friends.lengths() > 0
        for codes in self.profile.values():
            found |= codes >= 0
        return found

    @cached_property
    def profile(self) -> dict[str, np.ndarray]:
        """Codes of each profile column, ages among them as ``age``, -1 where no warm user has the value."""
        codes = {name: self.signals.groups[name] for name in self.model.profile_groups if name in self.signals.groups}
        if self.signals.ages is not None and "age" in self.model.profile_groups:
            codes["age"] = self.signals.ages
        sizes = {name: self.model.profile_groups[name].sizes for name in codes}
        return {name: np.where((mine >= 0) & (sizes[name][mine] > 0), mine, -1) for name, mine in codes.items()}

    @cached_property
    def features(self) -> np.ndarray:
        """The users' features, float32, shape (n_users, n_inputs)."""
        return self.model.encoder.encode(self.signals) if self.computed is None else self.computed.features

    @cached_property
    def predicted(self) -> np.ndarray:
        """The users' predicted mature vectors, float32, shape (n_users, d), length 1."""
        return self._outputs[:, : self.model.segments.centroids.shape[1]]

    @cached_property
    def predicted_for_neighbors(self) -> np.ndarray:
        """The vectors by which neighbours are looked for, as `predicted`, which they are in most models."""
        return self._outputs[:, -self.model.segments.centroids.shape[1] :]

    @cached_property
    def _outputs(self) -> np.ndarray:
        """What the cold model gives: one vector of each user, or two side by side."""
        return self.model.cold.predict(self.features)

    @cached_property
    def ranker_hidden(self) -> np.ndarray:
        """The ranker's hidden numbers of the users, float32, shape (n_users, width); the model must have a ranker."""
        assert self.model.ranker is not None
        return self.model.ranker.predict(self.features)

    def predicted_by(self, peer: PeerName) -> np.ndarray:
        """Return the vectors that a peer of the cold model predicts, as `predicted`; the model must have the peer."""
        if peer not in self._by_peers:
            liked, vectors = self.liked, self.model.scoring_vectors
            if self.computed is not None:
                liked, vectors = self.computed.stand_in(self.model.similarity)
            self._by_peers[peer] = self.model.peers[peer].predict(self.features, liked, vectors)
        return self._by_peers[peer]

    @cached_property
    def _by_peers(self) -> dict[PeerName, np.ndarray]:
        return {}

    @cached_property
    def nearest_segments(self) -> np.ndarray:
        """The segment nearest to each predicted vector, int64, shape (n_users,)."""
        return self.model.segments.assign(self.predicted)

    @cached_property
    def liked(self) -> SparseRows:
        """The users' positive affinities, shape (n_users, n_items)."""
        return self.signals.affinity(self.model.config.signals)

    @cached_property
    def liked_means(self) -> np.ndarray:
        """Mean vectors of the items that the users like, float32, shape (n_users, d), zeros where there are none."""
        if self.computed is not None:
            return self.computed.means
        return self.liked.mean_vectors(self.model.encoder.fold_in.item_vectors)

    def asking(self, model: TrainedModel) -> Query:
        """Return the same users, asking a model that differs in how strategies weigh things alone.

        What was computed of the users, features and predicted vectors above all, is kept.
        """
        query = replace(self, model=model)
        query.__dict__.update({**self.__dict__, "model": model})
        return query

    def take(self, rows: np.ndarray) -> Query:
        """Return the query of some of the users."""
        computed = None if self.computed is None else self.computed.take(rows)
        return replace(self, signals=self.signals.take(rows), computed=computed)


@dataclass(frozen=True, eq=False)
class Answer:
    """A strategy's lists.

    Parameters
    ----------
    items
        int32, shape (n_users, k), best first, -1 where the strategy has no more.
    scores
        float32, shape (n_users, k).
    routes
        How each list came about, shape (n_users,), such as ``segment``; "" where the strategy has nothing to go on.
    """

    items: np.ndarray
    scores: np.ndarray
    routes: np.ndarray


Strategy = Callable[[Query], Answer]


def route_where(answered: np.ndarray, route: str) -> np.ndarray:
    """Return the route where `answered`, else "", shape (n,)."""
    return np.where(answered, route, "").astype(object)


def rank_scores(query: Query, score: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rank items by scores, closed items left out, a part of the users at a time.

    Parameters
    ----------
    score
        Given user positions, shape (m,), returns scores that may be overwritten, float32, shape (m, n_items).
    """
    n_items = query.model.n_items
    items = np.full((query.n_users, query.k), NO_ITEM, dtype=np.int32)
    values = np.zeros((query.n_users, query.k), dtype=np.float32)
    for rows in _parts(query, n_items):
        scores = score(rows)
        closed = query.closed.take(rows)
        scores[closed.row_of_entry(), closed.columns] = -np.inf
        items[rows], values[rows] = top_k(scores, query.k)
    return items, values


def rank_vectors(query: Query, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank items by how near they are to each user's vector; items that no warm user gave a vector have no place.

    The list of a user whose vector is zero is empty.

    Parameters
    ----------
    vectors
        float32, shape (n_users, d).
    """
    items = query.model.scoring_vectors
    lacking = query.model.items_without_vector
    nowhere = np.flatnonzero(~vectors.any(axis=1))  # a vector of zeros is as near to everything

    def score(rows: np.ndarray) -> np.ndarray:
        scores: np.ndarray = vectors[rows] @ items.T
        scores[:, lacking] = -np.inf
        scores[np.isin(rows, nowhere)] = -np.inf
        return scores

    return rank_scores(query, score)


def rank_lists(
    query: Query, lists: np.ndarray, scores: np.ndarray, choice: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take each user's list from lists that are ranked already, closed items left out.

    Parameters
    ----------
    lists, scores
        Shape (n_lists, m): items and their scores, best first.
    choice
        Integers, shape (n_users,): which list each user gets.
    """
    parts = []
    n_closed = query.closed.lengths()
    for rows in _parts(query, int(n_closed.max(initial=0)) + query.k):
        closed = query.closed if len(rows) == query.n_users else query.closed.take(rows)
        # A list can lose as many entries as the user has closed items: only that many more are looked at.
        chosen = lists[choice[rows], : int(n_closed[rows].max(initial=0)) + query.k]
        allowed = chosen >= 0
        if closed.n_entries:
            keys = closed.row_of_entry() * query.model.n_items + closed.columns  # ascending
            cells = np.arange(len(rows))[:, None] * query.model.n_items + chosen
            allowed &= keys[np.minimum(np.searchsorted(keys, cells), len(keys) - 1)] != cells
        parts.append(first_allowed(chosen, scores[choice[rows], : chosen.shape[1]], allowed, query.k))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([items for items, _ in parts]), np.concatenate([values for _, values in parts])


def _parts(query: Query, width: int) -> list[np.ndarray]:
    """Cut the users' positions into parts of `CELLS_AT_ONCE` cells at most; one part at least."""
    step = max(1, CELLS_AT_ONCE // max(1, width))
    return [np.arange(at, min(at + step, query.n_users)) for at in range(0, max(1, query.n_users), step)]
