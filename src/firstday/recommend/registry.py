"""Registry of methods: built-in, from installed packages, and from plugins.

Packages declare methods as entry points in the groups ``firstday.strategies`` and ``firstday.cold_models``, in
pyproject.toml::

    [project.entry-points."firstday.strategies"]
    my_strategy = "my_package.my_module:MY_STRATEGY"
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import TypeVar

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config
from firstday.errors import ConfigError, hint_at
from firstday.recommend.plugin_checks import guard
from firstday.recommend.spec import (
    BASE_COMPONENTS,
    BASE_METHODS,
    BUILT_IN_METHODS,
    PAPER_SEGMENT,
    ColdModelSpec,
    Method,
    StrategySpec,
    derived_names,
    methods_of,
)

M = TypeVar("M", bound=Method)
Registries = dict[type[Method], dict[str, Method | str]]
DERIVED_STRATEGIES = ("vectors:personal_strategy", "segments:segment_strategy")
"""Functions that make the two strategies of a cold model, imported on first use like the built-in methods."""


@cache
def _registries() -> Registries:
    """Return methods or their import paths, by kind and name: built-in first, then entry points."""
    registries: Registries = {kind: dict(paths) for kind, paths in BUILT_IN_METHODS.items()}
    for kind, methods in registries.items():
        for entry in entry_points(group=f"firstday.{kind.section}"):
            _refuse_taken(kind, entry.name, registries)
            methods[entry.name] = entry.value
    return registries


def _refuse_taken(kind: type[Method], name: str, registries: Registries) -> None:
    """Raise ConfigError if a method's name, or that of a strategy derived from it, is built in or another method's."""
    names = {name, *(derived_names(name) if kind is ColdModelSpec else ())}
    others = (PAPER_SEGMENT, *registries[ColdModelSpec], *_list_strategies(registries))
    is_new = name not in registries[kind]
    if name in BUILT_IN_METHODS[kind] or (is_new and not names.isdisjoint(others)):
        raise ConfigError(f"{kind.section}: the name {name} is taken; choose another.")


def register(*specs: Method) -> None:
    """Register methods by name, replacing third-party methods of the same name.

    Raises
    ------
    ConfigError
        The name belongs to a built-in method or to a method of another kind.
    """
    for spec in specs:
        if not isinstance(spec, Method):
            raise ConfigError(f"register: got a {type(spec).__name__}; give a StrategySpec or a ColdModelSpec.")
        if not _is_built_in(spec):
            _refuse_taken(type(spec), spec.name, _registries())
            _registries()[type(spec)][spec.name] = guard(spec)


def _is_built_in(spec: Method) -> bool:
    return _find(type(spec), spec.name) is spec  # third-party methods are guarded copies


def load_plugin(module: str) -> tuple[str, ...]:
    """Import a module, register the methods at its top level that are not built in, and return their names.

    `module` is a dotted name; the current folder is also searched. Raise ConfigError if it cannot be imported or has no
    such method.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        contents = vars(import_module(module)).values()
    except Exception as error:
        raise ConfigError(
            f"plugin: {module} cannot be imported ({type(error).__name__}: {error}); check its name and code."
        ) from error
    specs = [value for value in contents if isinstance(value, Method) and not _is_built_in(value)]
    if not specs:
        raise ConfigError(f"plugin: {module} has no StrategySpec or ColdModelSpec; define one at its top level.")
    register(*specs)
    return tuple(dict.fromkeys(spec.name for spec in specs))


def _find(kind: type[M], name: str) -> M | None:
    """Return a method by kind and name, importing it if needed; None if there is none."""
    methods = _registries()[kind]
    method = methods.get(name)
    if isinstance(method, str):
        is_built_in = name in BUILT_IN_METHODS[kind]
        method = methods[name] = resolve_name(method) if is_built_in else _load(kind, name, method)
    return method if isinstance(method, kind) else None


def _load(kind: type[M], name: str, path: str) -> M:
    """Return the method that an entry point names."""
    try:
        spec = resolve_name(path)
        if isinstance(spec, kind) and spec.name == name:
            return guard(spec)
        fault = f"which is not a {kind.__name__} of this name"
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
    raise ConfigError(
        f"{kind.section}: {name} cannot be loaded from {path} ({fault}); correct or reinstall its package."
    )


def _list_strategies(registries: Mapping[type[Method], Iterable[str]]) -> tuple[str, ...]:
    """Return the names of strategies: built-in, two per cold model, then others."""
    derived = (name for cold_model in registries[ColdModelSpec] for name in derived_names(cold_model))
    return tuple(dict.fromkeys((*BUILT_IN_METHODS[StrategySpec], *derived, *registries[StrategySpec])))


def strategy_names() -> tuple[str, ...]:
    """Return the names of all strategies."""
    return _list_strategies(_registries())


def is_plugin(name: str) -> bool:
    """Return whether a strategy is registered and not built in."""
    return name in strategy_names() and name not in _list_strategies(BUILT_IN_METHODS)


def find_strategy(name: str) -> StrategySpec:
    """Return a strategy by name; raise ConfigError if there is none."""
    if spec := _find(StrategySpec, name):
        return spec
    cold_model, _, way = name.rpartition("_")
    if way in ("personal", "segment") and (cold := _find(ColdModelSpec, cold_model)):
        return _derived_strategies(cold)[name]
    if name == PAPER_SEGMENT:
        raise ConfigError(f"strategy: {name} is available in evaluate only; choose another.")
    raise _unknown("strategy", name, strategy_names())


def check_evaluable(names: Iterable[str]) -> None:
    """Raise ConfigError for a name that `evaluate` cannot evaluate."""
    for name in names:
        if name != PAPER_SEGMENT:
            find_strategy(name)


def _unknown(setting: str, name: str, names: tuple[str, ...]) -> ConfigError:
    return ConfigError(
        f"{setting}: {name!r} is unknown{hint_at(name, names)}; choose one of {', '.join(names)}, or add your own with "
        "--plugin MODULE or firstday.register."
    )


def spec_of_route(route: str) -> StrategySpec | None:
    """Return the strategy a route names; None for a custom route of a third-party strategy."""
    return find_strategy(route) if route in strategy_names() else None


@cache
def _derived_strategies(cold_model: ColdModelSpec) -> dict[str, StrategySpec]:
    """Return the two strategies of a cold model, by name."""
    is_built_in = cold_model.name in BUILT_IN_METHODS[ColdModelSpec]
    strategies = {}
    for path in DERIVED_STRATEGIES:
        strategy: StrategySpec = resolve_name(f"firstday.methods.{path}")(cold_model)
        strategies[strategy.name] = strategy if is_built_in else guard(strategy)
    return strategies


def _specs() -> Iterator[StrategySpec]:
    return map(find_strategy, strategy_names())


def searched_names() -> tuple[str, ...]:
    """Return the names of all strategies that learn during a hyperparameter search."""
    return tuple(spec.name for spec in _specs() if spec.learns_in_search)


def learner_names() -> tuple[str, ...]:
    """Return the names of all methods that are trained on request: cold models, then strategies."""
    learners = (spec.name for spec in _specs() if spec.learns and spec.name not in BASE_METHODS)
    return (*_registries()[ColdModelSpec], *learners)


def find_method(name: str) -> ColdModelSpec | StrategySpec | None:
    """Return a cold model or a strategy by name; None if there is none."""
    return _find(ColdModelSpec, name) or _find(StrategySpec, name)


def value_type(name: str) -> type | None:
    """Return the class of a method's learned value, for loading a model; None if the method is not registered."""
    method = find_method(name)
    return None if method is None else method.value


def find_learner(name: str) -> ColdModelSpec | StrategySpec:
    """Return a method that `Config.methods` may name; raise ConfigError if there is none.

    It has a learned value or a component of `blend`.
    """
    method = find_method(name)
    if method is None or not (method.learns or getattr(method, "component", None)):
        raise _unknown("methods", name, learner_names())
    return method


def learners_of(config: Config) -> tuple[ColdModelSpec | StrategySpec, ...]:
    """Return the methods that a training with this configuration learns; raise ConfigError for an unknown name."""
    specs = map(find_learner, methods_of(config))
    return tuple(spec for spec in specs if spec.learns and all(need.is_met(config) for need in spec.needs))


def strategies_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the names of the strategies that a model supports."""
    return tuple(spec.name for spec in _specs() if spec.lacks(model.config, model.learned) is None)


def _components(model: TrainedModel) -> Iterator[tuple[str, str | None]]:
    """Yield the methods that `blend` may combine, with the setting that the model lacks for them, or None."""
    for name in dict.fromkeys((*BASE_COMPONENTS, *model.config.components)):
        spec = _find(StrategySpec, name)
        if spec is not None and spec.component is not None:
            yield name, spec.lacks(model.config, model.learned)


def components_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the names of the methods with a component of `blend` that a model supports."""
    return tuple(name for name, setting in _components(model) if setting is None)


def describe_absent(model: TrainedModel) -> list[str]:
    """Describe the components of `blend` that the model lacks, with the settings that provide them."""
    return [
        f"The default list is made without {name}, which needs {setting}."
        for name, setting in _components(model)
        if setting is not None
    ]


def strategies_with(config: Config) -> tuple[str, ...]:
    """Return the names of the strategies that a model with this configuration will support."""
    return tuple(spec.name for spec in _specs() if spec.lacks(config, methods_of(config)) is None)


def check_strategies(strategies: Iterable[str], config: Config) -> None:
    """Raise ConfigError, naming the missing setting, if a model with this configuration will not support a strategy."""
    for name in strategies:
        _find_with(name, config, methods_of(config))


def find_supported(name: str, model: TrainedModel) -> StrategySpec:
    """Return a strategy by name; raise ConfigError if there is none, or the model lacks what it needs."""
    return _find_with(name, model.config, model.learned)


def _find_with(name: str, config: Config, methods: Collection[str]) -> StrategySpec:
    spec = find_strategy(name)
    if setting := spec.lacks(config, methods):
        raise ConfigError(
            f"strategy: {name} needs a model trained with {setting}; train one, or choose another strategy."
        )
    return spec


def with_methods(config: Config, methods: Iterable[str]) -> Config:
    """Return the configuration that also trains the given methods, without duplicates."""
    names = tuple(dict.fromkeys((*config.methods, *methods)))
    return config if names == config.methods else config.override("methods", names)


def with_methods_of(config: Config, strategies: Iterable[str]) -> Config:
    """Return the configuration that also trains the methods the strategies need, but not for the default list."""
    needed = {find_strategy(name).required_method for name in strategies}
    missing = sorted(name for name in needed if name and name not in methods_of(config))
    if not missing:
        return config
    return with_methods(config.override("recommend.components", config.components), missing)
