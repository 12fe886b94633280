"""Recommender: a trained model that answers for one user or for many, by any strategy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firstday.artifact.files import load_model, save_model
from firstday.artifact.model import TrainedModel
from firstday.config import Config
from firstday.config_networks import PeerName
from firstday.errors import ConfigError
from firstday.features.signals import SignalBatch, Signals
from firstday.ranking import first_allowed
from firstday.recommend.blend import recommend_blend
from firstday.recommend.day_one import recommend_day_one
from firstday.recommend.direct import recommend_direct
from firstday.recommend.dropoutnet import recommend_dropoutnet_personal, recommend_dropoutnet_segment
from firstday.recommend.fold_in import recommend_fold_in
from firstday.recommend.friends import recommend_friends
from firstday.recommend.group import recommend_group
from firstday.recommend.input_clusters import recommend_input_clusters
from firstday.recommend.melu import recommend_melu_personal, recommend_melu_segment
from firstday.recommend.neighbors import recommend_neighbors
from firstday.recommend.personal import recommend_personal
from firstday.recommend.popular import recommend_popular
from firstday.recommend.query import Answer, Query, Strategy
from firstday.recommend.segment import recommend_segment
from firstday.recommend.soft_segments import recommend_soft_segments

STRATEGIES: dict[str, Strategy] = {
    "popular": recommend_popular,
    "group": recommend_group,
    "day_one": recommend_day_one,
    "input_clusters": recommend_input_clusters,
    "fold_in": recommend_fold_in,
    "personal": recommend_personal,
    "segment": recommend_segment,
    "soft_segments": recommend_soft_segments,
    "neighbors": recommend_neighbors,
    "friends": recommend_friends,
    "direct": recommend_direct,
    "blend": recommend_blend,
    "dropoutnet_personal": recommend_dropoutnet_personal,
    "dropoutnet_segment": recommend_dropoutnet_segment,
    "melu_personal": recommend_melu_personal,
    "melu_segment": recommend_melu_segment,
}
"""Every strategy by name; a new one is a file with a function, and a line here."""

PEER_OF: dict[str, PeerName] = {
    "dropoutnet_personal": "dropoutnet",
    "dropoutnet_segment": "dropoutnet",
    "melu_personal": "melu",
    "melu_segment": "melu",
}
"""The peer of the cold model that a strategy asks; a model has only those of `cold_model.peers`."""

TUNED_PEERS = ("item_item", "user_user", "ease", "als_fold_in", "mult_dae")
"""Strategies that `evaluate` fits and tunes to compare with (`firstday.peers`); no model holds them."""

FALLBACKS = ("group", "popular")
"""What answers where a strategy has nothing to go on, in this order; the last answers for everyone."""


@dataclass(frozen=True)
class RecommendedItem:
    """One place of a list.

    Parameters
    ----------
    item_id
        The caller's id.
    title
        "" where the items have none.
    score
        On the strategy's own scale; 0 for items that only fill the list up.
    """

    item_id: Any
    title: str
    score: float


@dataclass(frozen=True)
class Recommendation:
    """The answer for one user.

    Parameters
    ----------
    items
        The list, best first.
    strategy
        What was asked for.
    route
        What answered: the strategy, or a fallback (`group`, `popular`).
    segment
        The number of the predicted segment; None where nothing is known of the user.
    segment_size
        How many warm users the segment has.
    ignored
        A sentence for each signal that the model does not understand.
    """

    items: tuple[RecommendedItem, ...]
    strategy: str
    route: str
    segment: int | None
    segment_size: int | None
    ignored: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class UserAnswers:
    """The answers for several users, as arrays.

    Parameters
    ----------
    answer
        Lists and routes; every row has k distinct items, unless the catalogue has no more.
    segments
        Predicted segments, int64, shape (n_users,), -1 where nothing is known of the user.
    ignored
        For each user, a sentence for each signal that the model does not understand.
    """

    answer: Answer
    segments: np.ndarray
    ignored: list[tuple[str, ...]]


def find_strategy(name: str) -> Strategy:
    """Return a strategy by name.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    if name in TUNED_PEERS:
        raise ConfigError(
            f"strategy: {name} is fitted by evaluate alone and stored in no model; choose of {', '.join(STRATEGIES)}."
        )
    if name not in STRATEGIES:
        raise ConfigError(f"strategy: {name!r} is unknown; choose of {', '.join(STRATEGIES)}.")
    return STRATEGIES[name]


def peers_of(strategies: Collection[str]) -> tuple[PeerName, ...]:
    """Return the peers of the cold model that strategies ask, each once.

    Raises
    ------
    ConfigError
        There is no strategy of one of the names.
    """
    for name in strategies:
        find_strategy(name)
    return tuple(dict.fromkeys(PEER_OF[name] for name in strategies if name in PEER_OF))


def strategies_with(config: Config) -> tuple[str, ...]:
    """Return the strategies that a model of this configuration can answer by."""
    return tuple(name for name in STRATEGIES if _setting_for(name, config) is None)


def check_strategies(strategies: Collection[str], config: Config) -> None:
    """Refuse a strategy that a model of this configuration cannot answer by.

    Raises
    ------
    ConfigError
        One sentence with the setting that the first such strategy needs.
    """
    for name in strategies:
        needed = _setting_for(name, config)
        if needed is not None:
            raise ConfigError(
                f"strategy: {name} needs a model trained with {needed}; train one, or choose another strategy."
            )


def _setting_for(strategy: str, config: Config) -> str | None:
    """Return the setting that a strategy needs and a configuration lacks; None where it lacks none."""
    peer = PEER_OF.get(strategy)
    if peer is not None and peer not in config.cold_model.peers:
        return f"cold_model.peers = ['{peer}']"
    if strategy == "direct" and not config.ranker.enabled:
        return "ranker.enabled = true"
    if strategy in ("neighbors", "friends") and not config.recommend.warm_users:
        return "recommend.warm_users above 0"
    return None


@dataclass(frozen=True, eq=False)
class Recommender:
    """A trained model, ready to recommend.

    Parameters
    ----------
    model
        The model.
    """

    model: TrainedModel

    def recommend(
        self, user: Signals, k: int | None = None, strategy: str | None = None, *, keep_used: bool = False
    ) -> Recommendation:
        """Return a list for one user, whatever is known of them.

        Parameters
        ----------
        user
            What is known; what the model does not understand is named in the answer, and is no error.
        k
            Length of the list; the configured length (50) if left out. Shorter only if the catalogue is.
        strategy
            A name of `STRATEGIES`; the configured one (`segment`) if left out.
        keep_used
            Allow items that the user has already used or banned.

        Raises
        ------
        ConfigError
            The strategy is unknown or asks a peer that the model does not have, or k is below 1.
        """
        strategy = strategy or self.model.config.recommend.strategy
        found = self.recommend_users([user], k, strategy, keep_used=keep_used)
        answer, catalogue = found.answer, self.model.catalogue
        items = tuple(
            RecommendedItem(catalogue.items[ix], catalogue.title_of(ix), float(score))
            for ix, score in zip(answer.items[0].tolist(), answer.scores[0].tolist(), strict=True)
            if ix >= 0
        )
        segment = int(found.segments[0]) if found.segments[0] >= 0 else None
        size = None if segment is None else int(self.model.segments.items.sizes[segment])
        return Recommendation(items, strategy, answer.routes[0], segment, size, found.ignored[0])

    def recommend_users(
        self, users: Sequence[Signals], k: int | None = None, strategy: str | None = None, *, keep_used: bool = False
    ) -> UserAnswers:
        """Return lists for several users at once, as arrays: what `recommend` answers, at a part of its cost each.

        Parameters
        ----------
        users
            What is known of each.
        k, strategy, keep_used
            See `recommend`.

        Raises
        ------
        ConfigError
            The strategy is unknown, or k is below 1.
        """
        batch, ignored = self.model.catalogue.read(users)
        query = Query(self.model, batch, self._length(k), keep_used)
        answer = answer_all(query, strategy or self.model.config.recommend.strategy)
        segments = np.full(query.n_users, -1, dtype=np.int64)
        if query.known.any():
            segments = np.where(query.known, query.nearest_segments, -1)
        sentences = [(*told, *more) for told, more in zip(ignored, self._without_effect(query), strict=True)]
        return UserAnswers(answer, segments, sentences)

    def _without_effect(self, query: Query) -> list[list[str]]:
        """Say for each user of what the names are known, but not learned from: no warm user has it."""
        catalogue, pairs = self.model.catalogue, self.model.encoder.pairs
        sentences: list[list[str]] = [[] for _ in range(query.n_users)]
        for (signal, entity), rows in query.signals.actions.items():
            if (signal, entity) not in pairs:
                for user in np.flatnonzero(rows.lengths()).tolist():
                    sentences[user].append(
                        f"no warm user has {signal} x {entity} on day one, so it does not move the prediction"
                    )
        for name, codes in query.profile.items():
            told = query.signals.ages if name == "age" else query.signals.groups[name]
            if told is None:
                continue
            for user in np.flatnonzero((told >= 0) & (codes < 0)).tolist():
                value = told[user] if name == "age" else catalogue.groups[name][told[user]]
                sentences[user].append(f"no warm user has {name} {value}")
        return sentences

    def recommend_batch(
        self, signals: SignalBatch, k: int | None = None, strategy: str | None = None, *, keep_used: bool = False
    ) -> Answer:
        """Return lists for many users in the model's indexes; see `recommend`.

        Returns
        -------
        Answer
            Every row has k distinct items, unless the catalogue has no more, and a route.
        """
        query = Query(self.model, signals, self._length(k), keep_used)
        return answer_all(query, strategy or self.model.config.recommend.strategy)

    def _length(self, k: int | None) -> int:
        length = self.model.config.recommend.k if k is None else k
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise ConfigError(f"k: is {length!r}; give a whole number from 1.")
        return min(length, self.model.n_items)

    def save(self, path: str | Path) -> Path:
        """Write the model to a folder; see `firstday.artifact.files.save_model`."""
        return save_model(self.model, path)


def open_model(path: str | Path, *, verify: bool = True) -> Recommender:
    """Open a model's folder, ready to recommend; see `firstday.artifact.files.load_model`."""
    return Recommender(load_model(path, verify=verify))


def answer_all(query: Query, strategy: str | Strategy) -> Answer:
    """Answer for every user: by the strategy, where it has nothing to go on by a fallback, then fill lists up."""
    recommend = strategy if callable(strategy) else find_strategy(strategy)
    if isinstance(strategy, str):
        check_strategies([strategy], query.model.config)
    answer = recommend(query)
    items, scores, routes = answer.items.copy(), answer.scores.copy(), answer.routes.copy()
    for name in FALLBACKS:
        open_rows = np.flatnonzero(routes == "")
        if len(open_rows):
            fallback = STRATEGIES[name](query.take(open_rows))
            items[open_rows], scores[open_rows] = fallback.items, fallback.scores
            routes[open_rows] = fallback.routes
    short = np.flatnonzero(items[:, -1] < 0)
    if len(short):
        items[short], scores[short] = _fill_up(items[short], scores[short], query.take(short))
    return Answer(items, scores, routes)


def _fill_up(items: np.ndarray, scores: np.ndarray, query: Query) -> tuple[np.ndarray, np.ndarray]:
    """Complete short lists with popular items that they do not have, with score 0."""
    popular = recommend_popular(query).items  # k of them suffice: each one that is repeated is an item more in the list
    row = np.arange(len(items))[:, None] * query.model.n_items
    repeated = np.isin(row + popular, (row + items)[items >= 0])
    both = np.concatenate([items, popular], axis=1)
    both_scores = np.concatenate([scores, np.zeros_like(popular, dtype=np.float32)], axis=1)
    allowed = np.concatenate([items >= 0, (popular >= 0) & ~repeated], axis=1)
    return first_allowed(both, both_scores, allowed, query.k)
