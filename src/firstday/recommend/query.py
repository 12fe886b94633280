"""What a strategy is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from firstday.artifact.trained_model import FEW, TrainedModel
from firstday.data.events import ITEM
from firstday.display import readable
from firstday.errors import ConfigError, FirstdayError
from firstday.features.signals import SignalBatch
from firstday.ranking import rank_scores, score_by_vectors, take_lists, unit_rows
from firstday.sparse import SparseRows, contains, union_rows

RESTING = 0.5
"""How likely a user saw an item and passed it over, from which on it is left out of the user's lists."""


@readable
@dataclass(frozen=True, eq=False)
class ComputedDays:
    """Day ones of which only numbers are known, no single interaction, as in the paper's released data.

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


class LearnedScores(Protocol):
    """What a method learned that scores items for liked items."""

    def score(self, liked: SparseRows) -> np.ndarray:
        """Return scores that may be overwritten, float32, shape (n_users, n_items).

        Minus infinity stands for items that it does not rank, and fills the row of a user of whom it knows nothing.

        Parameters
        ----------
        liked
            Items that the users like so far, shape (n_users, n_items).
        """
        ...


@readable
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
    closed
        Items that may not be in each user's list, shape (n_users, n_items), where they do not follow from the signals.
    """

    model: TrainedModel
    signals: SignalBatch
    k: int
    keep_used: bool = False
    computed: ComputedDays | None = None
    closed: SparseRows | None = None

    @property
    def n_users(self) -> int:
        """How many users ask."""
        return self.signals.n_users

    @cached_property
    def excluded(self) -> SparseRows:
        """Items that may not be in each user's list, shape (n_users, n_items)."""
        if self.keep_used:
            return SparseRows.empty(self.n_users, self.model.n_items)
        if self.closed is not None:
            return self.closed
        closed = self.signals.closed_items(self.model.config.signals)
        return union_rows([closed, self.resting]) if self.resting.n_entries else closed

    @cached_property
    def resting(self) -> SparseRows:
        """Items that each user more likely than not saw and passed over, shape (n_users, n_items)."""
        return self.passed_over.keep(self.passed_over.weights > RESTING)

    @cached_property
    def known(self) -> np.ndarray:
        """Whether the features tell anything of each user, bool, shape (n_users,).

        True for any interaction that has a block, for a profile value that warm users have, for an age near theirs.
        """
        if self.computed is not None:
            return np.asarray(self.computed.features.any(axis=1))
        known: np.ndarray = self._has_signal | self._has_friends
        if self.model.encoder.config.fold_in:
            known |= self.liked.lengths() > 0
        for codes in self.profile.values():
            known |= codes >= 0
        return known

    @cached_property
    def _has_signal(self) -> np.ndarray:
        """Whether each user did anything that has a block among the features, bool, shape (n_users,)."""
        has_signal = np.zeros(self.n_users, dtype=bool)
        for pair, rows in self.signals.actions.items():
            if pair in self.model.pairs:
                has_signal |= rows.lengths() > 0
        return has_signal

    @cached_property
    def _has_friends(self) -> np.ndarray:
        """Whether each user has a friend who enters the features, bool, shape (n_users,)."""
        friends = self.signals.friends if self.model.knows_friends else None
        return np.zeros(self.n_users, dtype=bool) if friends is None else np.asarray(friends.lengths() > 0)

    @cached_property
    def passed_over(self) -> SparseRows:
        """How likely each user saw an item and passed it over, without what they like, shape (n_users, n_items)."""
        passed_over = self.signals.passed_over
        if passed_over is None:
            return SparseRows.empty(self.n_users, self.model.n_items)
        return passed_over.keep(~contains(self.liked, passed_over))

    @cached_property
    def n_known(self) -> np.ndarray:
        """How many things each user did, int64, shape (n_users,).

        Items count that the user likes, and members of other entities with a block among the features; who only
        skipped items, say, counts as having done one thing, and a computed day one as `FEW` of them.
        """
        if self.computed is not None:
            return np.where(self.known, FEW, 0)
        n_done = self.liked.lengths()
        for pair, rows in self.signals.actions.items():
            if pair in self.model.pairs and pair[1] != ITEM:
                n_done = n_done + rows.lengths()
        n_known: np.ndarray = np.maximum(n_done, self._has_signal)
        return n_known

    @cached_property
    def knowledge(self) -> np.ndarray:
        """How much is known of each user, as a position in `KNOWLEDGE`, int64, shape (n_users,)."""
        names = np.where(self.n_known >= FEW, 4, np.where(self.n_known > 0, 3, np.where(self._has_friends, 2, 1)))
        return np.where(self.known, names, 0)

    @cached_property
    def profile(self) -> dict[str, np.ndarray]:
        """Codes of each profile column, ages as ``age``, -1 where no warm user has the value, or is near to the age."""
        groups = self.model.shared_groups
        columns = {name: self.signals.groups[name] for name in groups if name in self.signals.groups}
        if self.signals.ages is not None and "age" in groups:
            columns["age"] = self.signals.ages
        sizes = {name: groups[name].sizes for name in columns}
        return {name: np.where((codes >= 0) & (sizes[name][codes] > 0), codes, -1) for name, codes in columns.items()}

    @cached_property
    def features(self) -> np.ndarray:
        """The users' features, float32, shape (n_users, n_inputs)."""
        if self.computed is not None:
            return self.computed.features
        return self.model.encoder.encode(self.signals, self.liked)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The users' predicted mature vectors, float32, shape (n_users, d), length 1."""
        return self.model.cold.predict(self.features)

    @cached_property
    def ranker_hidden(self) -> np.ndarray:
        """The ranker's hidden numbers of the users, float32, shape (n_users, width); the model must have a ranker."""
        assert self.model.ranker is not None
        return self.model.ranker.predict(self.features)

    def predicted_by(self, method: str) -> np.ndarray:
        """Return the vectors that another cold model predicts, as `predicted`; the model must have learned it."""
        liked, vectors = self.liked, self.model.scoring_vectors
        if self.computed is not None:
            liked, vectors = self.computed.stand_in(self.model.similarity)
        predicted: np.ndarray = self.learned(method).predict(self.features, liked, vectors)
        check_numbers(f"cold model {method!r}: its vectors", predicted, (self.n_users, vectors.shape[1]))
        return predicted

    @cached_property
    def nearest_segments(self) -> np.ndarray:
        """The segment nearest to each predicted vector, int64, shape (n_users,)."""
        return np.asarray(self.closeness.argmax(axis=1))

    @cached_property
    def closeness(self) -> np.ndarray:
        """How near each segment is to the predicted vectors, shape (n_users, n_segments); `Segments.closeness`."""
        return self.model.segments.closeness(self.predicted)

    @cached_property
    def liked(self) -> SparseRows:
        """The users' positive affinities, shape (n_users, n_items)."""
        return self.signals.affinity(self.model.config.signals)

    @cached_property
    def liked_means(self) -> np.ndarray:
        """Mean vectors of the items that the users like, float32, shape (n_users, d), zeros where there are none."""
        if self.computed is not None:
            return self.computed.means
        return self.liked.mean_vectors(self.model.fold_in.item_vectors)

    def learned(self, name: str) -> Any:
        """Return what a method learned in training: the value that its `fit` returned.

        Raises
        ------
        ConfigError
            The model holds nothing of that method.
        """
        if name not in self.model.learned:
            raise ConfigError(f"learned: this model holds nothing of {name!r}; give that method a fit, and train it.")
        return self.model.learned[name]

    def rank_scores(self, score: Callable[[np.ndarray], np.ndarray], route: str, answered: np.ndarray) -> Answer:
        """Rank items by scores; see `firstday.rank_scores` and `Answer.where`."""

        def score_listed(rows: np.ndarray) -> np.ndarray:
            scores = score(rows)
            check_numbers(f"strategy {route!r}: its scores", scores, (len(rows), self.model.n_items))
            scores[:, self.model.unlisted] = -np.inf
            return scores

        return Answer.where(answered, route, *rank_scores(score_listed, self.excluded, self.k))

    def rank_learned(self, method: str) -> Answer:
        """Rank items by the scores that what a method learned gives them for liked items; see `LearnedScores`.

        Whoever has no liked item that it knows is not answered.
        """
        value: LearnedScores = self.learned(method)
        everyone = np.ones(self.n_users, dtype=bool)
        answer = self.rank_scores(lambda rows: value.score(self.liked.take(rows)), method, everyone)
        return Answer.where(answer.items[:, 0] >= 0, method, answer.items, answer.scores)

    def rank_by_vectors(self, vectors: np.ndarray, route: str, answered: np.ndarray) -> Answer:
        """Rank items by the dot product of their vectors with users', shape (n_users, d); see `Answer.where`."""
        items, absent = self.model.scoring_vectors, self.model.without_vector
        return self.rank_scores(lambda rows: score_by_vectors(vectors[rows], items, absent), route, answered)

    def take_lists(
        self, lists: np.ndarray, scores: np.ndarray, choice: np.ndarray, route: str, answered: np.ndarray
    ) -> Answer:
        """Give each user the list that `choice` names of `lists`, shape (n_lists, m), less what is left out."""
        return Answer.where(answered, route, *take_lists(lists, scores, choice, self.excluded, self.k))

    @cached_property
    def without_impressions(self) -> Query:
        """The same users as if nothing had been shown to them."""
        if self.signals.passed_over is None:
            return self
        return replace(self, signals=replace(self.signals, passed_over=None))

    def take(self, rows: np.ndarray) -> Query:
        """Return the query of some of the users; what follows from their features is not computed again."""
        computed = None if self.computed is None else self.computed.take(rows)
        closed = None if self.closed is None else self.closed.take(rows)
        query = replace(self, signals=self.signals.take(rows), computed=computed, closed=closed)
        for name in ("features", "predicted", "closeness"):
            if name in self.__dict__:
                query.__dict__[name] = self.__dict__[name][rows]
        return query


@readable
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
    n_ranked
        How many places of each list that route ranked, integers, shape (n_users,): the others fill the list up, with
        score 0. None: all that hold an item.
    scales
        What the scores of each list are, shape (n_users,), such as ``share of the segment``; None: they are on the
        strategy's own scale.
    propensities
        How likely the strategy was to show each place's item there, given the places above it, float32, shape
        (n_users, k); None: nothing was left to chance, and each is 1.
    """

    items: np.ndarray
    scores: np.ndarray
    routes: np.ndarray
    n_ranked: np.ndarray | None = None
    scales: np.ndarray | None = None
    propensities: np.ndarray | None = None

    def count_ranked(self) -> np.ndarray:
        """Return `n_ranked`, counted where it is None."""
        return (self.items >= 0).sum(axis=1) if self.n_ranked is None else self.n_ranked

    @classmethod
    def where(cls, answered: np.ndarray, route: str, items: np.ndarray, scores: np.ndarray) -> Answer:
        """Make an answer whose route is `route` for users who are `answered`, bool, shape (n_users,), else ""."""
        return cls(items, scores, np.where(answered, route, "").astype(object))


def check_numbers(what: str, numbers: Any, shape: tuple[int, ...]) -> None:
    """Refuse what is no array of numbers of a shape, or has NaN.

    Raises
    ------
    FirstdayError
        It is not.
    """
    is_array = isinstance(numbers, np.ndarray)
    if not is_array or numbers.shape != shape or numbers.dtype.kind not in "fiu":
        given = f"{numbers.dtype} of the shape {numbers.shape}" if is_array else f"a {type(numbers).__name__}"
        raise FirstdayError(f"{what} are {given}; give an array of numbers of the shape {shape}.")
    if np.isnan(numbers).any():
        first = ", ".join(map(str, np.argwhere(np.isnan(numbers))[0]))
        raise FirstdayError(f"{what} have NaN, first at [{first}]; give numbers.")
