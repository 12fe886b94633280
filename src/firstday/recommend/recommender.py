"""`Recommender`: a trained model that recommends to one or many users with any strategy."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from firstday.data.newcomers import load_items
from firstday.display import readable
from firstday.errors import ConfigError, DataError, expect
from firstday.features.encoder import understand_picks
from firstday.features.signals import Signals
from firstday.model.folder import KEEP, load_model, save_model
from firstday.model.trained_model import TrainedModel
from firstday.ranking import first_allowed, first_distinct
from firstday.recommend.added_items import AddedItems, ListedItems
from firstday.recommend.arrangement import arrange
from firstday.recommend.effects import describe_ineffective
from firstday.recommend.placement import place_additions
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommendation import Recommendation, Recommendations
from firstday.recommend.registry import find_method, find_strategy
from firstday.recommend.rules.list_rules import (
    NO_RULES,
    AnyRules,
    ItemRules,
    Row,
    Rules,
    compile_rules,
    is_compiled,
    read_layers,
)
from firstday.recommend.scales import scale_answer
from firstday.recommend.similar import SIMILAR, recommend_similar
from firstday.recommend.spec import FALLBACKS, Strategy
from firstday.recommend.support import LOAD, fallback_of, find_supported, value_type
from firstday.sparse import SparseRows, union_rows

AnySignals = Signals | Mapping[str, Any]
"""Signals of one user, or an equivalent dictionary."""
REACH = 2_001
"""Minimum length of the rankings that rules rearrange: more than `blend` ranks."""


def answer_query(
    query: Query,
    strategy: str | Strategy,
    layers: Sequence[Rules] = (),
    profile: Callable[[int], Mapping[str, Any]] = lambda _row: {},
) -> Answer:
    """Answer all users of a query with a strategy, given by name or as a function, under rules.

    Every user gets a route and k distinct items, or fewer if the rules and the user's history leave fewer. Fallbacks
    answer users whom the strategy cannot answer, and popular items fill short lists up. Scores are on the scale of the
    route.

    `layers` are rules in addition to those of the query, and `profile` maps a user's row to the user's profile. Users
    who agree in every value that the filters read are answered together.
    """
    if all(rules == NO_RULES for rules in layers) or not query.n_users:
        return _answer_together(query, strategy)
    names = {name for rules in layers for name in rules.names}
    users: dict[str, list[int]] = defaultdict(list)
    for row in range(query.n_users):
        of_user = profile(row)
        users[str([of_user.get(name) for name in names])].append(row)
    parts = []
    for rows in map(np.array, users.values()):
        part = query if len(rows) == query.n_users else query.take(rows)
        part = part.ask(rules=compile_rules(query.model, layers, profile(rows[0])))
        if part.added is not None:
            part = part.ask(listed_rules=compile_rules(part.added, layers, profile(rows[0])))
        parts.append((rows, _answer_together(part, strategy)))
    return Answer.join(parts)


def _answer_together(query: Query, strategy: str | Strategy) -> Answer:
    """Answer users under the compiled rules of the query, which may rearrange a longer ranking."""
    rules = query.list_rules
    reads_scores = bool(rules.pins) or rules.factors is not None
    if not (reads_scores or rules.caps or rules.after):
        return place_additions(query, _rank(query, strategy))
    n_allowed = max(1, rules.n_allowed)
    n_first = min(max(rules.after + query.k, REACH), n_allowed)
    for n_ranking in dict.fromkeys((n_first, n_allowed)):
        long_query = query.ask(k=n_ranking)
        ranking = place_additions(long_query, _rank(long_query, strategy))
        is_cut = n_ranking < n_allowed and bool((ranking.n_ranked == n_ranking).any())
        answer = arrange(long_query, ranking, query.k)
        # Otherwise search the rest for items that boosts raise, or that the caps leave room for.
        if (answer.items >= 0).all() and not (reads_scores and is_cut):
            break
    return answer


def _rank(query: Query, strategy: str | Strategy) -> Answer:
    """Answer users with the strategy or, if it cannot answer them, with fallbacks; fill up short lists."""
    recommend = find_supported(strategy, query.model).recommend if isinstance(strategy, str) else strategy
    answer = recommend(query)
    items = answer.items.copy()
    scores = answer.scores.copy()
    routes = answer.routes.copy()
    propensities = np.ones(items.shape, dtype=np.float32)
    if answer.propensities.size:
        propensities[:] = answer.propensities
    levels = answer.levels if answer.levels.size else np.zeros(query.n_users, dtype=np.float32)
    fallback = fallback_of(query.model)
    for name in ("group", fallback):
        unanswered = np.flatnonzero(routes == "")
        if len(unanswered):
            answered = find_strategy(name).recommend(query.take(unanswered))
            items[unanswered] = answered.items
            scores[unanswered] = answered.scores
            routes[unanswered] = answered.routes
            propensities[unanswered] = 1
    is_listed = (items >= 0) & query.list_rules.allowed[items]  # third-party strategies may ignore the rules
    _, propensities = first_allowed(items, propensities, is_listed, query.k)
    items, scores = first_allowed(items, scores, is_listed, query.k)
    n_ranked = (items >= 0).sum(axis=1)
    propensities[np.arange(query.k) >= n_ranked[:, None]] = 1  # filling up is deterministic
    for relaxed in dict.fromkeys((query, query.without_impressions)):  # items passed over only if nothing else is left
        short = np.flatnonzero((items < 0).any(axis=1))
        if len(short):
            popular = find_strategy(fallback).recommend(relaxed.take(short)).items
            candidates = np.concatenate([items[short], popular], axis=1)
            items[short], _ = first_distinct(candidates, candidates, query.k)
    return scale_answer(query, Answer(items, scores, routes, n_ranked, propensities=propensities, levels=levels))


def _explain(
    query: Query, strategy: str, answer: Answer, row: int, effects: Sequence[str], rules: ItemRules | None
) -> Iterator[str]:
    """Yield notes on one list: why a fallback answered, then `effects`, then remarks on the rules, if any."""
    route = answer.routes[row]
    delegates = None if strategy == SIMILAR else find_strategy(strategy).delegates
    if delegates is not None:
        strategy = query.per_user(delegates)[row]
    if route in FALLBACKS and route != strategy:
        why = f"{strategy} can use none of this user's signals"
        if strategy == SIMILAR:
            why = "the model knows nothing that goes with the item and may be listed"
        yield f"answered with {route}: {why}"
    yield from effects
    if rules is None:
        return
    items = answer.items[row]
    n_ranked = answer.n_ranked[row]
    n_listed = (items >= 0).sum()
    end = rules.after + query.k
    yield from rules.notes
    for rank, item in rules.pins.items():
        if rank >= rules.after and item not in items:
            why = f"beyond the last rank, {end:,}" if rank >= end else "left out by the rules or the user's history"
            yield f"the item pinned at rank {rank + 1:,} is {why}"
    if n_ranked < n_listed:
        yield f"{fallback_of(query.model)} fills the list up from rank {rules.after + n_ranked + 1:,}"
    if n_listed < query.k:
        yield f"the rules and the user's history leave {n_listed:,} items for {query.k:,} ranks"


def _profile_of(user: Signals) -> dict[str, Any]:
    """Return what filters read as ``user.NAME``."""
    return {"age": user.age, **user.groups}


def check_length(model: TrainedModel, k: int | None) -> int:
    """Return `k` or the configured length, at most the number of items; raise ConfigError if `k` is invalid."""
    length = model.config.recommend.k if k is None else k
    if isinstance(length, bool) or not isinstance(length, Integral) or length < 1:
        raise ConfigError(f"is {length!r}; give an integer of at least 1.", where="k")
    return min(int(length), model.n_items)


def find_item(items: ListedItems, item: Any) -> int:
    """Return the index of an item, given its id; raise ConfigError if there is none."""
    index = items.catalogue.items.index_of(item)
    if index < 0:
        raise ConfigError(f"{item!r} is unknown to the model; give the id of an item.", where="item", code="not_found")
    return index


@readable
@dataclass(frozen=True, eq=False)
class Recommender:
    """A trained model, ready to recommend.

    Parameters
    ----------
    model
        The trained model.
    added
        Items added since training; see `with_items`.
    """

    model: TrainedModel
    added: AddedItems | None = None

    def __post_init__(self) -> None:
        expect("model", self.model, TrainedModel, "a trained model; fd.open_model('model/') opens a folder")

    @property
    def listed_items(self) -> ListedItems:
        """The items that lists consist of: those of the model, and those added."""
        return self.added or self.model

    def recommend(
        self,
        user: AnySignals,
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
        lists = [(k, read_layers(rules))]
        return next(self.answer_lists([Signals.of(user)], lists, strategy, keep_used=keep_used)).row(0)

    def similar(
        self,
        item: Any,
        k: int | None = None,
        user: AnySignals | None = None,
        *,
        keep_used: bool = False,
        rules: AnyRules = None,
    ) -> Recommendation:
        """Recommend what goes with an item: what people use together with it, most of all on the same day.

        Popular items follow. The route is ``used_together``; ``nearest``, for items with near vectors, if nobody used
        the item together with another one that may be listed; or a fallback if it has no vector, either. Items added
        since training have predicted vectors.

        Parameters
        ----------
        item
            Id of the item.
        k, keep_used, rules
            See `recommend`.
        user
            What is known about the user: raises what the user probably likes, and excludes what the user has used.

        Raises
        ------
        ConfigError
            The item is unknown, k is below 1, or a rule is invalid.
        DataError
            The signals are invalid.
        """
        lists = [(k, read_layers(rules))]
        index = find_item(self.listed_items, item)
        return next(self.answer_lists([Signals.of(user or {})], lists, None, keep_used=keep_used, item=index)).row(0)

    def recommend_rows(
        self,
        user: AnySignals,
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
        named = {row.name: row for row in map(Row.of, rows)}
        if len(named) < len(rows):
            raise ConfigError("two rows have the same name; give each its own.", where="rows")
        layers = read_layers(rules)
        lists = [(row.k or k, [*layers, row]) for row in named.values()]
        answers = self.answer_lists([Signals.of(user)], lists, strategy, keep_used=keep_used)
        return {name: answer.row(0) for name, answer in zip(named, answers, strict=True)}

    def recommend_users(
        self,
        users: Mapping[Any, AnySignals] | Sequence[AnySignals],
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
        signals: dict[Any, Signals] = {}
        for name, given in named:
            try:
                user = Signals.of(given)
            except DataError as error:
                raise DataError(f"users[{name!r}]: {error}") from None
            user_id = name if has_ids or user.user_id is None else user.user_id
            if user_id in signals:
                raise DataError(f"users: {user_id!r} occurs more than once; give each user once.")
            signals[user_id] = user.copy(user_id=name) if has_ids and user.user_id is None else user
        lists = [(k, read_layers(rules))]
        found = next(self.answer_lists(list(signals.values()), lists, strategy, keep_used=keep_used))
        return replace(found, user_ids=list(signals))

    def answer_lists(
        self,
        users: Sequence[Signals],
        lists: Sequence[tuple[int | None, Sequence[Rules]]],
        strategy: str | None,
        *,
        keep_used: bool,
        item: int | None = None,
    ) -> Iterator[Recommendations]:
        """Yield the lists of all users for each length and rules; later lists exclude the items of earlier ones.

        Several users may have the same id. With an item, given by index, lists have what goes with it.
        """
        model = self.model
        strategy = strategy or model.config.recommend.strategy
        if model.signal_encoder is not None:
            users = [understand_picks(model.signal_encoder, user) for user in users]
        batch, unknown = model.read_signals(users)
        query = Query(model, batch, 1, keep_used)
        if self.added is not None and item is None:
            of_listed, unknown = self.added.catalogue.read(users, model.config.signals)
            query = query.with_added(self.added, of_listed)
        recommend: str | Strategy = strategy
        if item is not None:
            strategy = SIMILAR
            vectors = [] if self.added is None else self.added.vectors[self.added.index == item]
            recommend = partial(recommend_similar, item=item, vector=next(iter(vectors), None))
            itself = SparseRows.from_lists([[item] if item < model.n_items else []] * len(users), model.n_items)
            query = query.ask(excluded_override=union_rows([query.always_excluded, itself]))
        segments = np.full(len(users), -1, dtype=np.int64)
        if query.has_features.any():  # predicts for all users at once; `Query.take` keeps the cached rows
            segments = np.where(query.has_features, query.nearest_segments, -1)
        profiles = list(map(_profile_of, users))
        for k, layers in lists:
            query = query.ask(k=check_length(model, k))
            answer = answer_query(query, recommend, layers, profiles.__getitem__)
            unused, excluding = describe_ineffective(query, strategy, answer.routes)
            ignored = [(*sentences, *others) for sentences, others in zip(unknown, unused, strict=True)]
            has_rules = bool(users) and any(rules != NO_RULES for rules in layers)
            rules = compile_rules(self.listed_items, layers, profiles[0]) if has_rules else None  # same notes for all
            notes = [
                tuple(_explain(query, strategy, answer, row, effects, rules)) for row, effects in enumerate(excluding)
            ]
            ids = [user.user_id for user in users]
            yield Recommendations(self.listed_items, model, strategy, answer, segments, ignored, notes, ids)
            listed = SparseRows.from_lists([items[items >= 0] for items in answer.items], len(query.list_rules.allowed))
            query = query.without(listed)

    def has_compiled(self, users: Sequence[Signals], layers: Sequence[Rules]) -> bool:
        """Return whether the rules are compiled for all users, so that `answer_lists` is quick."""
        return all(
            is_compiled(items, layers, _profile_of(user))
            for items in (self.model, self.listed_items)
            for user in (users if layers else ())
        )

    def with_items(self, items: Any) -> Recommender:
        """Return a recommender whose lists also have items added since training.

        Parameters
        ----------
        items
            The table `items` of the new items, a data frame with the columns that the model's items have. Items that
            users of the model used are left out.

        Raises
        ------
        ConfigError
            The model has learned nothing about new items, as its own have neither titles nor entities.
        DataError
            The table has faults, or more than 10,000 new items.

        Examples
        --------
        >>> items = [{"item_id": "n1", "title": "A new album", "artist_id": ["a7"]}]
        >>> recommender.with_items(pl.DataFrame(items)).recommend({"age": 24})  # doctest: +SKIP
        """
        return replace(self, added=AddedItems.of(self.model, load_items(items)) or None)

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


def open_model(path: str | Path, *, verify: bool = True) -> Recommender:
    """Open a model folder, ready to recommend; arrays are read lazily.

    A method whose plugin is not loaded is left out of the default list, with a warning.

    Parameters
    ----------
    path
        The folder.
    verify
        Whether to compare every file with its checksum, which reads all of them.

    Raises
    ------
    ArtifactError
        The folder contains no model, or a file is missing or has changed; the message names it.
    """
    model = load_model(path, types=value_type, verify=verify)
    if absent := [name for name in model.config.methods if find_method(name) is None]:
        names = ", ".join(absent)
        warnings.warn(f"{path}: lists are made without {names}, whose plugin is not loaded; {LOAD}.", stacklevel=2)
    return Recommender(model)
