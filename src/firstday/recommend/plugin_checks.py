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
from firstday.recommend.query import Answer, Query, check_numbers
from firstday.recommend.spec import Method, StrategySpec

M = TypeVar("M", bound=Method)
OURS = str(Path(__file__).parents[1])
"""Folder of the firstday package."""


def guard(spec: M) -> M:
    """Return the method with its functions wrapped by `call_third_party` and their results checked."""

    def guarded(step: str, function: Callable[..., Any], check: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            return check(call_third_party(spec.label, step, function, *arguments, **options), *arguments)

        return call

    def check_value(value: Any, *_: Any) -> Any:
        assert spec.value is not None  # set for methods that learn
        if not isinstance(value, spec.value):
            raise FirstdayError(f"{spec.label}: fit returned a {type(value).__name__}; return a {spec.value.__name__}.")
        return value

    changes: dict[str, Any] = {}
    if spec.fit is not None:
        changes["fit"] = guarded("fit", spec.fit, check_value)
    if isinstance(spec, StrategySpec):
        changes["recommend"] = guarded("recommend", spec.recommend, partial(check_answer, spec.label))
        if spec.reason is not None:
            changes["reason"] = guarded("reason", spec.reason, lambda reason, _: reason)
        if spec.search is not None:
            prepare = guarded("prepare", spec.search.prepare, lambda fit, _: guarded("fit", fit, check_value))
            changes["search"] = replace(spec.search, prepare=prepare)
    return replace(spec, **changes)


def call_third_party(method: str, step: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function of a method, such as ``strategy 'near'``; exceptions become a FirstdayError with the line."""
    try:
        return function(*arguments, **options)
    except (FirstdayError, MemoryError):
        raise
    except Exception as error:
        theirs = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith(OURS)]
        lines = [frame.lineno for frame in theirs if frame.filename == theirs[0].filename]
        where = f" ({Path(theirs[0].filename).name}, line {lines[-1]})" if theirs else ""
        text = f"{type(error).__name__}: {str(error).rstrip('.')}"
        raise FirstdayError(f"{method}: {step} raised {text}{where}; fix it there.") from error


def check_answer(method: str, answer: Answer, query: Query) -> Answer:
    """Return the answer to a query, or raise FirstdayError if it is invalid.

    It is invalid if it is not an `Answer`; if an array has the wrong shape or type; or if the list of a user with a
    route contains a duplicate, an item that does not exist, an item after an empty rank, or an excluded item other than
    one that was only passed over.
    """
    if not isinstance(answer, Answer):
        raise FirstdayError(f"{method}: recommend returned a {type(answer).__name__}; return a firstday.Answer.")
    shape, n_items = (query.n_users, query.k), query.model.n_items
    check_numbers(f"{method}: items", answer.items, shape)
    check_numbers(f"{method}: scores", answer.scores, shape)
    if answer.items.dtype.kind == "f":
        raise FirstdayError(f"{method}: items are {answer.items.dtype}; return integers, such as numpy.int32.")
    if np.shape(answer.routes) != shape[:1]:
        raise FirstdayError(f"{method}: routes have shape {np.shape(answer.routes)}; return shape {shape[:1]}.")
    users = np.flatnonzero(answer.routes != "")
    items = answer.items[users].astype(np.int64)
    ascending, excluded = np.sort(items, axis=1), query.without_impressions.excluded.take(users)
    for listed, at_fault, fault in (
        (items, (items < -1) | (items >= n_items), f"{{}}; list items from 0 to {n_items - 1}, and -1 after the last"),
        (items[:, 1:], (items[:, :-1] < 0) & (items[:, 1:] >= 0), "item {} after -1; put -1 after the last item"),
        (ascending[:, 1:], (np.diff(ascending) == 0) & (ascending[:, 1:] >= 0), "item {} twice; list each item once"),
        (items, excluded.has(items), "item {}, which is excluded; omit the items of query.excluded"),
    ):
        if at_fault.any():
            row, rank = np.argwhere(at_fault)[0]
            raise FirstdayError(f"{method}: the list in row {users[row]} has {fault.format(listed[row, rank])}.")
    return answer
