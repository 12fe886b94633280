"""`Recommender`: a trained model that recommends to one or many users with any strategy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from firstday.data.newcomers import load_items
from firstday.display import readable
from firstday.errors import ConfigError, DataError, expect
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import understand_picks
from firstday.features.signals import Signals
from firstday.model.folder import KEEP, load_model, save_model
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.explain import Explanation, explain_list
from firstday.recommend.list_notes import describe_lists
from firstday.recommend.new_items.current_items import CurrentItems, read_items
from firstday.recommend.query import Query
from firstday.recommend.recommendation import Recommendation, Recommendations
from firstday.recommend.registry import find_method
from firstday.recommend.rules.list_rules import (
    NO_RULES,
    AnyRules,
    Row,
    Rules,
    check_user_values,
    compile_rules,
    describe_missing,
    is_compiled,
    read_layers,
)
from firstday.recommend.similar import SIMILAR, recommend_similar
from firstday.recommend.spec import Strategy
from firstday.recommend.support import LOAD, value_type
from firstday.sparse import SparseRows, union_rows
from firstday.tables.schema import EXPIRES_AT

AnySignals = Signals | Mapping[str, Any]
"""Signals of one user, or an equivalent dictionary."""


def _profile_of(user: Signals) -> dict[str, Any]:
    """Return what filters read as ``user.NAME``."""
    return {"age": user.age, **user.groups}


def _find_segments(query: Query) -> np.ndarray:
    """Return the segment nearest to each prediction, int64, shape (n_users,), -1 if nothing is known about the user."""
    if not query.has_features.any():
        return np.full(query.n_users, -1, dtype=np.int64)
    return np.where(query.has_features, query.nearest_segments, -1)


def check_length(model: TrainedModel, k: int | None) -> int:
    """Return `k` or the configured length, at most the number of items; raise ConfigError if `k` is invalid."""
    length = model.config.recommend.k if k is None else k
    if isinstance(length, bool) or not isinstance(length, Integral) or length < 1:
        raise ConfigError(f"is {length!r}; give an integer of at least 1.", where="k")
    return min(int(length), model.n_items)


def find_item(catalogue: Catalogue, item: Any) -> int:
    """Return the index of an item, given its id; raise ConfigError if there is none."""
    index = catalogue.items.index_of(item)
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
    current_items
        Items as they are now, and new ones; None: those of the model. See `with_items`.
    """

    model: TrainedModel
    current_items: CurrentItems | None = None

    def __post_init__(self) -> None:
        expect("model", self.model, TrainedModel, "a trained model; fd.open_model('model/') opens a folder")

    @property
    def catalogue(self) -> Catalogue:
        """Ids, titles and columns of the items that lists consist of, as they are now."""
        return (self.current_items or self.model).catalogue

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
        index = find_item(self.catalogue, item)
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
        strategy = strategy or self.model.config.recommend.strategy
        recommend: str | Strategy = strategy
        query, unknown = self._read(users, keep_used, item)
        if item is not None:
            strategy = SIMILAR
            recommend = self._find_similar(item)
        segments = _find_segments(query)  # predicts for all users at once; `Query.take` keeps the results
        profiles = list(map(_profile_of, users))
        ids = [user.user_id for user in users]
        for k, layers in lists:
            self.check_user_values(users, layers)
            query = query.ask(k=check_length(self.model, k))
            answer = answer_query(query, recommend, layers, profiles.__getitem__)
            has_rules = bool(users) and any(rules != NO_RULES for rules in layers)
            rules = None  # with the same notes for all users
            if has_rules:
                rules = compile_rules(self.model, layers, profiles[0], self.current_items)
            notes = describe_lists(query, strategy, answer, rules)
            missing = [describe_missing(layers, profile) for profile in profiles]
            notes = [(*of_rules, *of_list) for of_rules, of_list in zip(missing, notes, strict=True)]
            yield Recommendations(self.catalogue, self.model, strategy, answer, segments, unknown, notes, ids)
            listed = SparseRows.from_lists([items[items >= 0] for items in answer.items], len(query.list_rules.allowed))
            query = query.without(listed)

    def _read(self, users: Sequence[Signals], keep_used: bool, item: int | None) -> tuple[Query, list[tuple[str, ...]]]:
        """Return a query about users, without the item whose similar items are listed, and what of them is unknown."""
        model = self.model
        if model.signal_encoder is not None:
            users = [understand_picks(model.signal_encoder, user) for user in users]
        batch, unknown = model.read_signals(users)
        current = self.current_items
        query = Query(model, batch, 1, keep_used, current_items=current and current.of_model)
        if item is not None:
            itself = SparseRows.from_lists([[item] if item < model.n_items else []] * len(users), model.n_items)
            return query.ask(excluded_override=union_rows([query.always_excluded, itself])), unknown
        if current and current.new:
            of_listed, unknown = current.catalogue.read(users, model.config.signals)
            query = query.with_current_items(current, of_listed)
        return query, unknown

    def _find_similar(self, item: int) -> Strategy:
        """Return a strategy that lists what goes with an item of the model, or with a new one."""
        new = self.current_items and self.current_items.new
        vectors = new.vectors[new.index == item] if new else ()
        return partial(recommend_similar, item=item, vector=next(iter(vectors), None))

    def explain(self, user: AnySignals, recommendation: Recommendation) -> Explanation:
        """Explain a list: the route, the nearest segments, a reason for each item, and what impressions changed.

        Parameters
        ----------
        user
            What was known about the user when the list was made.
        recommendation
            The list, from `recommend`, or of `similar`, `recommend_rows` or `recommend_users`.

        Raises
        ------
        DataError
            The signals are invalid.

        Examples
        --------
        >>> answer = recommender.recommend({"age": 24})  # doctest: +SKIP
        >>> recommender.explain({"age": 24}, answer).items[0].why  # doctest: +SKIP
        """
        signals = understand_picks(self.model.encoder, Signals.of(user))
        query, _ = self._read([signals], keep_used=False, item=None)
        return explain_list(query, recommendation)

    def check_user_values(self, users: Sequence[Signals], layers: Sequence[Rules]) -> None:
        """Raise ConfigError if filters read a value that neither the model, nor the request, nor any user has."""
        check_user_values(self.model, layers, [name for user in users for name in user.groups])

    def has_compiled(self, users: Sequence[Signals], layers: Sequence[Rules]) -> bool:
        """Return whether the rules are compiled for all users, so that `answer_lists` is quick."""
        items = self.current_items or self.model
        return all(is_compiled(items, layers, _profile_of(user)) for user in (users if layers else ()))

    def with_items(self, items: Any) -> Recommender:
        """Return a recommender whose lists have items as they are now, and those added since training.

        Parameters
        ----------
        items
            The table `items` of the items that are new or have changed, a data frame with columns of the model's items.
            Values that are missing are the model's. Items with a false `recommendable`, or that have expired
            (`expires_at`), are not listed.

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
        return replace(self, current_items=read_items(self.model, load_items(items), datetime.now(UTC)))

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
    """Open a model folder, ready to recommend; arrays are read lazily. Items that have expired are not listed.

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
    may_expire = EXPIRES_AT in model.catalogue.columns
    nothing = pl.DataFrame(schema={"item_id": pl.String})
    return Recommender(model, read_items(model, nothing, datetime.now(UTC)) if may_expire else None)
