"""Registry of methods: built-in, from installed packages, and from plugins.

Packages declare methods as entry points in the groups ``firstday.strategies`` and ``firstday.cold_models``, in
pyproject.toml::

    [project.entry-points."firstday.strategies"]
    my_strategy = "my_package.my_module:MY_STRATEGY"

So does firstday itself. A method is imported on first use.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import distribution, entry_points
from itertools import chain
from pathlib import Path
from pkgutil import resolve_name

from firstday.config import Config
from firstday.errors import ConfigError, hint_at
from firstday.model.trained_model import TrainedModel
from firstday.recommend.plugin_checks import guard
from firstday.recommend.spec import (
    BASE_COMPONENTS,
    BASE_METHODS,
    PAPER_SEGMENT,
    ColdModelSpec,
    Method,
    SignalKind,
    StrategySpec,
    methods_of,
)

AnyMethod = StrategySpec | ColdModelSpec
Entry = tuple[type[AnyMethod], str]
"""Kind and import path of a method that is not imported yet."""
Registry = dict[str, AnyMethod | Entry]
LOAD = "load it with --plugin MODULE or firstday.register, or install its package, and open the model again"
DERIVED_STRATEGIES = ("vectors:personal_strategy", "segments:segment_strategy")
"""Functions that make the two strategies of a cold model, imported on first use."""
KINDS: tuple[type[AnyMethod], ...] = (StrategySpec, ColdModelSpec)


@cache
def _built_in() -> dict[str, Entry]:
    """Return where to import firstday's own methods, by name: strategies, then cold models, each sorted by name."""
    entries = distribution("firstday").entry_points
    return {
        entry.name: (kind, entry.value)
        for kind in KINDS
        for entry in sorted(entries.select(group=f"firstday.{kind.section}"))
    }


@cache
def _registry() -> Registry:
    """Return methods, or where to import them, by name: built-in first, then those of other packages."""
    registry: Registry = {**_built_in()}
    for kind in KINDS:
        for entry in entry_points(group=f"firstday.{kind.section}"):
            if registry.get(entry.name) != (kind, entry.value):
                _refuse_taken(entry.name, kind, registry)
                registry[entry.name] = (kind, entry.value)
    return registry


def _kind_of(method: AnyMethod | Entry) -> type[AnyMethod]:
    return method[0] if isinstance(method, tuple) else type(method)


def _list_strategies(registry: Registry) -> tuple[str, ...]:
    names = (_kind_of(method).strategies(name) for name, method in registry.items())
    return tuple(chain.from_iterable(names))


def _refuse_taken(name: str, kind: type[AnyMethod], registry: Registry) -> None:
    """Raise ConfigError if a method's name, or that of a strategy that it defines, is built in or another method's."""
    if name in registry and name not in _built_in() and _kind_of(registry[name]) is kind:
        return  # takes the place of the other
    names = {name, *kind.strategies(name)}
    if not names.isdisjoint((PAPER_SEGMENT, *registry, *_list_strategies(registry))):
        raise ConfigError(f"{kind.section}: the name {name} is taken; choose another.")


def register(*specs: Method) -> None:
    """Register methods by name, replacing third-party methods of the same name.

    Raises
    ------
    ConfigError
        The name belongs to a built-in method or to a method of another kind.
    """
    for spec in specs:
        if not isinstance(spec, AnyMethod):
            raise ConfigError(f"register: got a {type(spec).__name__}; give a StrategySpec or a ColdModelSpec.")
        if not _is_built_in(spec):
            _refuse_taken(spec.name, type(spec), _registry())
            _registry()[spec.name] = guard(spec)


@contextmanager
def restored() -> Iterator[None]:
    """Forget afterwards the methods that are registered within the context."""
    registry = _registry()
    before = dict(registry)
    try:
        yield
    finally:
        registry.clear()
        registry.update(before)


def _is_built_in(spec: AnyMethod) -> bool:
    return find_method(spec.name) is spec  # third-party methods are guarded copies


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
    specs = [value for value in contents if isinstance(value, AnyMethod) and not _is_built_in(value)]
    if not specs:
        raise ConfigError(f"plugin: {module} has no StrategySpec or ColdModelSpec; define one at its top level.")
    register(*specs)
    return tuple(dict.fromkeys(spec.name for spec in specs))


def find_method(name: str) -> AnyMethod | None:
    """Return a cold model or a strategy that is not derived from one, importing it if needed; None if there is none."""
    registry = _registry()
    method = registry.get(name)
    if isinstance(method, tuple):
        method = registry[name] = _load(name, *method)
    return method


def _load(name: str, kind: type[AnyMethod], path: str) -> AnyMethod:
    """Import a method."""
    if name in _built_in():
        built_in: AnyMethod = resolve_name(path)
        return built_in
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


def strategy_names() -> tuple[str, ...]:
    """Return the names of all strategies."""
    return _list_strategies(_registry())


def is_plugin(name: str) -> bool:
    """Return whether a strategy is registered and not built in."""
    method = name if name in _registry() else name.rpartition("_")[0]
    return method in _registry() and method not in _built_in()


def find_strategy(name: str) -> StrategySpec:
    """Return a strategy by name; raise ConfigError if there is none."""
    method = find_method(name)
    if isinstance(method, StrategySpec):
        return method
    cold_model = find_method(name.rpartition("_")[0])
    if isinstance(cold_model, ColdModelSpec) and name in cold_model.strategies(cold_model.name):
        return _derived_strategies(cold_model)[name]
    if name == PAPER_SEGMENT:
        raise ConfigError(f"{name} is available in evaluate only; choose another.", where="strategy")
    raise _unknown("strategy", name, strategy_names())


def check_evaluable(names: Iterable[str]) -> None:
    """Raise ConfigError for a name that `evaluate` cannot evaluate."""
    for name in names:
        if name != PAPER_SEGMENT:
            find_strategy(name)


def _unknown(setting: str, name: str, names: tuple[str, ...]) -> ConfigError:
    return ConfigError(
        f"{name!r} is unknown{hint_at(name, names)}; choose one of {', '.join(names)}, or add your own with "
        "--plugin MODULE or firstday.register.",
        where=setting,
    )


def spec_of_route(route: str) -> StrategySpec | None:
    """Return the strategy a route names; None for a custom route of a third-party strategy."""
    method = find_method(route)
    if isinstance(method, StrategySpec):
        return method
    return find_strategy(route) if route in strategy_names() else None


@cache
def _derived_strategies(cold_model: ColdModelSpec) -> dict[str, StrategySpec]:
    """Return the two strategies of a cold model, by name."""
    is_built_in = cold_model.name in _built_in()
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


def optional_names() -> tuple[str, ...]:
    """Return the names that `Config.methods` may have: methods that add a learned value or a component to a model."""
    return tuple(name for name in _registry() if name not in BASE_COMPONENTS and _is_optional(name))


def _is_optional(name: str) -> bool:
    method = find_method(name)
    if method is None:
        return False
    return getattr(method, "component", None) is not None or (method.learns and name not in BASE_METHODS)


def value_type(name: str) -> type | None:
    """Return the class of a method's learned value, for loading a model; None if the method is not registered."""
    method = find_method(name)
    return None if method is None else method.value


def find_learner(name: str) -> AnyMethod:
    """Return a method that training may name; raise ConfigError if there is none."""
    method = find_method(name)
    if method is None or not (method.learns or _is_optional(name)):
        raise _unknown("methods", name, optional_names())
    return method


def check_components(config: Config) -> None:
    """Raise ConfigError for an unknown name among the components of a configuration."""
    for name in config.components:
        if find_method(name) is None:
            raise _unknown("recommend.components", name, optional_names())


def learners_of(config: Config) -> tuple[AnyMethod, ...]:
    """Return the methods that a training with this configuration learns; raise ConfigError for an unknown name."""
    specs = map(find_learner, methods_of(config))
    return tuple(spec for spec in specs if spec.learns and all(need.is_met(config) for need in spec.needs))


def strategies_of(model: TrainedModel) -> tuple[str, ...]:
    """Return the names of the strategies that a model supports."""
    return tuple(spec.name for spec in _specs() if spec.lacks(model.config, model.learned) is None)


def _components(model: TrainedModel) -> Iterator[tuple[str, str | None]]:
    """Yield the methods that `blend` may combine, with the setting that the model lacks for them, or None."""
    for name in dict.fromkeys((*BASE_COMPONENTS, *model.config.components)):
        spec = find_method(name)
        if isinstance(spec, StrategySpec) and spec.component is not None:
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


def reads_of(spec: StrategySpec, model: TrainedModel) -> set[SignalKind]:
    """Return the kinds of signals that a strategy reads; `blend` and `auto` read what their components read."""
    if spec.name in ("blend", "auto"):
        return model.derive(_component_reads).union(spec.reads)
    return set(spec.reads)


def _component_reads(model: TrainedModel) -> set[SignalKind]:
    weighted = set(components_of(model)).intersection(model.learned["blend"].names)
    return {kind for name in weighted for kind in find_strategy(name).reads}


def strategies_with(config: Config) -> tuple[str, ...]:
    """Return the names of the strategies that a model with this configuration will support."""
    return tuple(spec.name for spec in _specs() if spec.lacks(config, methods_of(config)) is None)


def check_strategies(strategies: Iterable[str], config: Config) -> None:
    """Raise ConfigError, naming the missing setting, if a model with this configuration will not support a strategy."""
    for name in strategies:
        _find_with(name, config, methods_of(config))


def find_supported(name: str, model: TrainedModel) -> StrategySpec:
    """Return a strategy by name; raise ConfigError if there is none, or the model lacks what it needs."""
    for method in {name, name.rpartition("_")[0]}.intersection(model.config.methods):
        spec = find_method(method)
        if spec is None or (spec.learns and method not in (*model.learned, *_built_in())):
            raise ConfigError(f"{name} is of a plugin that was not loaded before the model; {LOAD}.", where="strategy")
    return _find_with(name, model.config, model.learned)


def _find_with(name: str, config: Config, methods: Collection[str]) -> StrategySpec:
    spec = find_strategy(name)
    if setting := spec.lacks(config, methods):
        raise ConfigError(
            f"{name} needs a model trained with {setting}; train one, or choose another strategy.", where="strategy"
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
