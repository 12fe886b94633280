"""The door of the public calls: what does not fit their annotations is told in a sentence that says what to pass."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cache, lru_cache, wraps
from numbers import Integral, Real
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from firstday.display import shorten
from firstday.errors import ArgumentError

C = TypeVar("C", bound=Callable[..., Any])

WHAT_TO_PASS = {
    "against": "a list of names of strategies",
    "config": "a fd.Config, such as fd.load_config('settings.toml')",
    "dataset": "what fd.load returns, such as fd.load('tables/')",
    "drop_bad_rows": "a share from 0 to 1, such as 0.01",
    "engine": "'local', 'spark' or None",
    "k": "a whole number from 1",
    "n_seeds": "a whole number from 1",
    "path": "a path as text",
    "progress": "True, None, or a function that takes a stage, the steps done and the steps in all",
    "recommender": "a model, such as fd.open_model('model/')",
    "specs": "a StrategySpec or a ColdModelSpec",
    "strategies": "a list of names of strategies, or of methods of your own",
    "strategy": "the name of a strategy, such as 'segment'",
    "tables": "a folder of tables, the name of a built-in dataset, or data frames by the names of their tables",
    "user": 'fd.Signals(...) or a dictionary such as {"age": 24}',
    "vectors": "an array of numbers of shape (n, d)",
    "users": 'a dictionary from user ids to what is known, such as {"u1": {"age": 24}}, or a list of that; '
    "of frames: fd.recommend_batch",
}
"""By the name of an argument, which means the same in every call."""


def checked(callee: C) -> C:
    """Make a function or a class refuse arguments that it does not have, that are missing, or of another type.

    `firstday` does so to each of its public names when it is first used; within the package nothing is checked twice.
    The types are those of the annotations.
    """
    if isinstance(callee, type):
        callee.__init__ = _guard(callee.__init__, callee)  # type: ignore[misc]
        return callee
    return _guard(callee, callee)


def _guard(function: C, home: Any) -> C:
    signature = inspect.signature(function)

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            bound = signature.bind(*arguments, **named)
        except TypeError:
            raise ArgumentError(_tell_misfit(home.__name__, signature, arguments, named)) from None
        hints = _hints(home)
        for name, value in bound.arguments.items():
            if name not in hints:
                continue
            starred = signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
            for part in value if starred else (value,):
                if not _fits(part, hints[name]):
                    advice = _advise(name, hints[name])
                    if name in ("dataset", "recommender") and isinstance(part, str):  # what opens it
                        advice = "".join((advice.partition("'")[0], repr(part), advice.rpartition("'")[2]))
                    raise ArgumentError(f"{home.__name__}: {name} is {shorten(part)}; give {advice}.")
        return function(*arguments, **named)

    return call  # type: ignore[return-value]


@cache
def _hints(home: Any) -> Mapping[str, Any]:
    """Return the types of a function's or a class's arguments; what only type checkers can resolve is left out."""
    hints: dict[str, Any] = {}
    for part in reversed(home.__mro__) if isinstance(home, type) else (home,):
        scope = vars(sys.modules[part.__module__])
        for name, hint in inspect.get_annotations(part).items():
            with suppress(NameError):
                holder = SimpleNamespace(__annotations__={name: hint})
                hints |= get_type_hints(holder, scope, include_extras=True)
    return hints


def _tell_misfit(name: str, signature: inspect.Signature, arguments: Sequence[Any], named: Mapping[str, Any]) -> str:
    """Say which arguments are unknown, missing or too many."""
    parameters = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    names = [parameter.name for parameter in parameters]
    for given in named:
        if given not in names:
            return f"{name}: there is no {given!r}; {suggest(given, names)}"
    missing = [
        parameter.name
        for place, parameter in enumerate(parameters)
        if parameter.default is parameter.empty
        and parameter.name not in named
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and (place >= len(arguments) - ("self" in signature.parameters) or parameter.kind is parameter.KEYWORD_ONLY)
    ]
    if missing:
        return f"{name}: {missing[0]} is missing; give {WHAT_TO_PASS.get(missing[0], missing[0] + '=...')}."
    in_order = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    order = f"takes {', '.join(in_order)} in this order" if in_order else "takes nothing by order"
    return f"{name}: there are too many arguments, or one is given twice; it {order}, and the others by name."


def suggest(name: str, names: Sequence[str]) -> str:
    """Return "did you mean 'config'?", or which names there are: the end of a sentence."""
    near = get_close_matches(name, names, 1)
    return f"did you mean {near[0]!r}?" if near else f"choose of {', '.join(names)}."


@lru_cache(1024)  # requests may name the same unknown column again and again
def hint_at(name: str, names: tuple[str, ...]) -> str:
    """Return " (did you mean 'config'?)", or nothing where no name is near: a part of a sentence."""
    near = get_close_matches(name, names, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _advise(name: str, hint: Any) -> str:
    """Say what an argument may be."""
    if name in WHAT_TO_PASS:
        return WHAT_TO_PASS[name]
    kinds = ("None" if part is NoneType else getattr(part, "__name__", str(part)) for part in _union(hint))
    return f"a value of the type {' or '.join(kinds)}"


def _union(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    """Tell whether a value is of an annotated type; of types that cannot be told at run time everything is."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Annotated:
        return _fits(value, parts[0])
    if origin is Literal:
        return value in parts if isinstance(value, str | int | NoneType) else False
    if hint in (int, float):
        return isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if origin is Sequence:
        is_sequence = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return is_sequence and all(_fits(part, parts[0]) for part in value)
    if getattr(hint, "_is_protocol", False):
        return all(hasattr(value, name) for name in vars(hint) if not name.startswith("_"))
    kind = origin or hint
    return isinstance(value, kind) if isinstance(kind, type) else True
