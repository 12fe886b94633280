"""`Recommender`: a trained model that recommends to one or many users with any strategy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from firstday.artifact.folder import KEEP, load_model, save_model
from firstday.artifact.trained_model import TrainedModel
from firstday.display import readable
from firstday.errors import ConfigError, DataError, expect
from firstday.features.encoder import understand_picks
from firstday.features.signals import Signals
from firstday.ranking import first_allowed, first_distinct
from firstday.recommend.effects import describe_ineffective
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommendation import Recommendation, Recommendations
from firstday.recommend.registry import find_strategy, find_supported, value_type
from firstday.recommend.rules.arrangement import arrange
from firstday.recommend.rules.list_rules import (
    NO_RULES,
    AnyRules,
    ItemRules,
    Row,
    Rules,
    compile_rules,
    read_layers,
)
from firstday.recommend.scales import scale_answer
from firstday.recommend.spec import FALLBACKS, Strategy
from firstday.recommend.strategies.popularity import POPULAR
from firstday.sparse import SparseRows, union_rows

REACH = 2_000
"""Minimum length of the rankings that rules rearrange."""


def answer_all(query: Query, strategy: str | Strategy) -> Answer:
    """Answer all users with a strategy, given by name or as a function, under the rules of the query.

    Every user gets a route and k distinct items, or fewer if the rules and the user's history leave fewer. Fallbacks
    answer users whom the strategy cannot answer, and popular items fill short lists up.
    """
    rules = query.item_rules
    if rules.factors is None and not (rules.caps or rules.pins or rules.after):
        return _answer(query, strategy)
    n_allowed = max(1, len(rules.popular))
    needs_all = bool(rules.pins) or rules.factors is not None
    n_first = n_allowed if needs_all else min(max(rules.after + query.k, REACH), n_allowed)
    for n_ranking in dict.fromkeys((n_first, n_allowed)):
        long_query = query.ask(k=n_ranking)
        answer = arrange(long_query, _answer(long_query, strategy), query.k)
        if (answer.items >= 0).all():  # otherwise search the rest of the ranking for items that the caps leave room for
            break
    return answer


def _answer(query: Query, strategy: str | Strategy) -> Answer:
    """Answer users with the strategy or, if it cannot answer them, with fallbacks; fill up short lists."""
    recommend = find_supported(strategy, query.model).recommend if isinstance(strategy, str) else strategy
    answer = recommend(query)
    items = answer.items.copy()
    scores = answer.scores.copy()
    routes = answer.routes.copy()
    propensities = answer.propensities.copy() if answer.propensities.size else np.ones(items.shape, dtype=np.float32)
    for name in FALLBACKS:
        unanswered = np.flatnonzero(routes == "")
        if len(unanswered):
            fallback = find_strategy(name).recommend(query.take(unanswered))
            items[unanswered], scores[unanswered], propensities[unanswered] = fallback.items, fallback.scores, 1
            routes[unanswered] = fallback.routes
    listed = (items >= 0) & query.item_rules.allowed[items]
    if (listed != (items >= 0)).any():  # third-party strategies may ignore the rules
        _, propensities = first_allowed(items, propensities, listed, query.k)
        items, scores = first_allowed(items, scores, listed, query.k)
    n_ranked = (items >= 0).sum(axis=1)
    for relaxed in dict.fromkeys((query, query.without_impressions)):  # items passed over only if nothing else is left
        short = np.flatnonzero((items < 0).any(axis=1))
        if len(short):
            items[short], scores[short] = _fill_up(items[short], scores[short], relaxed.take(short))
    propensities[np.arange(query.k) >= n_ranked[:, None]] = 1  # filling up is deterministic
    return scale_answer(query, Answer(items, scores, routes, n_ranked, propensities=propensities))


def _fill_up(items: np.ndarray, scores: np.ndarray, query: Query) -> tuple[np.ndarray, np.ndarray]:
    """Fill up short lists with popular items, with score 0."""
    popular = POPULAR.recommend(query).items  # k suffice: each one already listed leaves one rank fewer to fill
    both_scores = np.concatenate([scores, np.zeros_like(scores)], axis=1)
    return first_distinct(np.concatenate([items, popular], axis=1), both_scores, query.k)


def _explain_route(query: Query, row: int, strategy: str, route: str) -> tuple[str, ...]:
    """Explain in one sentence why a fallback answered a user; empty if none did."""
    if strategy == "auto":
        strategy = query.model.selection.best_of(query.knowledge[row])
    if route == strategy or route not in FALLBACKS:
        return ()
    return (f"answered with {route}: {strategy} can use none of this user's signals",)


def answer_under_rules(
    query: Query, strategy: str | Strategy, layers: Sequence[Rules], profile: Callable[[int], Mapping[str, Any]]
) -> tuple[Answer, list[list[str]]]:
    """Return lists under rules, with scaled scores, and notes on the rules for each user.

    `profile` maps a user's row to the user's profile. Users who agree in every value that the filters read are answered
    together.
    """
    if all(rules == NO_RULES for rules in layers) or not query.n_users:
        return answer_all(query, strategy), [[]] * query.n_users
    names = {name for rules in layers for name in rules.names}
    users: dict[str, list[int]] = defaultdict(list)
    for row in range(query.n_users):
        of_user = profile(row) if names else {}
        users[str([of_user.get(name) for name in names])].append(row)
    parts = []
    for rows in map(np.array, users.values()):
        rules = compile_rules(query.model, layers, profile(rows[0]))
        part = (query if len(rows) == query.n_users else query.take(rows)).ask(rules=rules)
        parts.append((rows, answer_all(part, strategy)))
    answer = Answer.join(parts)
    counts = zip((answer.items >= 0).sum(axis=1), answer.n_ranked, strict=True)
    return answer, [_describe_rules(query.k, rules, *of_user) for of_user in counts]


def _describe_rules(k: int, rules: ItemRules, n_listed: int, n_ranked: int) -> list[str]:
    """Describe ids that are unknown, ranks that are filled up and ranks that are empty."""
    notes = {
        f"{rules.n_unknown:,} ids of the rules are unknown to the model": rules.n_unknown > 0,  # the same for all users
        f"popular fills the list up from rank {rules.after + n_ranked + 1:,}": n_ranked < n_listed,
        f"the rules and the user's history leave {n_listed:,} items for {k:,} ranks": n_listed < k,
    }
    return [note for note, holds in notes.items() if holds]


def check_length(model: TrainedModel, k: int | None) -> int:
    """Return `k` or the configured length, at most the number of items; raise ConfigError if `k` is invalid."""
    length = model.config.recommend.k if k is None else k
    if isinstance(length, bool) or not isinstance(length, Integral) or length < 1:
        raise ConfigError(f"is {length!r}; give an integer of at least 1.", where="k")
    return min(int(length), model.n_items)


@readable
@dataclass(frozen=True, eq=False)
class Recommender:
    """A trained model, ready to recommend.

    Parameters
    ----------
    model
        The trained model.
    """

    model: TrainedModel

    def __post_init__(self) -> None:
        expect("model", self.model, TrainedModel, "a trained model; fd.open_model('model/') opens a folder")

    def recommend(
        self,
        user: Signals | Mapping[str, Any],
        k: int | None = None,
        strategy: str | None = None,
        *,
        keep_used: bool = False,
        rules: AnyRules = None,
    ) -> Recommendation:
        """Recommend to one user, with or without known signals.

        Parameters
        ----------
        user
            What is known, as `Signals` or an equivalent dictionary. Values unknown to the model are reported in
            `Recommendation.ignored`.
        k
            Length of the list; defaults to the configured length (50). The list is shorter only if the catalogue, the
            rules and the user's history leave fewer items.
        strategy
            Name of a strategy; defaults to the configured one (`auto`).
        keep_used
            Whether the list may contain items that the user has used, banned, or probably passed over.
        rules
            The service's rules, as `Rules`, an equivalent dictionary, or a list. In a list, each `filter`, `allow` and
            `deny` applies; boosts multiply; later `cap`, `lists` and `context` win, and the last `pin` and `after`.

        Raises
        ------
        ConfigError
            The strategy is unknown, the model lacks what it needs, k is below 1, or a rule is invalid.
        DataError
            The signals are invalid.
        """
        return self.answer_users([Signals.of(user)], k, strategy, keep_used=keep_used, rules=rules).row(0)

    def recommend_rows(
        self,
        user: Signals | Mapping[str, Any],
        rows: Sequence[Row | Mapping[str, Any]],
        k: int | None = None,
        strategy: str | None = None,
        *,
        keep_used: bool = False,
        rules: AnyRules = None,
    ) -> dict[str, Recommendation]:
        """Recommend the rows of a page: several lists without common items; earlier rows choose first.

        Parameters
        ----------
        user, k, strategy, keep_used
            See `recommend`.
        rows
            Name, length and rules of each row, as `Row` or an equivalent dictionary.
        rules
            Rules of all rows, in addition to their own.

        Returns
        -------
        dict
            The list of each row, by name, in order.
        """
        named = [Row.of(row) for row in rows]
        layers = read_layers(rules)
        names = [row.name for row in named]
        if len(set(names)) < len(names):
            raise ConfigError("two rows have the same name; give each its own.", where="rows")
        lists = [(row.k or k, [*layers, row]) for row in named]
        answers = self._answer_lists([Signals.of(user)], lists, strategy, keep_used=keep_used)
        return {name: answered.row(0) for name, answered in zip(names, answers, strict=True)}

    def recommend_users(
        self,
        users: Mapping[Any, Signals | Mapping[str, Any]] | Sequence[Signals | Mapping[str, Any]],
        k: int | None = None,
        strategy: str | None = None,
        *,
        keep_used: bool = False,
        rules: AnyRules = None,
    ) -> Recommendations:
        """Recommend to several users: same results as `recommend`, at a fraction of the cost per user.

        Parameters
        ----------
        users
            What is known about each user, by user id. In a sequence, the id is the `user_id` of the signals, or else
            the index, from 0.
        k, strategy, keep_used, rules
            See `recommend`.

        Returns
        -------
        Recommendations
            By the caller's ids, in input order.

        Raises
        ------
        ConfigError
            The strategy is unknown, the model lacks what it needs, k is below 1, or a rule is invalid.
        DataError
            A user id is repeated, or a user's signals are invalid.

        Examples
        --------
        >>> lists = recommender.recommend_users({"u1": {"age": 24}, "u2": {}})  # doctest: +SKIP
        >>> lists["u1"].items[0].item_id  # doctest: +SKIP
        >>> lists.to_frame()  # doctest: +SKIP
        """
        has_ids = isinstance(users, Mapping)
        named = users.items() if isinstance(users, Mapping) else enumerate(users)
        signals = []
        user_ids = []
        for name, given in named:
            try:
                user = Signals.of(given)
            except DataError as error:
                raise DataError(f"users[{name!r}]: {error}") from None
            signals.append(user.copy(user_id=name) if has_ids and user.user_id is None else user)
            user_ids.append(name if has_ids or user.user_id is None else user.user_id)
        if len(set(user_ids)) < len(user_ids):
            ((repeated, _),) = Counter(user_ids).most_common(1)
            raise DataError(f"users: {repeated!r} occurs more than once; give each user once.")
        asked = self.answer_users(signals, k, strategy, keep_used=keep_used, rules=rules)
        return replace(asked, user_ids=user_ids)

    def answer_users(
        self,
        users: Sequence[Signals],
        k: int | None = None,
        strategy: str | None = None,
        *,
        keep_used: bool = False,
        rules: AnyRules = None,
    ) -> Recommendations:
        """Recommend to several users, who may have the same id."""
        return next(self._answer_lists(users, [(k, read_layers(rules))], strategy, keep_used=keep_used))

    def _answer_lists(
        self,
        users: Sequence[Signals],
        lists: Sequence[tuple[int | None, Sequence[Rules]]],
        strategy: str | None,
        *,
        keep_used: bool,
    ) -> Iterator[Recommendations]:
        """Yield the lists of all users for each length and rules; later lists exclude the items of earlier ones."""
        model = self.model
        strategy = strategy or self.model.config.recommend.strategy
        if model.signal_encoder is not None:
            users = [understand_picks(model.signal_encoder, user) for user in users]
        batch, unknown = model.read_signals(users)
        query = Query(model, batch, 1, keep_used)
        segments = np.full(len(users), -1, dtype=np.int64)
        if query.has_features.any():  # predicts for all users at once; `Query.take` keeps the cached rows
            segments = np.where(query.has_features, query.nearest_segments, -1)
        profiles = [{"age": user.age, **user.groups} for user in users]
        for k, layers in lists:
            query = query.ask(k=check_length(model, k))
            answer, about_rules = answer_under_rules(query, strategy, layers, profiles.__getitem__)
            unused, excluding = describe_ineffective(query, strategy, answer.routes)
            ignored = [(*sentences, *others) for sentences, others in zip(unknown, unused, strict=True)]
            routes = [_explain_route(query, row, strategy, route) for row, route in enumerate(answer.routes)]
            notes = [tuple(chain(*of_user)) for of_user in zip(routes, excluding, about_rules, strict=True)]
            yield Recommendations(model, strategy, answer, segments, ignored, notes, [user.user_id for user in users])
            listed = SparseRows.from_lists([items[items >= 0] for items in answer.items], model.n_items)
            query = query.ask(excluded_override=union_rows([query.always_excluded, listed]))

    def _repr_facts_(self) -> Mapping[str, Any]:
        return self.model._repr_facts_()

    def save(self, path: str | Path, *, keep: int = KEEP) -> Path:
        """Write the model to a folder, atomically: a concurrent reader sees either the old or the new model.

        Parameters
        ----------
        path
            The folder: new, empty, or holding an older model, which is replaced.
        keep
            Number of versions to keep for `rollback`, including this one; older ones are removed.

        Raises
        ------
        ArtifactError
            The folder holds something else, or cannot be written.
        """
        return save_model(self.model, path, keep=keep)


def open_model(path: str | Path) -> Recommender:
    """Open a model folder, ready to recommend; arrays are read lazily.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    ArtifactError
        The folder contains no model, or a file is missing or has changed; the message names it.
    """
    return Recommender(load_model(path, types=value_type))
