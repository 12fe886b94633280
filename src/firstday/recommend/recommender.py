"""Recommender: a trained model that answers for one user or for many, by any strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from firstday.artifact.folder import KEEP, load_model, save_model
from firstday.artifact.trained_model import KNOWLEDGE, TrainedModel
from firstday.display import readable
from firstday.errors import ConfigError, expect
from firstday.features.encoder import understand_picks
from firstday.features.signals import SignalBatch, Signals
from firstday.ranking import first_allowed, first_distinct
from firstday.recommend.effects import tell_each
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommendation import Recommendation, Recommendations, UserAnswers
from firstday.recommend.registry import find_strategy, refuse_without, value_type
from firstday.recommend.scales import scale_answer
from firstday.recommend.spec import FALLBACKS, Strategy
from firstday.recommend.strategies.popularity import POPULAR


def answer_all(query: Query, strategy: str | Strategy) -> Answer:
    """Answer for every user: by the strategy, where it has nothing to go on by a fallback, then fill lists up.

    Parameters
    ----------
    query
        The users, asking a model.
    strategy
        Its name, or the function itself.

    Returns
    -------
    Answer
        Every user has a route, and k distinct items unless the catalogue has no more.

    Raises
    ------
    ConfigError
        There is no strategy of that name, or the model lacks what it needs.
    FirstdayError
        A strategy that is not ours raised an error, or made lists that cannot be shown.
    """
    if isinstance(strategy, str):
        spec = find_strategy(strategy)
        refuse_without(strategy, spec.lacks(query.model))
        answer = spec.recommend(query)
    else:
        answer = strategy(query)
    items, scores, routes = answer.items.copy(), answer.scores.copy(), answer.routes.copy()
    propensities = answer.propensities
    for name in FALLBACKS:
        unanswered = np.flatnonzero(routes == "")
        if len(unanswered):
            fallback = find_strategy(name).recommend(query.take(unanswered))
            items[unanswered], scores[unanswered] = fallback.items, fallback.scores
            routes[unanswered] = fallback.routes
    if len(query.model.unlisted):
        listed = (items >= 0) & ~np.isin(items, query.model.unlisted)
        if propensities is not None:
            propensities = first_allowed(items, propensities, listed, query.k)[1]
        items, scores = first_allowed(items, scores, listed, query.k)
    n_ranked = (items >= 0).sum(axis=1)
    for allowed in dict.fromkeys((query, query.without_impressions)):  # what was passed over comes last
        short = np.flatnonzero((items < 0).any(axis=1))
        if len(short):
            items[short], scores[short] = _fill_up(items[short], scores[short], allowed.take(short))
    if propensities is not None:  # what fills a list up is not left to chance
        propensities = np.where(np.arange(query.k) < n_ranked[:, None], propensities, np.float32(1))
    return Answer(items, scores, routes, n_ranked, propensities=propensities)


def _fill_up(items: np.ndarray, scores: np.ndarray, query: Query) -> tuple[np.ndarray, np.ndarray]:
    """Complete short lists with popular items that they do not have, with score 0."""
    popular = POPULAR.recommend(query).items  # k of them suffice: each one repeated is an item more in the list
    both_scores = np.concatenate([scores, np.zeros_like(scores)], axis=1)
    return first_distinct(np.concatenate([items, popular], axis=1), both_scores, query.k)


def _explain_route(query: Query, row: int, strategy: str, route: str) -> tuple[str, ...]:
    """Return a sentence on why another strategy answers a user than the one asked for; nothing where none does."""
    if route == strategy or route not in FALLBACKS:
        return ()
    if strategy == "auto":
        strategy = query.model.selection.best_of(query.knowledge[row])
    if strategy != route:
        return (f"{route} answers: {strategy} has nothing to go on",)
    return (f"{route} answers: it was best for validation users of the same class ({KNOWLEDGE[query.knowledge[row]]})",)


def check_length(model: TrainedModel, k: int | None) -> int:
    """Return the length of a list: as asked or configured, and no more than there are items.

    Raises
    ------
    ConfigError
        k is no whole number from 1.
    """
    length = model.config.recommend.k if k is None else k
    if isinstance(length, bool) or not isinstance(length, Integral) or length < 1:
        raise ConfigError(f"k: is {length!r}; give a whole number from 1.")
    return min(int(length), model.n_items)


@readable
@dataclass(frozen=True, eq=False)
class Recommender:
    """A trained model, ready to recommend.

    Parameters
    ----------
    model
        The model.
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
    ) -> Recommendation:
        """Return a list for one user, whatever is known of them.

        Parameters
        ----------
        user
            What is known, as `Signals` or as a dictionary of the same form; what the model does not understand is named
            in the answer, and is no error.
        k
            Length of the list; the configured length (50) if left out. Shorter only if the catalogue is.
        strategy
            The name of a strategy; the configured one (`auto`) if left out.
        keep_used
            Allow items that the user has already used or banned.

        Raises
        ------
        ConfigError
            The strategy is unknown or needs what the model does not have, or k is below 1.
        """
        read = self._understand(Signals.of(user))
        return self.answer_users([read], k, strategy, keep_used=keep_used).tell(self.model, 0, read.user_id)

    def recommend_users(
        self,
        users: Mapping[Any, Signals | Mapping[str, Any]] | Sequence[Signals | Mapping[str, Any]],
        k: int | None = None,
        strategy: str | None = None,
        *,
        keep_used: bool = False,
    ) -> Recommendations:
        """Return lists for several users at once: what `recommend` answers, at a part of its cost each.

        Parameters
        ----------
        users
            What is known of each, by the caller's id of the user. In a sequence, a user's id is the `user_id` of its
            signals, or else its place there, from 0.
        k, strategy, keep_used
            See `recommend`.

        Returns
        -------
        Recommendations
            By the caller's ids, in the order given.

        Raises
        ------
        ConfigError
            The strategy is unknown, or k is below 1.
        DataError
            A user stands there twice, or something is no signals.

        Examples
        --------
        >>> lists = recommender.recommend_users({"u1": {"age": 24}, "u2": {}})  # doctest: +SKIP
        >>> lists["u1"].items[0].item_id  # doctest: +SKIP
        >>> lists.to_frame()  # doctest: +SKIP
        """
        if isinstance(users, Mapping):
            named = {user_id: Signals.of(user, f"users[{user_id!r}]") for user_id, user in users.items()}
            signals = [user.copy(user_id=user_id) if user.user_id is None else user for user_id, user in named.items()]
            user_ids = list(named)
        else:
            signals = [Signals.of(user, f"users[{place}]") for place, user in enumerate(users)]
            user_ids = [place if user.user_id is None else user.user_id for place, user in enumerate(signals)]
        signals = [self._understand(user) for user in signals]
        return Recommendations(self.model, self.answer_users(signals, k, strategy, keep_used=keep_used), user_ids)

    def _understand(self, user: Signals) -> Signals:
        encoder = self.model.signal_encoder
        return user if encoder is None else understand_picks(encoder, user)

    def answer_users(
        self, users: Sequence[Signals], k: int | None = None, strategy: str | None = None, *, keep_used: bool = False
    ) -> UserAnswers:
        """Return lists for several users in the model's indexes, as arrays: what `recommend_users` stands on."""
        batch, ignored = self.model.read_signals(users)
        query = Query(self.model, batch, check_length(self.model, k), keep_used)
        strategy = strategy or self.model.config.recommend.strategy
        segments = np.full(query.n_users, -1, dtype=np.int64)
        if query.known.any():  # first, so that strategies that answer a part of the users predict none again
            segments = np.where(query.known, query.nearest_segments, -1)
        answer = scale_answer(query, answer_all(query, strategy))
        unused, kept_out = tell_each(query, strategy, answer.routes)
        sentences = [(*unknown, *idle) for unknown, idle in zip(ignored, unused, strict=True)]
        routes = [_explain_route(query, row, strategy, answer.routes[row]) for row in range(query.n_users)]
        notes = [(*route, *of_user) for route, of_user in zip(routes, kept_out, strict=True)]
        return UserAnswers(strategy, answer, segments, sentences, notes)

    def answer_batch(
        self, signals: SignalBatch, k: int | None = None, strategy: str | None = None, *, keep_used: bool = False
    ) -> Answer:
        """Return lists for many users whose signals and lists are in the model's indexes.

        `firstday.recommend_batch` has the caller's ids.

        Returns
        -------
        Answer
            Every row has k distinct items, unless the catalogue has no more, a route, and the scale of its scores.
        """
        query = Query(self.model, signals, check_length(self.model, k), keep_used)
        return scale_answer(query, answer_all(query, strategy or self.model.config.recommend.strategy))

    def _repr_facts_(self) -> Mapping[str, Any]:
        return self.model._repr_facts_()

    def save(self, path: str | Path, *, keep: int = KEEP) -> Path:
        """Write the model to a folder; who reads it meanwhile sees the old model or the new one, never half.

        Parameters
        ----------
        path
            The folder: new, empty, or holding an older model, which is replaced.
        keep
            How many versions the folder has afterwards, this one among them, for `rollback`; older ones are removed.

        Raises
        ------
        ArtifactError
            The folder holds something else, or cannot be written.
        """
        return save_model(self.model, path, keep=keep)


def open_model(path: str | Path, *, verify: bool = True) -> Recommender:
    """Open a model's folder, ready to recommend; its arrays are read when they are needed.

    Parameters
    ----------
    path
        The folder.
    verify
        Whether every file is compared with its checksum first; else its size alone is.

    Raises
    ------
    ArtifactError
        The folder holds no model, or a file is missing or was changed; its name is in the message.
    """
    return Recommender(load_model(path, verify=verify, types=value_type))
