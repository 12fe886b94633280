"""Signs that tables are damaged: what the current model knows is no longer in them.

A new model fits whatever tables it is trained on, so a comparison of models does not notice ids that were joined with
the wrong key. Each sign is a share, measured on tonight's tables with the current model, and compared with its value
when that model was published. Earlier nights determine which falls are usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.splits.split import Actions
from firstday.data.user_rows import NEVER
from firstday.embed.embeddings import select_uses
from firstday.features.catalogue import map_columns
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows, contains
from firstday.training.column_signs import COLUMN, measure_columns

SIGNS = {
    "kept uses": "uses by users of the current model that the tables still have",
    "known items": "uses of items that the current model knows",
    "item counts": "numbers of users of each item that the tables still have",
    "times": "numbers of interactions by month and hour that the tables still have",
    "other users": "interactions that are not of the most active user",
    "other items": "users who do not use the most used item",
    "registrations": "users who did not register at the most frequent time",
    "similar items": "similarity of the items that one user uses",
    "precision": "precision of the current model on held-out users",
    "item columns": "items that still have their value of",
}
"""What each sign measures; each item column has one."""
KEPT_SIGNS = ("kept uses", "known items", "item counts")
"""Signs that are 1 for the tables that a model was trained on."""
USUAL_FALL = 0.05
"""Relative fall of a sign that is usual in any log."""
NOISE = {"registrations": 6.0, "similar items": 4.0, "precision": 6.0}
"""Factors on the usual fall of signs that vary by chance, or on a day of many newcomers, if times are dates."""
NEW = "new rows: "
"""Prefix of the signs of rows that are newer than the current model."""
NEW_FALL = 0.6
"""Fall of a sign of new rows that is usual, as nights differ."""
FIRST_ALLOWANCE = 3.0
"""Factor on usual falls before any night was recorded."""
NIGHT_ALLOWANCE = 4.0
"""Multiple of the largest recorded fall per night that is still usual."""
MAX_FALL = 0.9
"""A larger fall is never usual, but for a column that has fallen by more."""
COLUMN_FALL = 0.5
"""Fall of the sign of a column that is usual, in any number of nights: most items have the same value."""
N_NIGHTS = 14
"""Number of recorded nights."""
MIN_NEW_ROWS = 300
"""Number of new uses from which they have signs of their own."""
MIN_USERS, MAX_USERS = 100, 5_000
"""Bounds of the number of users with several items on whom similarity is measured; the minimum also for precision."""


@dataclass(frozen=True)
class SignRecord:
    """What a model stores for the next refresh; without a record, the signs that are 1 for any tables.

    Parameters
    ----------
    values
        Value of each sign, for the tables that the model was made from.
    nights
        Relative falls of each sign per night, and of the signs of columns, of the last `N_NIGHTS` refreshes.
    times
        Numbers of interactions, see `count_times`.
    end_us
        End of the log, in microseconds since 1970.
    """

    values: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(KEPT_SIGNS, 1.0))
    nights: Mapping[str, list[float]] = field(default_factory=dict)
    times: Mapping[str, int] = field(default_factory=dict)
    end_us: int | None = None


def measure_signs(
    model: TrainedModel,
    dataset: Dataset,
    times: Mapping[str, int],
    times_before: Mapping[str, int],
    end_us: int | None = None,
) -> dict[str, float]:
    """Return the value of each sign but precision, from 0 to 1.

    `times` are the `count_times` of the dataset, and `times_before` those of the tables that the model was trained on;
    `end_us` is the end of their log, None for no signs of new rows.
    """
    actions = dataset.actions()
    uses = _uses(model, dataset, actions)
    signs = _measure_rows(model, dataset, actions, uses) | measure_columns(model.catalogue, dataset)
    if times_before:
        n_rows = np.array([(times.get(name, 0), n) for name, n in times_before.items()])
        signs["times"] = _share_kept(n_rows[:, 0], n_rows[:, 1])
    if dataset.registered_at is not None:
        _, n_registered = np.unique(dataset.registered_at[dataset.registered_at >= 0], return_counts=True)
        signs["registrations"] = 1 - float(n_registered.max(initial=0) / max(1, n_registered.sum()))
    if model.warm is not None:
        users = dataset.find_users(model.warm.ids.values)
        rows = np.flatnonzero(users >= 0)
        known = map_columns(uses.take(users[rows]), dataset.items, model.catalogue.items)
        n_kept = contains(known, model.warm.uses.take(rows)).sum()
        signs["kept uses"] = float(n_kept / max(1, model.warm.uses.n_entries))
    if end_us is not None:
        n_users = len(dataset.users)
        new = dataset.actions(Window(np.full(n_users, end_us + 1), np.full(n_users, NEVER)))
        new_uses = _uses(model, dataset, new)
        if new_uses.n_entries >= MIN_NEW_ROWS:
            of_new = _measure_rows(model, dataset, new, new_uses, are_new=True)
            signs |= {f"{NEW}{name}": value for name, value in of_new.items()}
    return signs


def count_times(dataset: Dataset) -> dict[str, int]:
    """Return the number of interactions by month, and by hour of the day."""
    time = pl.col("timestamp").dt
    hours = dataset.events.rows.lazy().group_by(time.truncate("1h")).len().drop_nulls().collect()
    counts: dict[str, int] = {}
    for form in ("%Y-%m", "%H h"):
        counts |= dict(hours.group_by(time.strftime(form)).agg(pl.sum("len")).sort("timestamp").rows())
    return counts


def _uses(model: TrainedModel, dataset: Dataset, actions: Actions) -> SparseRows:
    return select_uses(actions, model.config.signals, len(dataset.users), len(dataset.items))


def _measure_rows(
    model: TrainedModel, dataset: Dataset, actions: Actions, uses: SparseRows, *, are_new: bool = False
) -> dict[str, float]:
    """Return the signs of interactions, given the uses among them.

    The item counts of new ones are scaled to the total of the model's.
    """
    known = map_columns(uses, dataset.items, model.catalogue.items)
    counts = known.column_sums()
    counts_before = model.everyone.counts.column_sums()
    if are_new:
        counts = counts * (counts_before.sum() / max(1, counts.sum()))
    per_user = np.zeros(len(dataset.users))
    for rows in actions.values():
        per_user += np.bincount(rows.row_of_entry(), rows.weights, rows.n_rows)
    signs = {
        "known items": known.n_entries / max(1, uses.n_entries),
        "item counts": _share_kept(counts, counts_before),
        "other users": 1 - float(per_user.max(initial=0) / max(1.0, per_user.sum())),
        "other items": 1 - float(uses.column_sums().max(initial=0) / max(1, np.count_nonzero(uses.lengths()))),
    }
    users = np.flatnonzero(known.lengths() > 1)
    if len(users) >= MIN_USERS:
        users = np.random.default_rng(0).permutation(users)[:MAX_USERS]
        signs["similar items"] = _measure_similarity(model, known.take(users))
    return signs


def _share_kept(counts: np.ndarray, counts_before: np.ndarray) -> float:
    """Return the share of earlier counts that are still there, from 0 to 1: in a log that only grows, 1."""
    return float(np.minimum(counts, counts_before).sum() / max(1, counts_before.sum()))


def _measure_similarity(model: TrainedModel, uses: SparseRows) -> float:
    """Return how much closer two halves of a user's items are than halves of different users, as half a cosine."""
    is_odd = uses.rank_within_rows() % 2 == 1
    halves = [unit_rows(uses.keep(mask).mean_vectors(model.scoring_vectors)) for mask in (is_odd, ~is_odd)]
    of_same, of_others = ((halves[0] * np.roll(halves[1], step, axis=0)).sum(axis=1).mean() for step in (0, 1))
    return max(0.0, float(of_same - of_others) / 2)


def compare_signs(signs: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """Return the relative fall of each sign that has a value above 0 before and now; that of a column was 1."""
    before = {**{sign: 1.0 for sign in signs if sign.startswith(COLUMN)}, **before}
    return {sign: max(0.0, 1 - signs[sign] / value) for sign, value in before.items() if value and sign in signs}


def find_unusual(falls: Mapping[str, float], nights: Mapping[str, list[float]], n_nights: float) -> dict[str, float]:
    """Return the usual fall of each sign that fell by more.

    `nights` are the recorded falls per night, and `n_nights` is the number of nights since the model's log ended.
    """
    limits = {sign: _find_limit(sign, nights.get(sign, []), n_nights) for sign in falls}
    return {sign: limits[sign] for sign, fall in falls.items() if fall > limits[sign]}


def _find_limit(sign: str, recorded: list[float], n_nights: float) -> float:
    """Return the usual fall of a sign, given those recorded per night; of a column, per refresh."""
    if sign.startswith(NEW):
        return NEW_FALL
    worst = max(recorded, default=0.0)
    if sign.startswith(COLUMN):
        return max(COLUMN_FALL, worst, min(NIGHT_ALLOWANCE * worst, MAX_FALL))
    usual = USUAL_FALL * NOISE.get(sign, 1.0)
    limit = max(usual, NIGHT_ALLOWANCE * n_nights * worst) if recorded else FIRST_ALLOWANCE * usual * n_nights
    return min(limit, MAX_FALL)


def describe_unusual(unusual: Mapping[str, float], signs: Mapping[str, float], before: Mapping[str, float]) -> str:
    """Describe the signs that `find_unusual` returns."""
    return "; ".join(
        f"{_describe(sign)}: {100 * signs[sign]:.1f} %, previously {100 * before.get(sign, 1.0):.1f} % (usual falls "
        f"are up to {100 * usual:.0f} % of it)"
        for sign, usual in unusual.items()
    )


def _describe(sign: str) -> str:
    if sign.startswith(COLUMN):
        return f"{SIGNS['item columns']} {sign.removeprefix(COLUMN)}"
    return f"{NEW if sign.startswith(NEW) else ''}{SIGNS[sign.removeprefix(NEW)]}"


def record_night(
    falls: Mapping[str, float], nights: Mapping[str, list[float]], n_nights: float
) -> Mapping[str, list[float]]:
    """Return the recorded falls per night by sign, with those of tonight unless the tables are unchanged."""
    if not any(falls.values()):
        return nights
    recorded = dict(nights)
    for sign, fall in falls.items():
        n = 1 if sign.startswith(COLUMN) else n_nights
        recorded[sign] = [*nights.get(sign, []), round(fall / n, 4)][-N_NIGHTS:]
    return recorded
