"""Methods that a configuration trains, and strategies and components that a model supports."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeGuard

from firstday.config import Config
from firstday.errors import ConfigError
from firstday.model.trained_model import TrainedModel
from firstday.recommend.registry import (
    AnyMethod,
    find_method,
    find_strategy,
    is_plugin,
    method_names,
    report_unknown,
    strategy_names,
)
from firstday.recommend.spec import FALLBACKS, StrategySpec

LOAD = "load it with --plugin MODULE or firstday.register, or install its package, and open the model again"


def value_type(name: str) -> type | None:
    """Return the class of a method's learned value, for loading a model; None if the method is not registered."""
    method = find_method(name)
    return None if method is None else method.value


def find_methods() -> Iterator[AnyMethod]:
    """Yield all methods."""
    return (method for method in map(find_method, method_names()) if method is not None)


def optional_names() -> tuple[str, ...]:
    """Return the names that `Config.methods` may have: methods that add a learned value or a component to a model."""
    return tuple(method.name for method in find_methods() if method.is_optional)


def learners_of(config: Config) -> tuple[AnyMethod, ...]:
    """Return the methods that a training with this configuration learns, in order.

    Raises ConfigError for an unknown name among the methods or components of the configuration.
    """
    for setting, names in (("methods", config.methods), ("recommend.components", config.components)):
        for name in names:
            method = find_method(name)
            if method is None or (setting == "methods" and not (method.learns or method.is_optional)):
                raise report_unknown(setting, name, optional_names())
    named = {name: find_method(name) for name in config.methods}
    methods = {method.name: method for method in find_methods() if method.always_trained} | named
    return tuple(method for method in methods.values() if method is not None and method.is_trained(config))


def searched_names() -> tuple[str, ...]:
    """Return the names of all strategies that learn during a hyperparameter search."""
    return tuple(name for name in strategy_names() if find_strategy(name).learns_in_search)


def strategies_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the names of the strategies that a model supports."""
    return _list_supported(model.config, model.learned)


def strategies_with(config: Config) -> tuple[str, ...]:
    """Return the names of the strategies that a model with this configuration will support."""
    return _list_supported(config, {method.name for method in learners_of(config)})


def _list_supported(config: Config, learned: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in strategy_names() if find_strategy(name).lacks(config, learned) is None)


def find_supported(name: str, model: TrainedModel) -> StrategySpec:
    """Return a strategy by name; raise ConfigError if there is none, or the model lacks what it needs."""
    for named in {name, name.rpartition("_")[0]}.intersection(model.config.methods):
        method = find_method(named)
        if method is None or (method.learns and named not in model.learned and is_plugin(named)):
            raise ConfigError(f"{name} is of a plugin that was not loaded before the model; {LOAD}.", where="strategy")
    return _find_with(name, model.config, model.learned)


def check_strategies(strategies: Iterable[str], config: Config) -> None:
    """Raise ConfigError, naming the missing setting, if a model with this configuration will not support a strategy."""
    learned = {method.name for method in learners_of(config)}
    for name in strategies:
        _find_with(name, config, learned)


def _find_with(name: str, config: Config, learned: Collection[str]) -> StrategySpec:
    spec = find_strategy(name)
    if setting := spec.lacks(config, learned):
        raise ConfigError(
            f"{name} needs a model trained with {setting}; train one, or choose another strategy.", where="strategy"
        )
    return spec


def spec_of_route(route: str) -> StrategySpec | None:
    """Return the strategy a route names; None for a custom route of a third-party strategy."""
    method = find_method(route)
    if isinstance(method, StrategySpec):
        return method
    return find_strategy(route) if route in strategy_names() else None


def fallback_of(model: TrainedModel) -> str:
    """Return the strategy that answers users about whom nothing is known, and fills lists up."""
    return model.derive(_choose_fallback)


def _choose_fallback(model: TrainedModel) -> str:
    return next(name for name in FALLBACKS if find_strategy(name).stands_in(model))


def is_component(method: AnyMethod | None) -> TypeGuard[StrategySpec]:
    """Return whether a method has a component of the default list."""
    return isinstance(method, StrategySpec) and method.component is not None


def has_component(model: TrainedModel, name: str) -> bool:
    """Return whether a method is registered, and has a component that the model supports."""
    method = find_method(name)
    return is_component(method) and method.lacks(model.config, model.learned) is None


def name_components(config: Config) -> tuple[str, ...]:
    """Return the names of the methods whose components the default list of a model may combine."""
    specs = [method for method in find_methods() if is_component(method)]
    first = sorted((spec.position, spec.name) for spec in specs if spec.position is not None)
    named = [name for name in config.components if name in {spec.name for spec in specs}]
    return tuple(dict.fromkeys((*(name for _, name in first), *named)))


def components_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the names of the methods whose components the default list may combine."""
    return tuple(name for name in name_components(model.config) if has_component(model, name))


def describe_absent(model: TrainedModel) -> list[str]:
    """Describe the components that the default list lacks, with the settings that provide them."""
    settings = {name: find_strategy(name).lacks(model.config, model.learned) for name in name_components(model.config)}
    return [
        f"The default list is made without {name}, which needs {setting}."
        for name, setting in settings.items()
        if setting is not None
    ]


def with_methods(config: Config, methods: Iterable[str]) -> Config:
    """Return the configuration that also trains the given methods, without duplicates."""
    names = tuple(dict.fromkeys((*config.methods, *methods)))
    return config if names == config.methods else config.override("methods", names)


def with_methods_of(config: Config, strategies: Iterable[str]) -> Config:
    """Return the configuration that also trains the methods the strategies need, but not for the default list."""
    learned = {method.name for method in find_methods() if method.always_trained or method.name in config.methods}
    missing = sorted({name for strategy in strategies for name in find_strategy(strategy).required} - learned)
    if not missing:
        return config
    return with_methods(config.override("recommend.components", config.components), missing)
