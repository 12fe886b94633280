"""What a method is: a strategy, a cold model or a baseline, ours and a stranger's alike.

A method is one value of this file. `firstday.recommend.registry` finds it: by name, by entry point, or by ``--plugin``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel, ValidationError

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config
from firstday.embed.embeddings import Embeddings
from firstday.errors import ConfigError
from firstday.features.encoder import FeatureRows
from firstday.progress import Progress
from firstday.recommend.query import Answer, Query
from firstday.sparse import SparseRows


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
        Step 1's result: mature vectors of the warm users, and the items' vectors.
    validation_features, validation_liked
        Features and liked items of validation users' day one.
    stand_ins
        float32, shape (n_stand_ins, d): vectors that stand in for liked items of which only the mean vector is known,
        scaled as items' scoring vectors are; no lists are made of them.
    """

    config: Config
    features: FeatureRows
    liked: Sequence[SparseRows]
    uses: SparseRows
    embeddings: Embeddings
    validation_features: np.ndarray
    validation_liked: SparseRows
    stand_ins: np.ndarray | None = None

    @cached_property
    def liked_vectors(self) -> np.ndarray:
        """Vectors of what `liked` has for columns, float32, shape (n_items + n_stand_ins, d)."""
        items = self.embeddings.scoring_vectors
        return items if self.stand_ins is None else np.concatenate([items, self.stand_ins])


@dataclass(frozen=True, kw_only=True)
class Method:
    """What strategies, cold models and baselines have in common.

    Parameters
    ----------
    name
        By which it is asked for: small letters, digits and underscores.
    describe
        One sentence for people.
    settings
        A pydantic model of its settings, read from ``[plugins.NAME]`` of the configuration; None: it has none.
    """

    name: str
    describe: str
    settings: type[BaseModel] | None = None

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
        try:
            return self.settings.model_validate(values)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(part) for part in ("plugins", self.name, *fault["loc"]))
            raise ConfigError(f"{place}: {fault['msg'][:1].lower()}{fault['msg'][1:]}.") from None


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
    method
        The method whose learned value it needs; itself if it has a `fit`.
    """

    recommend: Strategy
    explain: str = ""
    reason: Callable[[Reason], str | None] | None = None
    needs: tuple[Need, ...] = ()
    fit: Callable[[LearningData, JudgeLists, Progress], Any] | None = None
    value: type | None = None
    method: str | None = None

    @property
    def learns_by(self) -> str | None:
        """The method that must have been trained for it, if any."""
        return self.name if self.fit is not None else self.method

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
        In the list.
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
        What `fit` returns: a frozen dataclass of arrays, numbers, texts and ONNX bytes with `ColdModelValue.predict`.
    """

    title: str
    fit: Callable[[LearningData, JudgeVectors, Progress], Any]
    value: type


class ItemScorer(Protocol):
    """A fitted baseline: day-one items -> scores of items."""

    def score(self, liked: SparseRows) -> np.ndarray:
        """Return scores that may be overwritten, float32, shape (n_users, n_items).

        Minus infinity stands for items that it does not rank, and fills the row of a user of whom it knows nothing.

        Parameters
        ----------
        liked
            Items that the users like so far, shape (n_users, n_items).
        """
        ...


@dataclass(frozen=True, eq=False)
class BaselineData:
    """What baselines learn from.

    Parameters
    ----------
    uses
        Items that each warm user uses, all weights 1, shape (n_warm, n_items).
    affinity
        Their positive affinities, shape (n_warm, n_items).
    validate
        Precision in %, higher is better, of a baseline's lists for validation users.
    seed, threads
        Of the configuration.
    """

    uses: SparseRows
    affinity: SparseRows
    validate: Callable[[ItemScorer], float]
    seed: int = 0
    threads: int = 0


@dataclass(frozen=True, kw_only=True)
class BaselineSpec(Method):
    """What others would use in place of this package: a model of who uses what, asked with the items of day one.

    `evaluate` fits it on the warm users of each seed with every combination of a grid, keeps what is best for
    validation users, and stores it in no model.

    Parameters
    ----------
    grid
        Values of each option; every combination is tried.
    prepare
        Computes what all fits share, and returns the function that fits with some options.
    is_restricted
        Whether it ranks only the most used items.
    """

    grid: Mapping[str, tuple[Any, ...]]
    prepare: Callable[[BaselineData], Callable[..., ItemScorer]]
    is_restricted: bool = False

    def with_options(self, options: Mapping[str, Any] | None) -> BaselineSpec:
        """Return the baseline with these options alone to try; itself where there are none."""
        return self if options is None else replace(self, grid={name: (value,) for name, value in options.items()})
