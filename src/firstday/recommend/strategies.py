"""Every strategy by name, what each needs of a model, and the fallbacks that make an answer of it for everyone."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config, PeerName
from firstday.errors import ConfigError
from firstday.ranking import first_allowed
from firstday.recommend.blend import recommend_blend
from firstday.recommend.day_one_items import recommend_day_one, recommend_fold_in
from firstday.recommend.direct import recommend_direct
from firstday.recommend.dropoutnet import recommend_dropoutnet_personal, recommend_dropoutnet_segment
from firstday.recommend.melu import recommend_melu_personal, recommend_melu_segment
from firstday.recommend.nearest_segment import recommend_input_clusters, recommend_segment
from firstday.recommend.neighbors import recommend_friends, recommend_neighbors
from firstday.recommend.personal import recommend_personal
from firstday.recommend.popularity import recommend_group, recommend_popular
from firstday.recommend.query import Answer, Query, Strategy
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

PAPER_SEGMENT = "paper_segment"
"""`segment` with the features, the network's training and nothing else but what the paper states; `evaluate` alone."""

EVALUATED_ALONE = (*TUNED_PEERS, PAPER_SEGMENT)
"""Strategies that `evaluate` fits for itself."""

FALLBACKS = ("group", "popular")
"""What answers where a strategy has nothing to go on, in this order; the last answers for everyone."""


def find_strategy(name: str) -> Strategy:
    """Return a strategy by name.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    if name in EVALUATED_ALONE:
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


def strategies_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the strategies that a model can answer by."""
    return tuple(name for name in STRATEGIES if _setting_for(name, *_parts_of(model)) is None)


def strategies_with(config: Config) -> tuple[str, ...]:
    """Return the strategies that a model of this configuration can answer by."""
    return tuple(name for name in STRATEGIES if _setting_for(name, *_parts_with(config)) is None)


def check_strategies(strategies: Collection[str], config: Config) -> None:
    """Refuse a strategy that a model of this configuration cannot answer by.

    Raises
    ------
    ConfigError
        One sentence with the setting that the first such strategy needs.
    """
    for name in strategies:
        _refuse_without(name, _setting_for(name, *_parts_with(config)))


def _parts_of(model: TrainedModel) -> tuple[Collection[PeerName], bool, bool]:
    """Return the peers of a model, and whether it has a ranker and warm users."""
    return tuple(model.peers), model.ranker is not None, model.warm is not None


def _parts_with(config: Config) -> tuple[Collection[PeerName], bool, bool]:
    """Return what a model of a configuration will have, as `_parts_of`."""
    return config.cold_model.peers, config.ranker.enabled, config.recommend.warm_users > 0


def _setting_for(strategy: str, peers: Collection[PeerName], ranker: bool, warm: bool) -> str | None:
    """Return the setting that gives what a strategy lacks; None where it lacks nothing."""
    peer = PEER_OF.get(strategy)
    if peer is not None and peer not in peers:
        return f"cold_model.peers = ['{peer}']"
    if strategy == "direct" and not ranker:
        return "ranker.enabled = true"
    if strategy in ("neighbors", "friends") and not warm:
        return "recommend.warm_users above 0"
    return None


def _refuse_without(strategy: str, setting: str | None) -> None:
    """Refuse a strategy that lacks what a setting gives."""
    if setting is not None:
        raise ConfigError(
            f"strategy: {strategy} needs a model trained with {setting}; train one, or choose another strategy."
        )


def answer_all(query: Query, strategy: str | Strategy) -> Answer:
    """Answer for every user: by the strategy, where it has nothing to go on by a fallback, then fill lists up."""
    recommend = strategy if callable(strategy) else find_strategy(strategy)
    if isinstance(strategy, str):
        _refuse_without(strategy, _setting_for(strategy, *_parts_of(query.model)))
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
