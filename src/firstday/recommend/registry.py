"""Registry of methods: built-in, from installed packages, and from plugins.

Packages declare methods as entry points in the groups ``firstday.strategies``, ``firstday.cold_models`` and
``firstday.shared_values``, in pyproject.toml::

    [project.entry-points."firstday.strategies"]
    my_strategy = "my_package.my_module:MY_STRATEGY"

So does firstday itself. A method is imported on first use.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, distribution, entry_points
from itertools import chain
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from firstday.errors import ConfigError, hint_at
from firstday.plugins import load_entry
from firstday.recommend.plugin_checks import guard
from firstday.recommend.spec import PAPER_SEGMENT, ColdModelSpec, Method, SharedValueSpec, StrategySpec

AnyMethod = StrategySpec | ColdModelSpec | SharedValueSpec
KINDS: tuple[type[AnyMethod], ...] = (StrategySpec, ColdModelSpec, SharedValueSpec)
Entry = tuple[type[AnyMethod], str]
"""Kind and import path of a method that is not imported yet."""
Registry = dict[str, AnyMethod | Entry]
DERIVED_STRATEGIES = ("vectors:personal_strategy", "segments:segment_strategy")
"""Functions that make the two strategies of a cold model, imported on first use."""


@cache
def _built_in() -> dict[str, Entry]:
    """Return where to import firstday's own methods, by name: by kind, then sorted by name."""
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
        if find_method(spec.name) is not spec:  # third-party methods are guarded copies
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


def import_own(kind: str, path: str) -> Any:
    """Import a module, given as ``module:``, or what it defines, ``module:name``; the current folder is also searched.

    Raise ConfigError, which begins with `kind`, if it cannot be imported.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return resolve_name(path)
    except Exception as error:
        text = f"{path.rstrip(':')} cannot be imported ({type(error).__name__}: {error})"
        raise ConfigError(f"{kind}: {text}; check its name and code.") from error


def load_plugin(module: str) -> tuple[str, ...]:
    """Import a module, register the methods at its top level that are not built in, and return their names.

    `module` is a dotted name; the current folder is also searched. Raise ConfigError if it cannot be imported or has no
    such method.
    """
    contents = vars(import_own("plugin", f"{module}:")).values()
    methods = [value for value in contents if isinstance(value, AnyMethod)]
    specs = [method for method in methods if find_method(method.name) is not method]
    if not specs:
        raise ConfigError(f"plugin: {module} has no StrategySpec or ColdModelSpec; define one at its top level.")
    register(*specs)
    return tuple(dict.fromkeys(spec.name for spec in specs))


def find_method(name: str) -> AnyMethod | None:
    """Return a method, importing it if needed; None if there is none. Strategies of cold models are not methods."""
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
    return guard(load_entry(EntryPoint(name, path, f"firstday.{kind.section}"), kind))


def strategy_names() -> tuple[str, ...]:
    """Return the names of all strategies."""
    return _list_strategies(_registry())


def method_names() -> tuple[str, ...]:
    """Return the names of all methods."""
    return tuple(_registry())


def is_plugin(name: str) -> bool:
    """Return whether a strategy or method is registered and not built in."""
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
    raise report_unknown("strategy", name, strategy_names())


def report_unknown(setting: str, name: str, names: tuple[str, ...]) -> ConfigError:
    """Return the error for an unknown name of a method, given the names to choose from."""
    return ConfigError(
        f"{name!r} is unknown{hint_at(name, names)}; choose one of {', '.join(names)}, or add your own with "
        "--plugin MODULE or firstday.register.",
        where=setting,
    )


@cache
def _derived_strategies(cold_model: ColdModelSpec) -> dict[str, StrategySpec]:
    """Return the two strategies of a cold model, by name."""
    is_built_in = cold_model.name in _built_in()
    strategies = {}
    for path in DERIVED_STRATEGIES:
        strategy: StrategySpec = resolve_name(f"firstday.methods.{path}")(cold_model)
        strategies[strategy.name] = strategy if is_built_in else guard(strategy)
    return strategies
