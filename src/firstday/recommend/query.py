"""`Query` and `Answer`: input and output of a strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import polars as pl

from firstday.data.events import ITEM
from firstday.data.user_rows import take_rows
from firstday.display import readable
from firstday.errors import ConfigError, FirstdayError, count_of
from firstday.features.signal_batch import SignalBatch
from firstday.model.trained_model import FEW, TrainedModel
from firstday.ranking import mean_finite, rank_scores, score_by_vectors, take_lists, unit_rows
from firstday.recommend.rules.list_rules import NO_RULES, ItemRules, compile_rules
from firstday.sparse import SparseRows, contains, union_rows

if TYPE_CHECKING:
    from firstday.recommend.new_items.current_items import CurrentItems
    from firstday.recommend.new_items.new_items import NewItems

T = TypeVar("T")
MAX_PASSED_OVER = 0.5
"""Maximum probability that the user passed an item over at which a list may still contain it."""


@readable
@dataclass(frozen=True, eq=False)
class ComputedDays:
    """Day ones available only as features and mean vectors, without interactions, as in the paper's released data.

    `features`, shape (n_users, n_inputs), are the input of the network; `means`, shape (n_users, d), are the mean
    vectors of the items used on day one, zeros without items. Both are float32.
    """

    features: np.ndarray
    means: np.ndarray

    def stand_in(self, similarity: Literal["dot", "cosine"]) -> tuple[SparseRows, np.ndarray]:
        """Return users' liked stand-ins, shape (n_users, n_users), and the stand-ins' vectors, float32, (n_users, d).

        Each user has one, in place of the day-one items: their mean vector (unit length for cosine); liked unless zero.
        """
        liked = np.asarray(self.means.any(axis=1))
        rows = np.flatnonzero(liked)
        vectors = unit_rows(self.means) if similarity == "cosine" else self.means
        return SparseRows.from_pairs(rows, rows, None, len(liked), len(liked)), vectors

    def take(self, rows: np.ndarray) -> ComputedDays:
        """Return the day ones of some rows."""
        return ComputedDays(self.features[rows], self.means[rows])


@dataclass(eq=False)
class QueryCache:
    """What was computed for a query: from the signals, by property, and by methods, see `Query.derive`."""

    of_signals: dict[Any, Any] = field(default_factory=dict)
    of_methods: dict[Any, Any] = field(default_factory=dict)


def _take_arrays(values: Mapping[Any, Any], rows: np.ndarray) -> dict[Any, Any]:
    """Return the rows of arrays, which have one per user; other values are left out."""
    return {key: value[rows] for key, value in values.items() if isinstance(value, np.ndarray)}


class OfSignals(Generic[T]):
    """Property of a query that depends only on the users and their signals, kept in `Query.cache`."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __get__(self, query: Query, _owner: type) -> T:
        values = query.cache.of_signals
        try:
            return values[self]
        except KeyError:
            return values.setdefault(self, self.compute(query))


class LearnedScores(Protocol):
    """Learned value (what training returns, and the model stores) of a method that scores items by liked items."""

    def score(self, liked: SparseRows) -> np.ndarray:
        """Return scores, float32, shape (n_users, n_items), given the items liked so far, of the same shape.

        Items that the method cannot rank score minus infinity. If it knows none of a user's liked items, all do. The
        caller may overwrite the scores.
        """
        ...


@readable
@dataclass(frozen=True, eq=False)
class Query:
    """A batch of users to recommend to; results that several strategies need are computed once and cached.

    Parameters
    ----------
    model
        The trained model.
    signals
        The users' signals.
    k
        Length of the lists.
    keep_used
        Whether lists may contain items that the user has used, banned, or probably passed over.
    computed
        Precomputed features and mean vectors, in place of those derived from the signals.
    excluded_override
        Items to exclude per user, shape (n_users, n_items), in place of used and banned ones; items probably passed
        over are still excluded, unless `keep_used`.
    rules
        The service's rules, compiled for the current items, the same for all users of the query; None: no rules.
    current_items
        Items as they are now, and new ones, which are placed in the lists; None: those of the model. See
        `with_current_items`.
    new_items_excluded
        Items excluded per user because of what they did with new items, shape (n_users, n_items + n_new).
    current_signals
        The users' signals, with those on new items, as the catalogue of `current_items` reads them; None without such.
    moments
        Time as of which each user's list is made, in microseconds since 1970 UTC, int64, shape (n_users,); None: now.
    """

    model: TrainedModel
    signals: SignalBatch
    k: int
    keep_used: bool = False
    computed: ComputedDays | None = None
    excluded_override: SparseRows | None = None
    rules: ItemRules | None = None
    current_items: CurrentItems | None = None
    new_items_excluded: SparseRows | None = None
    current_signals: SignalBatch | None = None
    moments: np.ndarray | None = None
    cache: QueryCache = field(default_factory=QueryCache, init=False, repr=False)  # shared by `ask`, new in `replace`

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.signals.n_users

    @property
    def members_of_items(self) -> Mapping[str, SparseRows]:
        """For each entity of `items`, such as ``artist``, each item's members, shape (n_items, n_members)."""
        return self.model.members_of_items

    @property
    def item_columns(self) -> Mapping[str, pl.Series]:
        """Columns of `items` that filters read, by name, each of length n_items: booleans, numbers, texts or lists."""
        return self.model.catalogue.columns

    @cached_property
    def excluded(self) -> SparseRows:
        """Items excluded from each user's list, shape (n_users, n_items)."""
        if self.keep_used or not self.passed_over.n_entries:
            return self.always_excluded
        skipped = self.passed_over.keep(self.passed_over.weights > MAX_PASSED_OVER)
        return union_rows([self.always_excluded, skipped])

    @cached_property
    def always_excluded(self) -> SparseRows:
        """Used and rejected items, or `excluded_override`; nothing from impressions, shape (n_users, n_items)."""
        if self.excluded_override is not None:
            return self.excluded_override
        if self.keep_used:
            return SparseRows.empty(self.n_users, self.model.n_items)
        config = self.model.config.signals
        excluded = self.signals.excluded_items(config, self.members_of_items)
        if self.current_items is None or not any(self.signals.find_rejected(config, self.members_of_items)):
            return excluded
        of_members = self.current_items.of_model.items_of_members
        return union_rows([excluded, self.signals.excluded_items(config, self.members_of_items, of_members)])

    @property
    def new_items(self) -> NewItems | None:
        """New items that are placed in the lists; None if there are none."""
        return self.current_items.new if self.current_items and self.current_items.new else None

    @property
    def item_rules(self) -> ItemRules:
        """Compiled rules of the model's items; without rules, all that may be listed."""
        return self.list_rules.of_model

    @cached_property
    def list_rules(self) -> ItemRules:
        """Compiled rules of complete lists: those of the model's items, followed by new ones."""
        return self.rules or compile_rules(self.model, [NO_RULES], {}, self.current_items)

    @cached_property
    def list_excluded(self) -> SparseRows:
        """Items excluded from each user's complete list, shape (n_users, n_items + n_new)."""
        excluded = self.new_items_excluded
        if excluded is None:
            return self.excluded
        return union_rows([replace(self.excluded, n_columns=excluded.n_columns), excluded])

    @OfSignals
    def has_features(self) -> np.ndarray:
        """Mask of users with informative features, bool, shape (n_users,).

        True for users with an interaction that enters a feature block, a profile value that warm users have, an age
        close to a warm user's, a friend whose vector is part of the features, or, with `features.fold_in`, a liked
        item.
        """
        if self.computed is not None:
            return np.asarray(self.computed.features.any(axis=1))
        known: np.ndarray = self._has_signal | self._has_friends | self.has_profile
        if self.model.encoder.config.fold_in:
            known |= self.current_liked.lengths() > 0
        return known

    @property
    def has_profile(self) -> np.ndarray:
        """Mask of users with a profile value that warm users have, bool, shape (n_users,)."""
        has_value = np.zeros(self.n_users, dtype=bool)
        for codes in self.profile.values():
            has_value |= codes >= 0
        return has_value

    @OfSignals
    def _has_signal(self) -> np.ndarray:
        """Mask of users with an interaction that enters a feature block, bool, shape (n_users,)."""
        has_signal = np.zeros(self.n_users, dtype=bool)
        for pair, rows in self._all_signals.actions.items():
            if pair in self.model.encoder.read_pairs:
                has_signal |= rows.lengths() > 0
        return has_signal

    @property
    def friends(self) -> SparseRows:
        """Friends among the warm users that the model keeps, shape (n_users, n_kept)."""
        if self.signals.friends is not None:
            return self.signals.friends
        return SparseRows.empty(self.n_users, 0 if self.model.warm is None else len(self.model.warm))

    @property
    def _has_friends(self) -> np.ndarray:
        """Mask of users with a friend whose vector is part of the features, bool, shape (n_users,)."""
        encoder = self.model.signal_encoder
        reads_friends = encoder is not None and encoder.friend_vectors is not None
        return np.asarray(self.friends.lengths() > 0) & reads_friends

    @OfSignals
    def passed_over(self) -> SparseRows:
        """Probability that each user saw an item and passed it over, except liked items, shape (n_users, n_items)."""
        passed_over = self.signals.passed_over
        if passed_over is None:
            return SparseRows.empty(self.n_users, self.model.n_items)
        return passed_over.keep(~contains(self.liked, passed_over))

    @OfSignals
    def n_known(self) -> np.ndarray:
        """Number of liked items and of actions on other entities, int64, shape (n_users,).

        Actions on other entities count only if their pair has a feature block; an artist both streamed and favourited
        counts twice. The number is at least 1 for users with an action whose pair has a block, such as a skip of an
        item, and `FEW` for a non-empty precomputed day one.
        """
        if self.computed is not None:
            return np.where(self.has_features, FEW, 0)
        n_done = self.current_liked.lengths()
        for pair, rows in self._all_signals.actions.items():
            if pair in self.model.encoder.read_pairs and pair[1] != ITEM:
                n_done = n_done + rows.lengths()
        return np.maximum(n_done, self._has_signal)

    @OfSignals
    def knowledge(self) -> np.ndarray:
        """Class of each user by how much is known, as an index into `KNOWLEDGE`, int64, shape (n_users,)."""
        classes = [~self.has_features, self.n_known >= FEW, self.n_known > 0, self._has_friends]
        return np.select(classes, [0, 4, 3, 2], default=1)

    @OfSignals
    def profile(self) -> dict[str, np.ndarray]:
        """Codes per profile column, with ages as ``age``, each of shape (n_users,).

        -1 if the user has no value, or if no warm user has this value (for ages: a similar one).
        """
        profile = {}
        for name, codes in self.signals.profile.items():
            if group := self.model.shared_groups.get(name):
                has_users = group.sizes[codes] > 0
                profile[name] = np.where((codes >= 0) & has_users, codes, -1)
        return profile

    @OfSignals
    def features(self) -> np.ndarray:
        """Features, float32, shape (n_users, n_inputs)."""
        if self.computed is not None:
            return self.computed.features
        features = self.model.encoder.encode(self.signals, self.liked)
        if self.current_items is not None and self.current_signals is not None:
            users = self.current_items.find_users(self.current_signals)
            if len(users):
                features[users] = self.current_items.encode(self.current_signals.take(users))
        return features

    @OfSignals
    def predicted(self) -> np.ndarray:
        """Predicted mature vectors, float32, shape (n_users, d), unit length."""
        return self.model.cold.predict(self.features)

    def derive(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return `function(self, *arguments)`, computed once: from signals and learned values, whatever the rules.

        An array must have one row per user.
        """
        values = self.cache.of_methods
        if function not in values:
            values[function] = function(self, *arguments)
        return values[function]

    def predicted_by(self, method: str) -> np.ndarray:
        """Return vectors as in `predicted`, by another cold model; raise ConfigError if it was not trained."""
        liked = self.liked
        vectors = self.model.scoring_vectors
        if self.computed is not None:
            liked, vectors = self.computed.stand_in(self.model.similarity)
        predicted: np.ndarray = self.learned(method).predict(self.features, liked, vectors)
        check_numbers(f"cold model {method!r}: vectors", predicted, (self.n_users, vectors.shape[1]))
        return predicted

    @OfSignals
    def nearest_segments(self) -> np.ndarray:
        """Segment nearest to each predicted vector, int64, shape (n_users,)."""
        return np.asarray(self.closeness.argmax(axis=1))

    @OfSignals
    def closeness(self) -> np.ndarray:
        """Closeness of each segment to the predicted vectors, shape (n_users, n_segments); see `Segments.closeness`."""
        return self.model.segments.closeness(self.predicted)

    @OfSignals
    def liked(self) -> SparseRows:
        """Positive affinities, shape (n_users, n_items)."""
        return self.signals.affinity(self.model.config.signals)

    @property
    def _all_signals(self) -> SignalBatch:
        """The signals, with those on new items."""
        return self.current_signals or self.signals

    @OfSignals
    def current_liked(self) -> SparseRows:
        """Like `liked`, with the new items, if there are any, shape (n_users, n_items + n_new)."""
        if self.current_signals is None:
            return self.liked
        return self.current_signals.affinity(self.model.config.signals)

    @OfSignals
    def liked_means(self) -> np.ndarray:
        """Mean vectors of the liked items, float32, shape (n_users, d), zeros without liked items."""
        if self.computed is not None:
            return self.computed.means
        return self.liked.mean_vectors(self.model.fold_in.item_vectors)

    def learned(self, name: str) -> Any:
        """Return the learned value of a method: what its `fit`, or the function from `OptionSearch.prepare`, returned.

        Raises
        ------
        ConfigError
            The model holds no value of that method.
        """
        if name not in self.model.learned:
            raise ConfigError(
                f"method {name!r}: the model has no learned value for it; define its fit or search, and train with "
                f"methods = [{name!r}]."
            )
        return self.model.learned[name]

    def rank_scores(
        self, score: Callable[[np.ndarray], np.ndarray], route: str, answered: np.ndarray | None = None
    ) -> Answer:
        """Rank items by scores.

        Parameters
        ----------
        score
            Maps user rows, shape (m,), to scores, float32, shape (m, n_items), which may be overwritten; items with a
            score of minus infinity are not listed.
        route, answered
            See `Answer.from_lists`. By default, users with a listed item are answered.
        """
        levels = np.zeros(self.n_users, dtype=np.float32)

        def score_listed(rows: np.ndarray) -> np.ndarray:
            scores = score(rows)
            check_numbers(f"strategy {route!r}: scores", scores, (len(rows), self.model.n_items))
            levels[rows] = mean_finite(scores[:, self.model.reference_items])
            scores[:, ~self.item_rules.allowed] = -np.inf
            return scores

        items, scores = rank_scores(score_listed, self.excluded, self.k)
        has_items = items[:, 0] >= 0
        return Answer.from_lists(has_items if answered is None else answered, route, items, scores, levels)

    def rank_learned(self, method: str) -> Answer:
        """Rank items by a method's learned value, which must implement `LearnedScores`.

        Users without a liked item that the value knows are left unanswered.
        """
        value: LearnedScores = self.learned(method)
        answer = self.rank_scores(lambda rows: value.score(self.liked.take(rows)), method)
        return replace(answer, routes=np.where(self.liked.lengths() > 0, answer.routes, ""))

    def rank_by_vectors(self, vectors: np.ndarray, route: str, answered: np.ndarray) -> Answer:
        """Rank items by dot product with the users' vectors, shape (n_users, d); see `Answer.from_lists`."""
        items = self.model.scoring_vectors
        absent = self.model.without_vector
        return self.rank_scores(lambda rows: score_by_vectors(vectors[rows], items, absent), route, answered)

    def take_lists(
        self, lists: np.ndarray, scores: np.ndarray, choice: np.ndarray, route: str, answered: np.ndarray
    ) -> Answer:
        """Give each user one of several ranked lists, without excluded items.

        `lists` has items, best first, -1 after the last one, and `scores` their scores, shape (n_lists, m); `choice` is
        the index of each user's list, integers, shape (n_users,).
        """
        is_restricted = self.rules is not None or self.current_items is not None
        allowed = self.item_rules.allowed if is_restricted else None
        items, scores = take_lists(lists, scores, choice, self.excluded, self.k, allowed)
        return Answer.from_lists(answered, route, items, scores)

    def with_current_items(self, current: CurrentItems, signals: SignalBatch) -> Query:
        """Return the query about items as they are now, given the signals as their catalogue reads them."""
        config = self.model.config.signals
        excluded = SparseRows.empty(signals.n_users, signals.n_items)
        if not self.keep_used:
            excluded = signals.excluded_items(config, self.members_of_items, current.items_of_members)
            if (passed_over := signals.passed_over) is not None:
                excluded = union_rows([excluded, passed_over.keep(passed_over.weights > MAX_PASSED_OVER)])
        return replace(self, current_items=current, new_items_excluded=excluded, current_signals=signals)

    def without(self, listed: SparseRows) -> Query:
        """Return the query without the items of other lists, shape (n_users, n_items + n_new)."""
        excluded = self.new_items_excluded
        if excluded is not None:
            excluded = union_rows([excluded, listed])
            listed = listed.keep_columns(np.arange(self.model.n_items))
        return self.ask(excluded_override=union_rows([self.always_excluded, listed]), new_items_excluded=excluded)

    @cached_property
    def without_impressions(self) -> Query:
        """The same query without impressions."""
        if self.signals.passed_over is None:
            return self
        return replace(self, signals=replace(self.signals, passed_over=None))

    def ask(self, **changes: Any) -> Query:
        """Return the query with another `k`, `rules` or `excluded_override`; cached results of the signals are kept.

        Another `model` must read signals, and predict, as this one does.
        """
        query = replace(self, **changes)
        query.cache.of_signals = self.cache.of_signals
        if "model" not in changes:
            query.cache.of_methods = self.cache.of_methods
        return query

    def take(self, rows: np.ndarray) -> Query:
        """Return the query for some rows, itself for all; cached arrays, which have one row per user, are kept."""
        if np.array_equal(rows, np.arange(self.n_users)):
            return self
        of_users = ("signals", "computed", "excluded_override", "new_items_excluded", "current_signals", "moments")
        query = replace(self, **take_rows({name: getattr(self, name) for name in of_users}, rows))
        query.cache.of_signals = _take_arrays(self.cache.of_signals, rows)
        query.cache.of_methods = _take_arrays(self.cache.of_methods, rows)
        return query


@readable
@dataclass(frozen=True, eq=False)
class Answer:
    """The lists of a strategy.

    Parameters
    ----------
    items
        int32, shape (n_users, k), best first, -1 after the last item of a shorter list.
    scores
        float32, shape (n_users, k).
    routes
        Name of the strategy that made each list, or a custom name, shape (n_users,); "" if it cannot answer the user.
    n_ranked
        Set by the recommender: last rank of each list, from 1, that is filled by the route's ranking or a pin, 0 if
        none is; integers, shape (n_users,). Popular items fill the ranks after it, with score 0.
    scales
        Set by the recommender: scale of each list's scores, such as ``share of the segment``, shape (n_users,).
    propensities
        Probability that the strategy shows each item at its rank, given the ranks above, float32, shape (n_users, k).
        Empty: the strategy is deterministic, all are 1.
    levels
        Mean score of the model's `reference_items`, whatever the rules, by which `Calibration` compares users, float32,
        shape (n_users,). Empty: all are 0.
    """

    items: np.ndarray
    scores: np.ndarray
    routes: np.ndarray
    n_ranked: np.ndarray = field(default_factory=partial(np.zeros, 0))
    scales: np.ndarray = field(default_factory=partial(np.zeros, 0))
    propensities: np.ndarray = field(default_factory=partial(np.zeros, 0))
    levels: np.ndarray = field(default_factory=partial(np.zeros, 0))

    def take(self, rows: np.ndarray) -> Answer:
        """Return the lists of some users."""
        return Answer(*(array[rows] if len(array) else array for array in vars(self).values()))

    @classmethod
    def join(cls, parts: Sequence[tuple[np.ndarray, Answer]]) -> Answer:
        """Concatenate answers for disjoint rows that cover all users; all must set the same optional fields."""
        order = np.argsort(np.concatenate([rows for rows, _ in parts]))
        fields = zip(*(vars(answer).values() for _, answer in parts), strict=True)
        arrays = map(np.concatenate, fields)
        return cls(*(array[order] if len(array) else array for array in arrays))

    @classmethod
    def from_lists(
        cls, answered: np.ndarray, route: str, items: np.ndarray, scores: np.ndarray, levels: np.ndarray | None = None
    ) -> Answer:
        """Return an answer with route `route` where the mask `answered`, bool, shape (n_users,), is True, else ""."""
        routes = np.where(answered, route, "").astype(object)
        return cls(items, scores, routes, levels=np.zeros(len(routes), np.float32) if levels is None else levels)


def check_numbers(
    what: str,
    numbers: Any,
    shape: tuple[int, ...],
    kinds: Literal["iu", "fiu"] = "fiu",
    *,
    unwanted: Literal["NaN", "infinity"] = "NaN",
) -> None:
    """Raise FirstdayError unless a value is a numeric array of the given shape, without NaN, or without infinity."""
    if not isinstance(numbers, np.ndarray) or numbers.shape != shape or numbers.dtype.kind not in kinds:
        kind = getattr(numbers, "dtype", type(numbers).__name__)
        expected = "integers" if kinds == "iu" else "numbers"
        raise FirstdayError(
            f"{what} are {kind} of shape {np.shape(numbers)}; return an array of {expected} of shape {shape}."
        )
    is_unwanted = np.isnan(numbers) if unwanted == "NaN" else np.isinf(numbers)
    if is_unwanted.any():
        places = np.argwhere(is_unwanted)
        found = count_of(len(places), numbers.size, "values")
        raise FirstdayError(f"{what} contain {unwanted} ({found}, first at {places[0].tolist()}); return numbers.")
