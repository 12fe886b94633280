"""Registry of methods: built-in, from installed packages, and from plugins.

Packages declare methods as entry points in the groups ``firstday.strategies`` and ``firstday.cold_models``, in
pyproject.toml::

    [project.entry-points."firstday.strategies"]
    my_strategy = "my_package.my_module:MY_STRATEGY"
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import TypeVar

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config
from firstday.errors import ArtifactError, ConfigError, hint_at
from firstday.recommend.plugin_checks import guard
from firstday.recommend.spec import (
    BUILT_IN_METHODS,
    PAPER_SEGMENT,
    ColdModelSpec,
    Method,
    StrategySpec,
    derived_names,
)
from firstday.recommend.strategies.items import personal_strategy
from firstday.recommend.strategies.segments import segment_strategy

M = TypeVar("M", bound=Method)


@cache
def _registries() -> dict[str, dict[str, Method | str]]:
    """Return methods or their import paths, by section and name: built-in first, then entry points."""
    registries: dict[str, dict[str, Method | str]] = {
        section: dict(paths) for section, paths in BUILT_IN_METHODS.items()
    }
    for section, methods in registries.items():
        for entry in entry_points(group=f"firstday.{section}"):
            _refuse_taken(entry.name, section, registries)
            methods[entry.name] = entry.value
    return registries


def _refuse_taken(name: str, section: str, registries: Mapping[str, Mapping[str, Method | str]]) -> None:
    """Raise ConfigError if a method's name, or that of a strategy derived from it, is built in or another method's."""
    names = {name, *(derived_names(name) if section == ColdModelSpec.section else ())}
    others = (PAPER_SEGMENT, *registries["cold_models"], *_list_strategies(registries))
    is_new = name not in registries[section]
    if name in BUILT_IN_METHODS[section] or (is_new and not names.isdisjoint(others)):
        raise ConfigError(f"{section}: the name {name} is taken; choose another.")


def register(*specs: Method) -> None:
    """Register methods by name, replacing third-party methods of the same name.

    Raises
    ------
    ConfigError
        The name belongs to a built-in method or to a method of another kind.
    """
    for spec in specs:
        if not isinstance(spec, StrategySpec | ColdModelSpec):
            raise ConfigError(f"register: got a {type(spec).__name__}; give a StrategySpec or a ColdModelSpec.")
        if _find(type(spec), spec.name) is spec:
            continue  # built in
        _refuse_taken(spec.name, spec.section, _registries())
        _registries()[spec.section][spec.name] = guard(spec)


def load_plugin(module: str) -> tuple[str, ...]:
    """Import a module, register the methods at its top level that are not built in, and return their names.

    `module` is a dotted name; the current folder is also searched. Raise ConfigError if it cannot be imported or has no
    such method.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        contents = vars(import_module(module))
    except Exception as error:
        raise ConfigError(
            f"plugin: {module} cannot be imported ({type(error).__name__}: {error}); check its name and code."
        ) from error
    methods = [value for value in contents.values() if isinstance(value, Method)]
    specs = {(spec.section, spec.name): spec for spec in methods if _find(type(spec), spec.name) is not spec}
    if not specs:
        raise ConfigError(f"plugin: {module} has no StrategySpec or ColdModelSpec; define one at its top level.")
    register(*specs.values())
    return tuple(name for _, name in specs)


def _find(cls: type[M], name: str) -> M | None:
    """Return a method by class and name, importing it if needed; None if there is none."""
    methods = _registries()[cls.section]
    found = methods.get(name)
    if isinstance(found, str):
        found = methods[name] = (
            resolve_name(found) if name in BUILT_IN_METHODS[cls.section] else _load(cls, name, found)
        )
    return found if isinstance(found, cls) else None


def _load(cls: type[M], name: str, path: str) -> M:
    """Return the method that an entry point names."""
    try:
        spec = resolve_name(path)
        if isinstance(spec, cls) and spec.name == name:
            return guard(spec)
        fault = f"which is not a {cls.__name__} of this name"
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
    raise ConfigError(
        f"{cls.section}: {name} cannot be loaded from {path} ({fault}); correct or reinstall its package."
    )


def _list_strategies(registries: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Return the names of strategies: built-in, two per cold model, then others."""
    derived = (name for cold_model in registries["cold_models"] for name in derived_names(cold_model))
    return tuple(dict.fromkeys((*BUILT_IN_METHODS["strategies"], *derived, *registries["strategies"])))


def strategy_names() -> tuple[str, ...]:
    """Return the names of all strategies."""
    return _list_strategies(_registries())


def searched_names() -> tuple[str, ...]:
    """Return the names of all strategies with a hyperparameter search."""
    return tuple(spec.name for spec in _specs() if spec.search is not None)


def is_plugin(name: str) -> bool:
    """Return whether a strategy is registered and not built in."""
    return name in strategy_names() and name not in _list_strategies(BUILT_IN_METHODS)


def cold_model_names() -> tuple[str, ...]:
    """Return the names of all alternative cold models."""
    return tuple(_registries()["cold_models"])


def find_strategy(name: str) -> StrategySpec:
    """Return a strategy by name; raise ConfigError if there is none."""
    if spec := _find(StrategySpec, name):
        return spec
    cold_model, _, way = name.rpartition("_")
    if way in ("personal", "segment") and (cold := _find(ColdModelSpec, cold_model)):
        return _derived_strategies(cold)[name]
    if name == PAPER_SEGMENT:
        raise ConfigError(f"{name} is available in evaluate only; choose another.", where="strategy")
    raise _unknown("strategy", name, strategy_names())


def check_evaluable(names: Iterable[str]) -> None:
    """Raise ConfigError for a name that `evaluate` cannot evaluate."""
    for name in names:
        if name != PAPER_SEGMENT:
            find_strategy(name)


def _unknown(setting: str, name: str, names: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"{name!r} is unknown{hint_at(name, names)}; choose one of {', '.join(names)}, or add your own with "
        "--plugin MODULE or firstday.register.",
        where=setting,
    )


def spec_of_route(route: str) -> StrategySpec | None:
    """Return the strategy a route names; None for a custom route of a third-party strategy."""
    return find_strategy(route) if route in strategy_names() else None


@cache
def _derived_strategies(cold_model: ColdModelSpec) -> dict[str, StrategySpec]:
    """Return the two strategies of a cold model, by name."""
    both = {spec.name: spec for spec in (personal_strategy(cold_model), segment_strategy(cold_model))}
    return both if cold_model.name in BUILT_IN_METHODS["cold_models"] else {name: guard(both[name]) for name in both}


def _learner(name: str) -> ColdModelSpec | StrategySpec | None:
    """Return a method with a learned value, or None if there is none of that name."""
    found = _find(ColdModelSpec, name) or _find(StrategySpec, name)
    return found if found is not None and found.learns else None


def find_learner(name: str) -> ColdModelSpec | StrategySpec:
    """Return a method with a learned value, a cold model or a strategy; raise ConfigError if there is none."""
    if learner := _learner(name):
        return learner
    raise _unknown("methods", name, (*cold_model_names(), *(spec.name for spec in _specs() if spec.learns)))


def is_learner(name: str) -> bool:
    """Return whether a name is that of a method with a learned value."""
    return _learner(name) is not None


def value_type(name: str) -> type:
    """Return the class of a method's learned value, for loading a model."""
    learner = _learner(name)
    if learner is None or learner.value is None:
        raise ArtifactError(f"learned.{name}: the method is unknown; load the plugin that defines it")
    return learner.value


def _specs() -> Iterator[StrategySpec]:
    return (find_strategy(name) for name in strategy_names())


def strategies_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the names of the strategies that a model supports."""
    return tuple(spec.name for spec in _specs() if spec.lacks(model) is None)


def strategies_with(config: Config) -> tuple[str, ...]:
    """Return the names of the strategies that a model with this configuration will support."""
    return tuple(spec.name for spec in _specs() if spec.lacks_with(config) is None)


def check_strategies(strategies: Collection[str], config: Config) -> None:
    """Raise ConfigError, naming the missing setting, if a model with this configuration will not support a strategy."""
    for name in strategies:
        _refuse_without(name, find_strategy(name).lacks_with(config))


def find_supported(name: str, model: TrainedModel) -> StrategySpec:
    """Return a strategy by name; raise ConfigError if there is none, or the model lacks what it needs."""
    spec = find_strategy(name)
    _refuse_without(name, spec.lacks(model))
    return spec


def _refuse_without(strategy: str, setting: str | None) -> None:
    if setting is not None:
        raise ConfigError(
            f"{strategy} needs a model trained with {setting}; train one, or choose another strategy.",
            where="strategy",
        )


def with_methods(config: Config, methods: Iterable[str]) -> Config:
    """Return the configuration that also trains the given methods, without duplicates."""
    missing = [name for name in dict.fromkeys(methods) if name not in config.methods]
    return config.override("methods", (*config.methods, *missing)) if missing else config


def with_methods_of(config: Config, strategies: Collection[str]) -> Config:
    """Return the configuration that also trains the methods the strategies need."""
    needed = {method for name in strategies if (method := find_strategy(name).required_method) is not None}
    return with_methods(config, sorted(needed))
