"""What a method is, and where all of them are found: ours, those of installed packages, and those of plugins.

A method is a `StrategySpec` or a `ColdModelSpec`. A package offers some by entry points, in its pyproject.toml::

    [project.entry-points."firstday.strategies"]
    my_strategy = "my_package.my_module:MY_STRATEGY"

with the groups ``firstday.strategies`` and ``firstday.cold_models``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from firstday.arguments import hint_at
from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config, DeviceName
from firstday.display import readable
from firstday.embed.embeddings import Embeddings
from firstday.errors import ConfigError
from firstday.features.encoder import FeatureRows
from firstday.progress import Progress
from firstday.recommend.plugin_checks import call_stranger, check_answer
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
    """

    name: str
    describe: str
    settings: type[BaseModel] | None = None
    kind = "method"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ConfigError(f"{self.kind}: {self.name!r} is no name; use letters, digits and underscores.")

    @property
    def label(self) -> str:
        """What it is called in sentences, such as ``strategy 'near'``."""
        return f"{self.kind} {self.name!r}"

    @property
    def is_ours(self) -> bool:
        """Whether it came with firstday, so that nothing of it need be checked."""
        return self.name in _our_names()

    def call(self, step: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the method; see `call_stranger` where it is not ours."""
        return function(*arguments) if self.is_ours else call_stranger(self.label, step, function, *arguments)

    def _check_value(self, value: type | None) -> None:
        """Refuse a class of what is learned that no model could hold."""
        if value is None:
            raise ConfigError(f"{self.label}: learns and has no value; name the frozen dataclass that it returns.")
        if not is_dataclass(value) or not value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise ConfigError(f"{self.label}: its value is no frozen dataclass; put @dataclass(frozen=True) on it.")

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
        can be told; None: it may read anything.
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
    reads: Reads | None = None
    scale: str = OWN_SCALE
    rescale: Callable[[TrainedModel, np.ndarray], np.ndarray] | None = None
    kind = "strategy"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learns:
            self._check_value(self.value)

    @property
    def learns(self) -> bool:
        """Whether it learns something of its own, which a model holds."""
        return self.fit is not None or self.search is not None

    def answer(self, query: Query) -> Answer:
        """Answer a query; what a strategy that is not ours returns is checked."""
        if self.is_ours:
            return self.recommend(query)
        return check_answer(self.label, self.call("recommend", self.recommend, query.checked_for(self.label)), query)

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
    kind = "cold model"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_value(self.value)


class UnknownStrategyError(ConfigError):
    """A name that is of no strategy."""


PAPER_SEGMENT = "paper_segment"
"""`segment` with the features, the network's training and nothing else but what the paper states; `evaluate` alone."""

FALLBACKS = ("group", "popular")
"""What answers where a strategy has nothing to go on, in this order; the last answers for everyone."""

KINDS: dict[str, type[Method]] = {
    "strategies": StrategySpec,
    "cold_models": ColdModelSpec,
}

BUILT_IN: dict[str, dict[str, str]] = {
    "strategies": {
        "popular": "firstday.recommend.popularity:POPULAR",
        "group": "firstday.recommend.popularity:GROUP",
        "day_one": "firstday.recommend.day_one_items:DAY_ONE",
        "input_clusters": "firstday.recommend.nearest_segment:INPUT_CLUSTERS",
        "fold_in": "firstday.recommend.day_one_items:FOLD_IN",
        "personal": "firstday.recommend.personal:PERSONAL",
        "segment": "firstday.recommend.nearest_segment:SEGMENT",
        "soft_segments": "firstday.recommend.soft_segments:SOFT_SEGMENTS",
        "neighbors": "firstday.recommend.neighbors:NEIGHBORS",
        "friends": "firstday.recommend.neighbors:FRIENDS",
        "direct": "firstday.recommend.direct:DIRECT",
        "blend": "firstday.recommend.blend:BLEND",
        "item_item": "firstday.baselines.item_item:ITEM_ITEM",
        "user_user": "firstday.baselines.user_user:USER_USER",
        "ease": "firstday.baselines.ease:EASE",
        "als_fold_in": "firstday.baselines.als_fold_in:ALS_FOLD_IN",
        "mult_dae": "firstday.baselines.mult_dae:MULT_DAE",
        "explore": "firstday.recommend.explore:EXPLORE",
        "auto": "firstday.recommend.auto:AUTO",
    },
    "cold_models": {
        "dropoutnet": "firstday.baselines.dropoutnet:DROPOUTNET",
        "melu": "firstday.baselines.melu:MELU",
    },
}
"""Where each of our methods is; it is imported when it is first asked for."""

M = TypeVar("M", bound=Method)


@dataclass(frozen=True)
class _Registry:
    """The methods of one kind: where they are, or they themselves."""

    places: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, Method] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        return tuple({**self.places, **self.loaded})


@cache
def _registries() -> dict[str, _Registry]:
    """Collect ours, then what installed packages offer."""
    registries = {kind: _Registry(dict(places)) for kind, places in BUILT_IN.items()}
    for kind, registry in registries.items():
        for entry in entry_points(group=f"firstday.{kind}"):
            _refuse_taken(entry.name, kind, registries)
            registry.places[entry.name] = entry.value
    return registries


def _refuse_taken(name: str, kind: str, registries: dict[str, _Registry]) -> None:
    """Refuse a name that one of ours has, or a method of another kind."""
    if name == PAPER_SEGMENT or any(name in places for places in BUILT_IN.values()):
        raise ConfigError(f"{kind}: {name} is the name of one of firstday's own methods; give yours another.")
    if any(name in registry.names() for other, registry in registries.items() if other != kind):
        raise ConfigError(f"{kind}: {name} is the name of a method of another kind; give it another.")


def register(*specs: Method) -> None:
    """Make methods known by their names; one of the same name that is no method of ours is replaced.

    Raises
    ------
    ConfigError
        The name is taken by one of firstday's own methods, or by a method of another kind.
    """
    for spec in specs:
        kind = next((name for name, cls in KINDS.items() if isinstance(spec, cls)), None)
        if kind is None:
            raise ConfigError(f"method: is a {type(spec).__name__}; give a StrategySpec or a ColdModelSpec.")
        registries = _registries()
        if registries[kind].loaded.get(spec.name) is spec:
            continue
        _refuse_taken(spec.name, kind, registries)
        registries[kind].loaded[spec.name] = spec


def load_plugin(module: str) -> tuple[str, ...]:
    """Import a module, register every method that stands in it, and return their names.

    Parameters
    ----------
    module
        Its dotted name; it is also looked for in the current folder.

    Raises
    ------
    ConfigError
        It is a file, cannot be imported, or holds no method.
    """
    if module.endswith(".py"):
        raise ConfigError(f"plugin: {module} is a file; give {module.removesuffix('.py').replace('/', '.')}.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        contents = vars(import_module(module))
    except Exception as error:
        raise ConfigError(f"plugin: {module} cannot be imported ({type(error).__name__}: {error}).") from error
    specs = {id(value): value for value in contents.values() if isinstance(value, Method)}
    if not specs:
        raise ConfigError(f"plugin: {module} holds no StrategySpec or ColdModelSpec; make one at its top level.")
    register(*specs.values())
    return tuple(spec.name for spec in specs.values())


def _find(kind: str, name: str, cls: type[M]) -> M | None:
    """Return a method by kind and name, imported where it was not yet; None where there is none."""
    registry = _registries()[kind]
    if name not in registry.loaded and name in registry.places:
        try:
            spec = resolve_name(registry.places[name])
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and name in BUILT_IN[kind]:
                raise  # ours lacks an extra, which is told where it is asked for
            raise ConfigError(f"{kind}: {name} cannot be loaded from {registry.places[name]} ({error}).") from error
        if not isinstance(spec, cls) or spec.name != name:
            raise ConfigError(f"{kind}: {registry.places[name]} is no {cls.__name__} named {name}.")
        registry.loaded[name] = spec
    spec = registry.loaded.get(name)
    return spec if isinstance(spec, cls) else None


def strategy_names() -> tuple[str, ...]:
    """Return the names of all strategies: ours, two for each cold model, then others."""
    of_cold_models = [name for cold_model in cold_model_names() for name in names_of_both_ways(cold_model)]
    names = _registries()["strategies"].names()
    ours = BUILT_IN["strategies"]
    return (*ours, *of_cold_models, *(name for name in names if name not in ours))


def baseline_names() -> tuple[str, ...]:
    """Return the names of all strategies with options to search."""
    return tuple(spec.name for spec in _specs() if spec.search is not None)


def is_plugin(name: str) -> bool:
    """Tell whether a strategy is known and comes from outside firstday."""
    return name not in _our_names() and name in strategy_names()


def cold_model_names() -> tuple[str, ...]:
    """Return the names of all cold models beside our own."""
    return _registries()["cold_models"].names()


def names_of_both_ways(cold_model: str) -> tuple[str, str]:
    """Return the names of the two strategies that use a cold model's vectors: nearest items, and nearest segment."""
    return f"{cold_model}_personal", f"{cold_model}_segment"


@cache
def _our_names() -> frozenset[str]:
    """Return the names of all methods that came with firstday."""
    both_ways = (name for cold_model in BUILT_IN["cold_models"] for name in names_of_both_ways(cold_model))
    return frozenset([*(name for places in BUILT_IN.values() for name in places), *both_ways])


def find_strategy(name: str) -> StrategySpec:
    """Return a strategy by name.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    spec = _find("strategies", name, StrategySpec)
    if spec is not None:
        return spec
    cold_model, _, _ = name.rpartition("_")
    if name in names_of_both_ways(cold_model) and (cold := _find("cold_models", cold_model, ColdModelSpec)) is not None:
        return _both_ways(cold)[name]
    if name == PAPER_SEGMENT:
        raise ConfigError(
            f"strategy: {name} is fitted by evaluate alone and stored in no model; choose of "
            f"{', '.join(strategy_names())}."
        )
    raise _unknown(name, strategy_names())


def check_judged(names: Iterable[str]) -> None:
    """Refuse a name that `evaluate` cannot judge.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    for name in names:
        if name != PAPER_SEGMENT:
            try:
                find_strategy(name)
            except UnknownStrategyError:
                raise _unknown(name, (*strategy_names(), PAPER_SEGMENT)) from None


def _unknown(name: str, names: Sequence[str]) -> UnknownStrategyError:
    how = "" if set(names) - _our_names() - {PAPER_SEGMENT} else "; a method of yours needs --plugin MODULE"
    return UnknownStrategyError(
        f"strategy: {name!r} is unknown{hint_at(name, tuple(names))}; choose of {', '.join(names)}{how}."
    )


@cache
def _both_ways(cold_model: ColdModelSpec) -> dict[str, StrategySpec]:
    """Return the two strategies that use a cold model's vectors, by name."""
    from firstday.recommend.nearest_segment import by_segment_of
    from firstday.recommend.personal import by_items_of

    return {spec.name: spec for spec in (by_items_of(cold_model), by_segment_of(cold_model))}


def _learner(name: str) -> ColdModelSpec | StrategySpec | None:
    """Return a method that learns something which a model holds; None where there is none of that name."""
    cold_model = _find("cold_models", name, ColdModelSpec)
    if cold_model is not None:
        return cold_model
    strategy = _find("strategies", name, StrategySpec)
    return strategy if strategy is not None and strategy.learns else None


def find_learner(name: str) -> ColdModelSpec | StrategySpec:
    """Return a method that learns something which a model holds: a cold model, or a strategy that learns.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    learner = _learner(name)
    if learner is not None:
        return learner
    choices = ", ".join(cold_model_names())
    raise ConfigError(
        f"methods: {name!r} is unknown; choose of {choices}, or name the plugin that has it with --plugin."
    )


def is_learner(name: str) -> bool:
    """Tell whether a name is that of a method that learns something which a model holds."""
    return _learner(name) is not None


def value_type(name: str) -> type:
    """Return the class of what a method learned, for a model that is read.

    Raises
    ------
    KeyError
        The method is unknown here.
    """
    learner = _learner(name)
    if learner is None:
        raise KeyError(name)
    assert learner.value is not None  # it has a fit
    return learner.value


def _specs() -> Iterator[StrategySpec]:
    return (find_strategy(name) for name in strategy_names())


def strategies_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the strategies that a model can answer by."""
    return tuple(spec.name for spec in _specs() if spec.lacks(model) is None)


def strategies_with(config: Config) -> tuple[str, ...]:
    """Return the strategies that a model of this configuration can answer by."""
    return tuple(spec.name for spec in _specs() if spec.lacks_with(config) is None)


def check_strategies(strategies: Collection[str], config: Config) -> None:
    """Refuse a strategy that a model of this configuration cannot answer by.

    Raises
    ------
    ConfigError
        One sentence with the setting that the first such strategy needs.
    """
    for name in strategies:
        refuse_without(name, find_strategy(name).lacks_with(config))


def refuse_without(strategy: str, setting: str | None) -> None:
    """Refuse a strategy that lacks what a setting gives.

    Raises
    ------
    ConfigError
        It lacks something.
    """
    if setting is not None:
        raise ConfigError(
            f"strategy: {strategy} needs a model trained with {setting}; train one, or choose another strategy."
        )


def with_methods(config: Config, methods: Iterable[str]) -> Config:
    """Return the configuration that also trains some methods, each once."""
    missing = [name for name in dict.fromkeys(methods) if name not in config.methods]
    return config.override("methods", (*config.methods, *missing)) if missing else config


def with_methods_of(config: Config, strategies: Collection[str]) -> Config:
    """Return the configuration that also trains the methods that some strategies need.

    Raises
    ------
    ConfigError
        There is no strategy of one of the names.
    """
    needed = {method for name in strategies if (method := find_strategy(name).learns_by) is not None}
    return with_methods(config, sorted(needed))
