"""Definitions of methods: `StrategySpec`, `ColdModelSpec` and `SharedValueSpec`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from functools import cached_property, partial
from operator import attrgetter
from typing import Any, Protocol

import numpy as np
import polars as pl
from pydantic import BaseModel

from firstday.config import Config, DeviceName, Section, parse_settings
from firstday.display import readable
from firstday.embed.embeddings import Embeddings
from firstday.errors import ConfigError
from firstday.features.encoder import FeatureRows
from firstday.model.trained_model import TrainedModel
from firstday.progress import Progress
from firstday.recommend.component import Component
from firstday.recommend.fold import TrainingRun
from firstday.recommend.query import Answer, Query
from firstday.sparse import SparseRows


@readable
@dataclass(frozen=True, kw_only=True, eq=False)
class LearningData:
    """Training data of methods: warm users' day ones and full histories, and validation users' day ones.

    Parameters
    ----------
    config
        The training configuration, including the seed.
    features
        Features of one or more day-one samples of the warm users; `features.take(rows)` returns those of the first
        sample, float32, shape (n_rows, n_inputs).
    liked
        Items with a positive affinity in each sample, each of shape (n_warm, n_items + n_stand_ins).
    uses
        Items that each warm user uses in the full history, shape (n_warm, n_items + n_stand_ins); the stand-in columns
        are empty.
    embeddings
        Mature vectors of the warm users, and item vectors.
    validation_features, validation_liked
        Features, float32, shape (n_validation, n_inputs), and liked items, shape (n_validation, n_items + n_stand_ins),
        of the day ones of the validation users whose lists are evaluated after each epoch.
    stand_ins
        The paper's released data has no day-one items, only their mean vectors. Each serves as a liked item that is
        never recommended: float32, shape (n_stand_ins, d), scaled like the items' scoring vectors. None for tables.
    profile
        Codes per profile column of the warm users, with ages as ``age``, shape (n_warm,), -1 if missing; same codes as
        `Query.profile`.
    day_one_uses, day_one_excluded
        Items used, and items used or banned, in each day-one sample of the warm users, each of shape (n_warm, n_items);
        empty if the data does not list them.
    validation_excluded
        Items not to list for the validation users, shape (n_validation, n_items): used, banned or not yet added.
    unlisted
        Indexes of items that are never recommended; see `TrainedModel`.
    members_of_items, item_columns
        Entities and columns of the items; see `Query`. Empty for the paper's released data.
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
    day_one_uses: Sequence[SparseRows] = ()
    day_one_excluded: Sequence[SparseRows] = ()
    validation_excluded: SparseRows
    unlisted: np.ndarray = field(default_factory=partial(np.zeros, 0, dtype=np.int32))
    members_of_items: Mapping[str, SparseRows] = field(default_factory=dict)
    item_columns: Mapping[str, pl.Series] = field(default_factory=dict)

    @property
    def item_uses(self) -> SparseRows:
        """`uses` without the columns of stand-ins, shape (n_warm, n_items)."""
        return replace(self.uses, n_columns=len(self.embeddings.item_vectors))

    @cached_property
    def liked_vectors(self) -> np.ndarray:
        """Vectors of the columns of `liked`, float32, shape (n_items + n_stand_ins, d)."""
        items = self.embeddings.scoring_vectors
        return items if self.stand_ins is None else np.concatenate([items, self.stand_ins])


@dataclass(frozen=True)
class Need:
    """A setting that a model must be trained with: its name, and the values that suffice, in words."""

    setting: str
    values: str

    def is_met(self, config: Config) -> bool:
        """Return whether a configuration has such a value."""
        return bool(attrgetter(self.setting)(config))

    def __str__(self) -> str:
        return f"{self.setting} {self.values}"


KEPT_USERS = Need("recommend.warm_users", "above 0")

Choice = tuple[Any, Mapping[str, Any]]
"""What a method learned after the folds, and figures about it, which become part of the model's `facts`."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """Base class of strategies, cold models and shared values.

    A method learns at one stage: from the data of each fold (`fit`), in a search (`OptionSearch.prepare`), or after all
    folds (`choose`). Until the search or the choice, a strategy has the defaults of `value`.

    Parameters
    ----------
    name
        Name by which callers request the method: letters, digits and underscores, not starting with a digit.
    describe
        One-sentence description.
    settings
        Pydantic model of the settings, read from ``[plugins.NAME]`` in the configuration; None if it has no settings.
    fit, value
        For methods that learn: the training function, and the frozen dataclass of arrays, numbers, strings and bytes
        that it returns.
    choose
        For methods that learn once all folds are trained, in place of `fit`: receives a `TrainingRun`, and returns a
        `Choice`.
    needs
        Settings without which it is unavailable, such as `KEPT_USERS`.
    always_trained
        Whether all trainings learn it, if they have what it `needs`; else only those that name it in `Config.methods`.
    based_on
        Name of another method whose learned value it uses, such as a cold model. It is chosen after that one.
    """

    name: str
    describe: str
    settings: type[BaseModel] | None = None
    fit: Callable[..., Any] | None
    value: type | None
    choose: Callable[[TrainingRun], Choice] | None = None
    needs: tuple[Need, ...] = ()
    always_trained: bool = False
    based_on: str | None = None
    kind = "method"
    section = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ConfigError(f"{self.kind}: {self.name!r} is not a valid name; use letters, digits and underscores.")
        if self.learns and not (is_dataclass(self.value) and self.value.__dataclass_params__.frozen):  # type: ignore[attr-defined]
            raise ConfigError(
                f"{self.label}: has no frozen dataclass as value; set value to the type that fit returns."
            )

    @staticmethod
    def strategies(name: str) -> tuple[str, ...]:
        """Return the names of the strategies that a method of this kind and name defines."""
        return (name,)

    @property
    def label(self) -> str:
        """Name used in messages, such as ``strategy 'near'``."""
        return f"{self.kind} {self.name!r}"

    @property
    def learns(self) -> bool:
        """Whether it has a learned value, stored in the model."""
        return self.fit is not None or self.choose is not None or self.value is not None

    def is_trained(self, config: Config) -> bool:
        """Return whether a training with this configuration learns it."""
        is_named = self.always_trained or self.name in config.methods
        return self.learns and is_named and all(need.is_met(config) for need in self.needs)

    @property
    def is_optional(self) -> bool:
        """Whether `Config.methods` may name it to add a learned value or a component to a model."""
        return self.learns and not self.always_trained

    def settings_in(self, config: Config) -> Any:
        """Return its settings from a configuration, with defaults for those not set.

        Raises
        ------
        ConfigError
            A value is invalid.
        """
        return parse_settings(self.settings or Section, config.plugins.get(self.name, {}), f"plugins.{self.name}")


ListPrecision = Callable[[np.ndarray], float]
"""Return the mean precision, in %, of lists for the users of `LearningData.validation_features`.

Lists are items, int, shape (n_validation, k).
"""
VectorPrecision = Callable[[np.ndarray], float]
"""Return the mean precision, in %, of two lists per user: of the nearest segment and of the nearest items.

Takes predicted vectors of the users of `LearningData.validation_features`, float32, shape (n_validation, d).
"""
Strategy = Callable[[Query], Answer]

OWN_SCALE = "score"
"""Scale of scores of which only the order is meaningful."""
PROBABILITY = "probability of use"
"""Scale of scores calibrated to the probability that the user will use the item (`TrainedModel.calibrations`)."""


@readable
@dataclass(frozen=True, eq=False)
class UseData:
    """Training data of methods that learn in their search: interactions of the warm users before the cut-off.

    The search also has the option `min_items`, which excludes users with fewer items, and, with timestamps,
    `window_days`, which excludes older interactions.

    Parameters
    ----------
    uses
        Items each user uses, all weights 1, shape (n_users, n_items).
    affinity
        Positive affinities, shape (n_users, n_items).
    seed, threads, device
        From the configuration.
    """

    uses: SparseRows
    affinity: SparseRows
    seed: int = 0
    threads: int = 0
    device: DeviceName = "auto"


@readable
@dataclass(frozen=True, kw_only=True, eq=False)
class OptionSearch:
    """Hyperparameter search: training keeps the options with the best precision for validation users.

    Parameters
    ----------
    grid
        Values to try for each option, in order: a tuple of numbers, strings or tuples. ``[plugins.NAME]`` in the
        configuration fixes an option.
    prepare
        Computes what all fits share, and returns a function that takes the options of `grid` as keyword arguments and
        returns an instance of `value`. Called for each fold and combination of `min_items` and `window_days` that is
        tried, possibly more than once; these two options (see `UseData`), the second with timestamps only, are added.
        None: the options are fields of `value`, which need no further training.
    start
        Initial values of some options; the others start from their whole grid. All combinations of initial values are
        tried. The best one then moves one step of one option at a time along the grid, until no move gains at least
        0.05 points of precision (smaller gains are noise). None: all combinations of `grid` are tried.
    max_users
        Maximum number of validation users to evaluate.
    """

    grid: Mapping[str, tuple[Any, ...]]
    prepare: Callable[[UseData], Callable[..., Any]] | None = None
    start: Mapping[str, tuple[Any, ...]] | None = None
    max_users: int = 2_000

    def __post_init__(self) -> None:
        for option, values in self.grid.items():
            if not isinstance(values, tuple | list) or not values:
                raise ConfigError(f"{option}: its grid is {values!r}; give a tuple of at least one value.")
        for option, values in (self.start or {}).items():
            for value in values:
                if value not in self.grid.get(option, ()):
                    raise ConfigError(f"{option}: the start value {value} is not in its grid; add it.")


@readable
@dataclass(frozen=True, kw_only=True)
class StrategySpec(Method):
    """Definition of a strategy.

    Parameters
    ----------
    recommend
        Answers a query. The route of a list is the strategy's name, or empty for users whom the strategy cannot answer;
        a fallback answers those. Lists whose route is not the name of a strategy have the scale ``score``.
    explain
        One sentence for end users about the basis of a list; defaults to `describe`.
    reason
        Given a `Reason`, returns why an item is in a list, or None for the general explanation.
    fit, value
        For strategies that learn: the training function, and the frozen dataclass of arrays, numbers, strings and
        bytes that it returns. The model stores this value; `Query.learned` returns it. The training function receives
        the `LearningData`; a function that measures the precision of lists (`ListPrecision`); and a progress function.
        With cross-fitting, `fit` runs once per fold and a last time on all users, including those of validation. In
        that run, the precision function returns negative values, the highest at call n: the median, over the folds, of
        the number of the best call. So call it at the same stages of each run, keep the state with the highest value,
        and do not compare values with a threshold.
    search
        Options chosen on validation users. Requires `value`; if the search learns the value itself
        (`OptionSearch.prepare`), there is no `fit`. `settings` do not apply: ``[plugins.NAME]`` holds the options.
    component
        Its part of the weighted sum of `blend`, the default list; `Shares`, a `Lift` or `Scores`. Training fits the
        weight, and leaves out a component that earns nothing.
    position
        Place of its component in the sum of every default list, on which rounding depends. None: the component is part
        of lists of trainings that name it in `Config.components`.
    reads_impressions
        Whether scores depend on impressions; those of users with impressions are then not calibrated.
    scale
        Scale of its scores. ``share of PEOPLE``: from 0 to 1. `PROBABILITY`: scores of any kind, calibrated in training
        to the probability that the user will use the item. Any other name is reported unchanged.
    delegates
        For strategies that let others answer: the names of those that answer each user, shape (n_users,).
    stands_in
        Whether it answers the users of a model whom other strategies cannot answer; see `FALLBACKS`.
    places_new
        Whether no new items are inserted in its lists by a model, such as those that have them in place. None are
        inserted in lists with propensities below 1 either, which would no longer be true.
    """

    recommend: Strategy
    explain: str = ""
    reason: Callable[[Reason], str | None] | None = None
    fit: Callable[[LearningData, ListPrecision, Progress], Any] | None = None
    value: type | None = None
    search: OptionSearch | None = None
    component: Component | None = None
    position: int | None = None
    reads_impressions: bool = False
    scale: str = OWN_SCALE
    delegates: Callable[[Query], np.ndarray] | None = None
    stands_in: Callable[[TrainedModel], bool] = lambda _model: False
    places_new: Callable[[TrainedModel], bool] = lambda _model: False
    kind = "strategy"
    section = "strategies"

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum((self.fit is not None, self.choose is not None, self.learns_in_search)) > 1:
            raise ConfigError(f"{self.label}: learns at several stages; give one of fit, choose and search.")

    @property
    def learns(self) -> bool:
        """Whether it has a learned value, stored in the model."""
        return super().learns or self.search is not None

    @property
    def learns_in_search(self) -> bool:
        """Whether it learns anew for each combination of options that is tried."""
        return self.search is not None and self.search.prepare is not None

    @property
    def is_optional(self) -> bool:
        """Whether `Config.methods` may name it to add a learned value or a component to a model."""
        return super().is_optional or (self.component is not None and self.position is None)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the methods that must have been trained."""
        own = (self.name,) if self.learns else ()
        return own if self.based_on is None else (*own, self.based_on)

    def lacks(self, config: Config, learned: Collection[str]) -> str | None:
        """Return the setting that a model with this configuration and these learned methods lacks, or None."""
        unmet = [str(need) for need in self.needs if not need.is_met(config)]
        missing = [f"methods = [{name!r}]" for name in self.required if name not in learned]
        return next(iter((*unmet, *missing)), None)


@dataclass(frozen=True)
class Reason:
    """Facts from which to explain an item of a list.

    The score is on the scale of the route. The user's segment, and the share of its users who use the item, are None if
    nothing is known about the user. `most_like` is the title or id of the most similar item that the user likes, or
    None.
    """

    score: float
    segment: int | None
    share_of_segment: float | None
    share_of_everyone: float
    most_like: str | None


def times_everyone(share: float, reason: Reason) -> str:
    """Return the phrase that compares a share with everyone's, or "" if nobody uses the item."""
    everyone = reason.share_of_everyone
    return f", {share / everyone:.1f} times the share of all users" if everyone > 0 else ""


def near_taste(reason: Reason) -> str | None:
    """Explain an item by the user's taste and the most similar liked item."""
    if reason.most_like is None:
        return None
    return f"Similar to what the user likes, most of all to {reason.most_like}."


def used_by_alike(reason: Reason) -> str:
    """Explain an item by its use among similar people."""
    return f"Often used by similar people; {reason.share_of_everyone:.1%} of all users use it."


class ColdModelValue(Protocol):
    """Learned value of a cold model."""

    def predict(self, features: np.ndarray, liked: SparseRows, item_vectors: np.ndarray) -> np.ndarray:
        """Return predicted mature vectors, float32, shape (n, d), unit length.

        It receives the features, float32, shape (n, n_inputs), the items liked so far, shape (n, n_items), and the item
        vectors, float32, shape (n_items, d); scores are dot products with them. `ComputedDays` have stand-ins as items.
        """
        ...


@readable
@dataclass(frozen=True, kw_only=True)
class ColdModelSpec(Method):
    """An alternative cold model: predicts the mature vector of a cold user.

    It defines two strategies, which correspond to the paper's two uses of a predicted vector: ``NAME_personal``
    (nearest items) and ``NAME_segment`` (nearest segment).

    Parameters
    ----------
    title
        Display name.
    fit
        The training function, as for a `StrategySpec`; the function that measures precision takes predicted vectors of
        the validation users, float32, shape (n_validation, d), for early stopping.
    value
        Return type of `fit`: a frozen dataclass of arrays, numbers, strings and bytes that implements
        `ColdModelValue.predict`.
    """

    title: str
    fit: Callable[[LearningData, VectorPrecision, Progress], Any]
    value: type
    kind = "cold model"
    section = "cold_models"

    @staticmethod
    def strategies(name: str) -> tuple[str, ...]:
        """Return the names of the two strategies: nearest items and nearest segment."""
        return f"{name}_personal", f"{name}_segment"


@readable
@dataclass(frozen=True, kw_only=True)
class SharedValueSpec(Method):
    """A value that several strategies read, learned on everyone after the folds; it defines no strategy.

    Parameters
    ----------
    choose
        See `Method`; the value is None if the data tells nothing.
    value
        Type of the value: a frozen dataclass of arrays, numbers, strings and bytes. If it has a method `describe`, the
        model card quotes the sentence that it returns.
    """

    choose: Callable[[TrainingRun], Choice]
    value: type
    fit: None = None
    kind = "shared value"
    section = "shared_values"

    @staticmethod
    def strategies(name: str) -> tuple[str, ...]:  # noqa: ARG004
        """Return no names."""
        return ()


PAPER_SEGMENT = "paper_segment"
"""`segment` with only the features and training described in the paper; available in `evaluate` alone."""

FALLBACKS = ("group", "recent", "popular")
"""Fallbacks for users a strategy cannot answer: `group`, then the first of the others that stands in for a model."""
NO_LIST = "none"
"""Route of users without a list."""


def is_own(routes: np.ndarray, strategy: str) -> np.ndarray:
    """Mask of users whose lists, given by route, are a strategy's own instead of a fallback's."""
    return (routes == strategy) | ~np.isin(routes, (*FALLBACKS, NO_LIST))
