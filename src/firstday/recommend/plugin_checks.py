"""Checks on third-party methods: exceptions and invalid results become one-sentence errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar

import numpy as np

from firstday.errors import FirstdayError
from firstday.ranking import first_distinct
from firstday.recommend.component import Lift, Part, Scores, Shares
from firstday.recommend.query import Answer, Query, check_numbers
from firstday.recommend.spec import Method, OptionSearch

M = TypeVar("M", bound=Method)
OURS = str(Path(__file__).parents[1])


def guard(spec: M) -> M:
    """Return the method with checks of its results; exceptions become FirstdayErrors that name the line in its code."""
    label = spec.label
    check_value = partial(_check_value, label, spec.value)
    checks: dict[str, Callable[..., Any]] = {
        "fit": check_value,
        "choose": partial(_check_choice, check_value),
        "recommend": partial(check_answer, label),
        "component": partial(check_component, label),
        "reason": lambda reason, _: reason,
    }
    changes: dict[str, Any] = {}
    for step, check in checks.items():
        if function := getattr(spec, step, None):
            changes[step] = guard_step(label, step, function, check)
    search: OptionSearch | None = getattr(spec, "search", None)
    if search is not None and search.prepare is not None:
        guard_fit = partial(guard_step, label, "fit", check=check_value)
        prepare = guard_step(label, "prepare", search.prepare, lambda fit, _: guard_fit(fit))
        changes["search"] = replace(search, prepare=prepare)
    return replace(spec, **changes)


def guard_step(label: str, step: str, function: Callable[..., Any], check: Callable[..., Any]) -> Callable[..., Any]:
    """Return someone's function with its results checked; `check` takes the result and the arguments."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return check(function(*arguments, **options), *arguments)
        except (FirstdayError, MemoryError):
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {str(error).rstrip('.')}"
            raise FirstdayError(f"{label}: {step} raised {text}{_locate(error)}; fix it there.") from error

    return call


def _locate(error: Exception) -> str:
    """Return the file of the method and the last line reached in it; "" if none was reached."""
    theirs = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith(OURS)]
    if not theirs:
        return ""
    file = theirs[0].filename
    lines = [frame.lineno for frame in theirs if frame.filename == file]
    return f" ({Path(file).name}, line {lines[-1]})"


def _check_value(label: str, value_type: Any, value: Any, *_: Any) -> Any:
    """Return a learned value; raise FirstdayError if it has another type."""
    if not isinstance(value, value_type):
        raise FirstdayError(f"{label}: fit returned a {type(value).__name__}; return a {value_type.__name__}.")
    return value


def _check_choice(check_value: Callable[..., Any], choice: Any, *_: Any) -> Any:
    """Return what a method chose, and figures about it; raise FirstdayError if it has another type."""
    value, figures = choice
    return (None if value is None else check_value(value)), figures


def check_component(label: str, part: Part, query: Query, rows: np.ndarray) -> Part:
    """Return a component for some rows of a query; raise FirstdayError if it has another type or shape."""
    if isinstance(part, Scores):

        def score(chosen: np.ndarray) -> np.ndarray:
            scores = part.at(chosen)
            check_numbers(f"{label}: component's scores", scores, chosen.shape)
            return scores

        return replace(part, at=score)
    if not isinstance(part, Shares | Lift):
        raise FirstdayError(f"{label}: component returned a {type(part).__name__}; return Shares, a Lift or Scores.")
    shape = (part.rows.n_rows, part.rows.n_columns)
    expected = (len(rows), query.model.n_items)
    if shape != expected:
        raise FirstdayError(f"{label}: component's rows have shape {shape}; return shape {expected}.")
    check_numbers(f"{label}: component's weights", part.rows.weights, part.rows.columns.shape)
    if isinstance(part, Shares):
        check_numbers(f"{label}: component's background", part.background, expected[1:])
    return part


def check_answer(label: str, answer: Answer, query: Query) -> Answer:
    """Return the answer to a query; raise FirstdayError if an array or the list of an answered user is invalid."""
    if not isinstance(answer, Answer):
        raise FirstdayError(f"{label}: recommend returned a {type(answer).__name__}; return a firstday.Answer.")
    shape = (query.n_users, query.k)
    n_items = query.model.n_items
    check_numbers(f"{label}: items", answer.items, shape, "iu")
    check_numbers(f"{label}: scores", answer.scores, shape)
    for name, of_field in (("propensities", shape), ("levels", shape[:1])):
        if np.size(numbers := getattr(answer, name)):
            check_numbers(f"{label}: {name}", numbers, of_field)
    if np.shape(answer.routes) != shape[:1]:
        raise FirstdayError(f"{label}: routes have shape {np.shape(answer.routes)}; return shape {shape[:1]}.")
    users = np.flatnonzero(answer.routes != "")
    items = answer.items[users].astype(np.int64)
    distinct, _ = first_distinct(items, items, query.k)
    is_excluded = query.always_excluded.take(users).has(items)
    is_invalid = (items != distinct) | (items >= n_items) | is_excluded
    if is_invalid.any():
        row, rank = np.argwhere(is_invalid)[0]
        raise FirstdayError(
            f"{label}: the list in row {users[row]} has item {items[row, rank]} at rank {rank + 1}; list items from 0 "
            f"to {n_items - 1} without those of query.excluded, each once, then -1."
        )
    return answer
