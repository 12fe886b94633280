"""Tuning of baselines: every combination of their options, judged on validation users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np

from firstday.baselines.als_fold_in import ALS_FOLD_IN
from firstday.baselines.ease import EASE
from firstday.baselines.item_item import ITEM_ITEM
from firstday.baselines.mult_dae import MULT_DAE
from firstday.baselines.scorer import ItemScorer, PeerKind, PeerTraining, as_strategy, most_used_items
from firstday.baselines.user_user import USER_USER
from firstday.metrics import PrecisionRule, measure
from firstday.recommend.query import Query, Strategy
from firstday.recommend.strategies import answer_all
from firstday.sparse import SparseRows


@dataclass(frozen=True)
class Tuning:
    """How the options of a peer were chosen, on validation users alone.

    Parameters
    ----------
    grid
        Values of each option; every combination was fitted.
    options
        What was chosen.
    precision
        Precision of that on the validation users, in %.
    n_users
        How many validation users.
    fit_seconds
        Time to fit with the options chosen, from the start.
    tune_seconds
        Time to fit and judge the whole grid.
    n_items
        How many items the peer ranks; None: all that warm users use.
    """

    grid: Mapping[str, tuple[Any, ...]]
    options: Mapping[str, Any]
    precision: float
    n_users: int
    fit_seconds: float
    tune_seconds: float
    n_items: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what differs from seed to seed as JSON values."""
        return {
            "options": dict(self.options),
            "validation_precision": round(self.precision, 4),
            "n_validation": self.n_users,
            "fit_seconds": round(self.fit_seconds, 3),
            "tune_seconds": round(self.tune_seconds, 3),
            "n_items": self.n_items,
        }


@dataclass(frozen=True, eq=False)
class TunedPeer:
    """A fitted peer as a strategy, and how it was tuned."""

    recommend: Strategy
    tuning: Tuning


KINDS: Mapping[str, PeerKind] = {
    "item_item": ITEM_ITEM,
    "user_user": USER_USER,
    "ease": EASE,
    "als_fold_in": ALS_FOLD_IN,
    "mult_dae": MULT_DAE,
}
"""Every peer by the name of its strategy."""
MOST_USERS = 2_000
"""Validation users that are looked at, at most."""


def tune_peers(
    names: Sequence[str],
    uses: SparseRows,
    affinity: SparseRows,
    validation: Query,
    truth: SparseRows,
    *,
    divide_by: PrecisionRule = "min",
    kinds: Mapping[str, PeerKind] = KINDS,
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> dict[str, TunedPeer]:
    """Fit peers on warm users and choose their options on validation users.

    Parameters
    ----------
    names
        Which peers.
    uses, affinity
        Of the warm users, see `PeerTraining`.
    validation
        Validation users, asking a trained model for lists.
    truth
        What they used afterwards, shape (n_validation, n_items).
    divide_by
        See `firstday.metrics.measure`.
    kinds
        What there is to choose of.
    progress
        Called with the peer's name, combinations done, and combinations in all.

    Returns
    -------
    dict
        By name; among combinations that are equally good the first is kept.
    """
    rows = np.arange(min(validation.n_users, MOST_USERS))
    asked, wanted = validation.take(rows), truth.take(rows)
    config = validation.model.config

    def validate(scorer: ItemScorer) -> float:
        lists = answer_all(asked, as_strategy("peer", scorer)).items
        return 100 * float(measure(lists, wanted, divide_by=divide_by).precision.mean())

    training = PeerTraining(uses, affinity, validate, config.seed, config.threads)
    found = {}
    for name in names:

        def told(done: int, total: int, name: str = name) -> None:
            progress(name, done, total)

        found[name] = _tune(name, kinds[name], training, len(rows), told)
    return found


def _tune(
    name: str, kind: PeerKind, training: PeerTraining, n_users: int, progress: Callable[[int, int], None]
) -> TunedPeer:
    """Choose the options of one peer, then fit it with them from the start, to tell how long that takes."""
    began = perf_counter()
    fit = kind.prepare(training)
    combinations = [dict(zip(kind.grid, values, strict=True)) for values in product(*kind.grid.values())]
    best, chosen = -1.0, combinations[0]
    for done, options in enumerate(combinations):
        progress(done, len(combinations))
        precision = training.validate(fit(**options))
        if precision > best:
            best, chosen = precision, options
    progress(len(combinations), len(combinations))
    del fit  # what it shares is as large as a peer
    tuned = perf_counter()
    scorer = kind.prepare(training)(**chosen)
    done_at = perf_counter()
    n_items = len(most_used_items(training.uses)) if kind.restricted else None
    tuning = Tuning(kind.grid, chosen, best, n_users, done_at - tuned, tuned - began, n_items)
    return TunedPeer(as_strategy(name, scorer), tuning)
