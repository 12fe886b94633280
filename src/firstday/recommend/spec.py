"""What a method is: a `StrategySpec` or a `ColdModelSpec`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from functools import cache, cached_property
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config, DeviceName, parse_settings
from firstday.display import readable
from firstday.embed.embeddings import Embeddings
from firstday.errors import ConfigError
from firstday.features.encoder import FeatureRows
from firstday.progress import Progress
from firstday.recommend.query import Answer, Query
from firstday.sparse import SparseRows


@readable
@dataclass(frozen=True, kw_only=True, eq=False)
class LearningData:
    """What methods learn from: warm users' first days and all that they used, and validation users' first days.

    Parameters
    ----------
    config
        The configuration of the training, with its seed.
    features
        One or more day-one samples of the warm users.
    liked
        Items liked in each of these samples, each of shape (n_warm, n_items + n_stand_ins).
    uses
        All that each warm user used, shape (n_warm, n_items + n_stand_ins), no entry being a stand-in.
    embeddings
        Mature vectors of the warm users, and the items' vectors.
    validation_features, validation_liked
        Features and liked items of validation users' day one.
    stand_ins
        float32, shape (n_stand_ins, d): vectors that stand in for liked items of which only the mean vector is known,
        scaled as items' scoring vectors are; no lists are made of them.
    profile
        Codes of each profile column of the warm users, ages as ``age``, shape (n_warm,), -1 where missing: those of
        `Query.profile`.
    """

    config: Config
    features: FeatureRows
    liked: Sequence[SparseRows]
    uses: SparseRows
    embeddings: Embeddings
    validation_features: np.ndarray
    validation_liked: SparseRows
    stand_ins: np.ndarray | None = None
    profile: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def liked_vectors(self) -> np.ndarray:
        """Vectors of what `liked` has for columns, float32, shape (n_items + n_stand_ins, d)."""
        items = self.embeddings.scoring_vectors
        return items if self.stand_ins is None else np.concatenate([items, self.stand_ins])


@dataclass(frozen=True, kw_only=True)
class Method:
    """What strategies and cold models have in common.

    Parameters
    ----------
    name
        By which it is asked for: small letters, digits and underscores.
    describe
        One sentence for people.
    settings
        A pydantic model of its settings, read from ``[plugins.NAME]`` of the configuration; None: it has none.
    fit, value
        Where it learns something: a function that learns it, and the frozen dataclass of arrays, numbers and texts that
        it returns.
    """

    name: str
    describe: str
    settings: type[BaseModel] | None = None
    fit: Callable[..., Any] | None
    value: type | None
    kind, group = "method", ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ConfigError(f"{self.kind}: {self.name!r} is no name; use letters, digits and underscores.")
        if not self.learns:
            return
        if self.value is None:
            raise ConfigError(f"{self.label}: learns and has no value; name the frozen dataclass that it returns.")
        if not is_dataclass(self.value) or not self.value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise ConfigError(f"{self.label}: its value is no frozen dataclass; put @dataclass(frozen=True) on it.")

    @property
    def label(self) -> str:
        """What it is called in sentences, such as ``strategy 'near'``."""
        return f"{self.kind} {self.name!r}"

    @property
    def is_ours(self) -> bool:
        """Whether it came with firstday."""
        return self.name in our_names()

    @property
    def learns(self) -> bool:
        """Whether it learns something of its own, which a model holds."""
        return self.fit is not None

    def settings_in(self, config: Config) -> Any:
        """Return its settings in a configuration, defaults where there are none.

        Raises
        ------
        ConfigError
            It has no settings, or one of them cannot have its value.
        """
        values = config.plugins.get(self.name, {})
        if self.settings is None:
            if values:
                raise ConfigError(f"plugins.{self.name}: has no settings; take {', '.join(values)} out.")
            return None
        return parse_settings(self.settings, values, f"plugins.{self.name}")


@dataclass(frozen=True)
class Need:
    """Something that a strategy needs of a model.

    Parameters
    ----------
    is_in
        Whether a model has it.
    comes_with
        Whether a model of a configuration will have it.
    setting
        What gives it, such as ``ranker.enabled = true``.
    """

    is_in: Callable[[TrainedModel], bool]
    comes_with: Callable[[Config], bool]
    setting: str


RANKER = Need(lambda model: model.ranker is not None, lambda config: config.ranker.enabled, "ranker.enabled = true")
KEPT_USERS = Need(
    lambda model: model.warm is not None,
    lambda config: config.recommend.warm_users > 0,
    "recommend.warm_users above 0",
)

JudgeLists = Callable[[np.ndarray], float]
"""Given lists of validation users, int, shape (n_validation, k), returns their precision in %."""
JudgeVectors = Callable[[np.ndarray], float]
"""Given predicted vectors of validation users, float32, shape (n_validation, d), returns the precision in % of their
lists, of nearest segments and of nearest items alike."""
Strategy = Callable[[Query], Answer]

OWN_SCALE = "score"
"""The scale of scores that mean nothing but their order."""
PROBABILITY = "probability of use"
"""The scale of scores that become the probability that the user will use the item, by `TrainedModel.calibrations`."""

Part = Literal["liked", "profile", "friends", "shown", "anything"]
"""What a strategy may read of a user beside the features: items that they like so far, profile values that warm users
have, friends whom the model keeps, what was shown and passed over; or anything that is in a `SignalBatch`."""
EVERYTHING: tuple[Part, ...] = ("liked", "profile", "friends", "shown", "anything")
Reads = Callable[[TrainedModel], tuple[Part, ...]]


def reading(*parts: Part) -> Reads:
    """Return what says of a strategy that it reads these parts, whatever the model."""
    return lambda _: parts


read_anything = reading(*EVERYTHING)


@readable
@dataclass(frozen=True, eq=False)
class UseData:
    """What methods with options learn from: who used what, of everybody before the cut-off.

    Users with few items, and old interactions, are left out as far as the options `min_items` and `window_days` say.

    Parameters
    ----------
    uses
        Items that each user uses, all weights 1, shape (n_users, n_items).
    affinity
        Their positive affinities, shape (n_users, n_items).
    seed, threads, device
        Of the configuration.
    """

    uses: SparseRows
    affinity: SparseRows
    seed: int = 0
    threads: int = 0
    device: DeviceName = "auto"


@readable
@dataclass(frozen=True, kw_only=True, eq=False)
class OptionSearch:
    """How a method is fitted with some options, and the options to try: training keeps the best for validation users.

    Parameters
    ----------
    grid
        Values of each option, in order.
    prepare
        Computes what all fits share, and returns the function that fits with some options.
    start
        Values of some options to begin with, all of the grid for the others: every combination is tried, then the best
        moves along the grid, one place of one option at a time, until no such move gains more than chance would easily
        give (0.05 points of precision). None: every combination of the grid is tried.
    """

    grid: Mapping[str, tuple[Any, ...]]
    prepare: Callable[[UseData], Callable[..., Any]]
    start: Mapping[str, tuple[Any, ...]] | None = None

    def __post_init__(self) -> None:
        for option, values in (self.start or {}).items():
            for value in values:
                if value not in self.grid.get(option, ()):
                    raise ConfigError(f"{option}: the search starts with {value}, which its grid lacks; add it there.")


@readable
@dataclass(frozen=True, kw_only=True)
class StrategySpec(Method):
    """A way to make lists.

    Parameters
    ----------
    recommend
        Answers a query; it leaves the route empty for users of whom it knows nothing that it can use.
    explain
        One sentence on what a list rests on, for people; `describe` if left out.
    reason
        Says why an item is in a list, given a `Reason`, or None for what is said of every strategy.
    needs
        What it needs of a model.
    fit, value
        Where it learns something of its own: a function that learns it, and the frozen dataclass of arrays, numbers and
        texts that it returns. A model holds it, `Query.learned` gives it back.
    search
        In place of `fit`, where what it learns has options that are chosen on validation users.
    method
        The method whose learned value it needs; itself if it learns something.
    reads
        Given a model, what it reads of a user beside the features and the items to leave out, so that what was ignored
        can be told; anything, if left out.
    scale
        What its scores are, for people: ``share of ...`` for shares of some people, from 0 to 1; `PROBABILITY` for
        scores of any kind that training turns into the probability that the user will use the item; any other name is
        told as it is.
    rescale
        Given a model and scores, float32, shape (n_users, k), returns them on this scale, in the same order.
    """

    recommend: Strategy
    explain: str = ""
    reason: Callable[[Reason], str | None] | None = None
    needs: tuple[Need, ...] = ()
    fit: Callable[[LearningData, JudgeLists, Progress], Any] | None = None
    value: type | None = None
    search: OptionSearch | None = None
    method: str | None = None
    reads: Reads = read_anything
    scale: str = OWN_SCALE
    rescale: Callable[[TrainedModel, np.ndarray], np.ndarray] | None = None
    kind, group = "strategy", "strategies"

    @property
    def learns(self) -> bool:
        """Whether it learns something of its own, which a model holds."""
        return self.fit is not None or self.search is not None

    @property
    def learns_by(self) -> str | None:
        """The method that must have been trained for it, if any."""
        return self.name if self.learns else self.method

    def lacks(self, model: TrainedModel) -> str | None:
        """Return the setting that gives what a model lacks for it; None where it lacks nothing."""
        return self._first_setting([need.is_in(model) for need in self.needs], tuple(model.learned))

    def lacks_with(self, config: Config) -> str | None:
        """Return the setting that gives what a model of a configuration will lack for it; None for nothing."""
        return self._first_setting([need.comes_with(config) for need in self.needs], config.methods)

    def _first_setting(self, met: Sequence[bool], methods: Sequence[str]) -> str | None:
        if self.learns_by is not None and self.learns_by not in methods:
            return f"methods = ['{self.learns_by}']"
        return next((need.setting for need, is_met in zip(self.needs, met, strict=True) if not is_met), None)


@dataclass(frozen=True)
class Reason:
    """What may be said for an item of a list.

    Parameters
    ----------
    score
        In the list, on the scale of what answered.
    segment
        The user's predicted segment; None where nothing is known.
    share_of_segment
        Share of its users who use the item; None without a segment.
    share_of_everyone
        Share of warm users who use it.
    most_like
        Title or id of the item that the user likes and that is most like it; None without one.
    """

    score: float
    segment: int | None
    share_of_segment: float | None
    share_of_everyone: float
    most_like: str | None


def times_everyone(share: float, reason: Reason) -> str:
    """Say how many times as often as everyone a share is, where that has a number."""
    everyone = reason.share_of_everyone
    return f", {share / everyone:.1f} times as many as of everyone" if everyone > 0 else ""


def near_taste(reason: Reason) -> str | None:
    """Say that an item is near to the user's taste, and which liked item it is most like."""
    if reason.most_like is None:
        return None
    return f"Near to the user's taste; of what they like, most like {reason.most_like}."


def used_by_alike(reason: Reason) -> str:
    """Say that people like the user use an item."""
    return f"Used often by people like them; {reason.share_of_everyone:.1%} of everyone use it."


class ColdModelValue(Protocol):
    """What a cold model learned."""

    def predict(self, features: np.ndarray, liked: SparseRows, item_vectors: np.ndarray) -> np.ndarray:
        """Return predicted mature vectors, float32, shape (n, d), each of length 1.

        Parameters
        ----------
        features
            float32, shape (n, n_inputs), from the encoder.
        liked
            Items that the users like so far, shape (n, n_items).
        item_vectors
            What a user's vector is multiplied with to score items, float32, shape (n_items, d).
        """
        ...


@readable
@dataclass(frozen=True, kw_only=True)
class ColdModelSpec(Method):
    """A way to predict a cold user's mature vector, beside ours.

    It gives two strategies: ``NAME_personal`` (nearest items) and ``NAME_segment`` (nearest segment), the two ways in
    which the paper uses a predicted vector.

    Parameters
    ----------
    title
        As people write it.
    fit
        Learns it; is given a judge of predicted vectors, by which to stop.
    value
        What `fit` returns: a frozen dataclass of arrays, numbers, texts and bytes with `ColdModelValue.predict`.
    """

    title: str
    fit: Callable[[LearningData, JudgeVectors, Progress], Any]
    value: type
    kind, group = "cold model", "cold_models"


PAPER_SEGMENT = "paper_segment"
"""`segment` with the features, the network's training and nothing else but what the paper states; `evaluate` alone."""

FALLBACKS = ("group", "popular")
"""What answers where a strategy has nothing to go on, in this order; the last answers for everyone."""

BUILT_IN: dict[str, dict[str, str]] = {
    "strategies": {
        "popular": "firstday.recommend.strategies.popularity:POPULAR",
        "group": "firstday.recommend.strategies.popularity:GROUP",
        "day_one": "firstday.recommend.strategies.items:DAY_ONE",
        "input_clusters": "firstday.recommend.strategies.segments:INPUT_CLUSTERS",
        "fold_in": "firstday.recommend.strategies.items:FOLD_IN",
        "personal": "firstday.recommend.strategies.items:PERSONAL",
        "segment": "firstday.recommend.strategies.segments:SEGMENT",
        "soft_segments": "firstday.recommend.strategies.segments:SOFT_SEGMENTS",
        "neighbors": "firstday.recommend.strategies.people:NEIGHBORS",
        "friends": "firstday.recommend.strategies.people:FRIENDS",
        "direct": "firstday.recommend.strategies.items:DIRECT",
        "blend": "firstday.recommend.strategies.blend:BLEND",
        "item_item": "firstday.baselines.item_item:ITEM_ITEM",
        "user_user": "firstday.baselines.user_user:USER_USER",
        "ease": "firstday.baselines.ease:EASE",
        "als_fold_in": "firstday.baselines.als_fold_in:ALS_FOLD_IN",
        "mult_dae": "firstday.baselines.mult_dae:MULT_DAE",
        "explore": "firstday.recommend.strategies.explore:EXPLORE",
        "auto": "firstday.recommend.strategies.auto:AUTO",
    },
    "cold_models": {
        "dropoutnet": "firstday.baselines.dropoutnet:DROPOUTNET",
        "melu": "firstday.baselines.melu:MELU",
    },
}
"""Where each of our methods is; it is imported when it is first asked for."""


def names_of_both_ways(cold_model: str) -> tuple[str, str]:
    """Return the names of the two strategies that use a cold model's vectors: nearest items, and nearest segment."""
    return f"{cold_model}_personal", f"{cold_model}_segment"


@cache
def our_names() -> frozenset[str]:
    """Return the names of all methods that came with firstday."""
    both_ways = (name for cold_model in BUILT_IN["cold_models"] for name in names_of_both_ways(cold_model))
    return frozenset([*(name for places in BUILT_IN.values() for name in places), *both_ways])
