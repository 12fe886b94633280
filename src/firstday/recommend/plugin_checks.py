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
from firstday.recommend.component import Lift, Scores, Shares
from firstday.recommend.query import Answer, Query, check_numbers
from firstday.recommend.spec import Method, StrategySpec

M = TypeVar("M", bound=Method)
OURS = str(Path(__file__).parents[1])


def guard(spec: M) -> M:
    """Return the method with checks of its results; exceptions become FirstdayErrors that name the line in its code."""

    def guarded(step: str, function: Callable[..., Any], check: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            try:
                return check(function(*arguments, **options), *arguments)
            except (FirstdayError, MemoryError):
                raise
            except Exception as error:
                theirs = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith(OURS)]
                lines = [frame.lineno for frame in theirs if frame.filename == theirs[0].filename]
                where = f" ({Path(theirs[0].filename).name}, line {lines[-1]})" if theirs else ""
                text = f"{type(error).__name__}: {str(error).rstrip('.')}"
                raise FirstdayError(f"{spec.label}: {step} raised {text}{where}; fix it there.") from error

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
        if spec.component is not None:
            changes["component"] = guarded("component", spec.component, partial(check_component, spec.label))
        if spec.reason is not None:
            changes["reason"] = guarded("reason", spec.reason, lambda reason, _: reason)
        if spec.search is not None and spec.search.prepare is not None:
            prepare = guarded("prepare", spec.search.prepare, lambda fit, _: guarded("fit", fit, check_value))
            changes["search"] = replace(spec.search, prepare=prepare)
    return replace(spec, **changes)


def check_component(
    method: str, part: Shares | Lift | Scores, query: Query, rows: np.ndarray
) -> Shares | Lift | Scores:
    """Return a component for some rows of a query; raise FirstdayError if it has another type or shape."""
    if not isinstance(part, Shares | Lift | Scores):
        raise FirstdayError(f"{method}: component returned a {type(part).__name__}; return Shares, a Lift or Scores.")
    if isinstance(part, Scores):

        def score(chosen: np.ndarray) -> np.ndarray:
            scores = part.at(chosen)
            check_numbers(f"{method}: component's scores", scores, chosen.shape)
            return scores

        return replace(part, at=score)
    shape = (len(rows), query.model.n_items)
    if (part.rows.n_rows, part.rows.n_columns) != shape:
        found = (part.rows.n_rows, part.rows.n_columns)
        raise FirstdayError(f"{method}: component's rows have shape {found}; return shape {shape}.")
    if isinstance(part, Shares):
        check_numbers(f"{method}: component's background", part.background, shape[1:])
    return part


def check_answer(method: str, answer: Answer, query: Query) -> Answer:
    """Return the answer to a query; raise FirstdayError if an array or the list of an answered user is invalid."""
    if not isinstance(answer, Answer):
        raise FirstdayError(f"{method}: recommend returned a {type(answer).__name__}; return a firstday.Answer.")
    shape = (query.n_users, query.k)
    n_items = query.model.n_items
    check_numbers(f"{method}: items", answer.items, shape, "iu")
    check_numbers(f"{method}: scores", answer.scores, shape)
    if np.size(answer.propensities):
        check_numbers(f"{method}: propensities", answer.propensities, shape)
    if np.shape(answer.routes) != shape[:1]:
        raise FirstdayError(f"{method}: routes have shape {np.shape(answer.routes)}; return shape {shape[:1]}.")
    users = np.flatnonzero(answer.routes != "")
    items = answer.items[users].astype(np.int64)
    excluded = query.without_impressions.excluded.take(users)
    distinct, _ = first_distinct(items, answer.scores[users], query.k)
    is_invalid = (items != distinct) | (items >= n_items) | excluded.has(items)
    if is_invalid.any():
        row, rank = np.argwhere(is_invalid)[0]
        raise FirstdayError(
            f"{method}: the list in row {users[row]} has item {items[row, rank]} at rank {rank + 1}; list items from 0 "
            f"to {n_items - 1} without those of query.excluded, each once, then -1."
        )
    return answer
