"""Signs that tables are damaged: what the current model knows is no longer in them.

A new model fits whatever tables it is trained on, so a comparison of models does not notice ids that were joined with
the wrong key. Each sign is a share, measured on tonight's tables with the current model, and compared with its value
when that model was published. Earlier nights determine which falls are usual.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.splits.split import Cohort
from firstday.data.user_rows import NEVER
from firstday.embed.embeddings import select_uses
from firstday.features.signals import map_columns
from firstday.metrics import measure
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.recommend.recommender import Recommender, answer_query
from firstday.sparse import SparseRows, contains
from firstday.training.fit import cohort_query

SIGNS = {
    "kept uses": ("uses by users of the current model that the tables still have", 0.05),
    "known items": ("uses of items that the current model knows", 0.05),
    "item shares": ("agreement of the items' shares of all uses", 0.05),
    "signal shares": ("agreement of the signals' shares of all interactions", 0.05),
    "times": ("agreement of the interactions' months and hours", 0.05),
    "other users": ("interactions that are not of the most active user", 0.05),
    "other items": ("users who do not use the most used item", 0.05),
    "similar items": ("similarity of the items that one user uses", 0.2),
    "precision": ("precision of the current model on held-out users", 0.3),
    "on day one": ("uses of held-out users on their day one", 0.2),
    "later": ("uses of held-out users after their day one", 0.2),
}
"""What each sign measures, and the largest relative fall that is usual for all models."""
NEW = "new rows: "
"""Prefix of the signs of rows that are newer than the current model."""
NEW_ALLOWANCE = 2.0
"""Factor on usual falls for new rows, as nights differ more than whole logs."""
FIRST_ALLOWANCE = 3.0
"""Factor on usual falls before any night was recorded."""
NIGHT_ALLOWANCE = 4.0
"""Multiple of the largest fall of the recorded nights that is still usual."""
MAX_FALL = 0.9
"""A larger fall is never usual."""
N_NIGHTS = 14
"""Number of nights whose falls are recorded."""
MIN_NEW_ROWS = 300
"""Number of new rows from which they have signs of their own."""
MIN_PAIRS = 30
"""Number of users with two items from which similarity is measured."""
MAX_PAIRS = 5_000


@dataclass(frozen=True)
class Fall:
    """A sign that fell by more than is usual."""

    sign: str
    value: float
    value_before: float
    usual: float

    def describe(self) -> str:
        """Describe the fall as the end of a sentence."""
        meaning, _ = SIGNS[self.sign.removeprefix(NEW)]
        where = "rows newer than the current model: " if self.sign.startswith(NEW) else ""
        return (
            f"{where}{meaning}: {100 * self.value:.1f} %, previously {100 * self.value_before:.1f} %, of which "
            f"{100 * self.usual:.0f} % may be lost between nights"
        )


def measure_signs(recommender: Recommender, dataset: Dataset, cohort: Cohort, end_us: int | None) -> dict[str, float]:
    """Return the value of each sign that can be measured, from 0 to 1.

    `cohort` are users new to the model. `end_us` is the end of the log that it was trained on, None if unknown.
    """
    model = recommender.model
    signs = _measure_rows(model, dataset, None)
    times_before: Mapping[str, int] = model.facts.get("data", {}).get("times", {})
    if times_before:
        signs["times"] = _overlap(*_shares(count_times(dataset), times_before))
    if end_us is not None and dataset.events.last is not None:
        starts = np.full(len(dataset.users), end_us + 1)
        new = Window(starts, np.full(len(dataset.users), NEVER))
        if sum(len(new.select(frame)) for frame in dataset.events.frames()) >= MIN_NEW_ROWS:
            of_new = _measure_rows(model, dataset, new)
            of_new.pop("kept uses", None)
            signs |= {f"{NEW}{name}": value for name, value in of_new.items()}
    if len(cohort):
        answer = answer_query(
            cohort_query(recommender, dataset, cohort, model.config.recommend.k), model.config.recommend.strategy
        )
        in_tables = np.append(dataset.items.lookup(model.catalogue.items.values), -1)
        signs["precision"] = float(measure(in_tables[answer.items], cohort.truth).precision.mean())
        n_later = cohort.truth.lengths()
        signs["later"] = float(np.mean(n_later / np.maximum(n_later + cohort.day_one_size, 1)))
        signs["on day one"] = 1 - signs["later"]
    return signs


def count_times(dataset: Dataset) -> dict[str, int]:
    """Return the number of interactions by month and by hour of the day."""
    times = dataset.events.rows.lazy().select(pl.col("timestamp")).drop_nulls()
    counts: dict[str, int] = {}
    for form in ("%Y-%m", "%H h"):
        counts |= dict(times.group_by(pl.col("timestamp").dt.strftime(form)).len().sort("timestamp").collect().rows())
    return counts


def _measure_rows(model: TrainedModel, dataset: Dataset, window: Window | None) -> dict[str, float]:
    """Return the signs of the rows in a window."""
    actions = dataset.actions(window)
    uses = select_uses(actions, model.config.signals, len(dataset.users), len(dataset.items))
    known = map_columns(uses, dataset.items, model.catalogue.items)
    share = known.column_sums() / max(1, uses.n_entries)
    expected = model.everyone.counts.column_sums()
    n_rows = {" x ".join(pair): float(rows.weights.sum(dtype=np.float64)) for pair, rows in actions.items()}
    n_expected: Mapping[str, int] = model.facts.get("data", {}).get("pairs", {})
    of_users = np.sum([_sum_rows(rows) for rows in actions.values()], axis=0)
    signs = {
        "known items": float(share.sum()),
        "item shares": _overlap(share, expected / max(1, expected.sum())),
        "signal shares": _overlap(*_shares(n_rows, n_expected)),
        "other users": 1 - float(of_users.max(initial=0) / max(1.0, of_users.sum())),
        "other items": 1 - float(uses.column_sums().max(initial=0) / max(1, np.count_nonzero(uses.lengths()))),
    }
    if model.warm is not None:
        users = dataset.users.lookup(model.warm.ids.values)
        is_user = users >= 0
        kept = contains(known.take(users[is_user]), model.warm.uses.take(np.flatnonzero(is_user)))
        signs["kept uses"] = float(kept.sum() / max(1, model.warm.uses.n_entries))
    if (similarity := _measure_similarity(model, known)) is not None:
        signs["similar items"] = similarity
    return signs


def _sum_rows(rows: SparseRows) -> np.ndarray:
    return np.bincount(rows.row_of_entry(), rows.weights, minlength=rows.n_rows)


def _shares(now: Mapping[str, float], before: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    names = sorted({*now, *before})
    counts = (np.array([numbers.get(name, 0) for name in names], dtype=np.float64) for numbers in (now, before))
    share, share_before = (values / max(1.0, values.sum()) for values in counts)
    return share, share_before


def _overlap(share: np.ndarray, share_before: np.ndarray) -> float:
    """Return the part that two distributions have in common, from 0 to 1."""
    return float(np.minimum(share, share_before).sum())


def _measure_similarity(model: TrainedModel, uses: SparseRows) -> float | None:
    """Return how much closer two halves of a user's items are than those of different users, as half a cosine.

    None with fewer than `MIN_PAIRS` users of two items.
    """
    users = np.flatnonzero(uses.lengths() >= 2)
    if len(users) < MIN_PAIRS:
        return None
    users = np.sort(np.random.default_rng(0).permutation(users)[:MAX_PAIRS])
    uses = uses.take(users)
    is_odd = uses.rank_within_rows() % 2 == 1
    halves = [unit_rows(uses.keep(mask).mean_vectors(model.scoring_vectors)) for mask in (is_odd, ~is_odd)]
    own = (halves[0] * halves[1]).sum(axis=1).mean()
    of_others = (halves[0] * np.roll(halves[1], 1, axis=0)).sum(axis=1).mean()
    return max(0.0, float(own - of_others) / 2)


def find_falls(
    signs: Mapping[str, float], before: Mapping[str, float], nights: Mapping[str, list[float]]
) -> Iterator[Fall]:
    """Yield the signs that fell by more than is usual, relative to the recorded falls of earlier nights."""
    for sign, value_before in before.items():
        if sign not in signs or not value_before:
            continue
        _, usual = SIGNS[sign.removeprefix(NEW)]
        usual *= NEW_ALLOWANCE if sign.startswith(NEW) else 1
        falls = nights.get(sign)
        limit = max(usual, NIGHT_ALLOWANCE * max(falls)) if falls else FIRST_ALLOWANCE * usual
        limit = min(limit, MAX_FALL)
        if 1 - signs[sign] / value_before > limit:
            yield Fall(sign, signs[sign], value_before, limit)


def record_night(
    signs: Mapping[str, float], before: Mapping[str, float], nights: Mapping[str, list[float]]
) -> dict[str, list[float]]:
    """Return the recorded falls by sign, with those of tonight unless the tables are unchanged."""
    falls = {sign: max(0.0, 1 - signs[sign] / value) for sign, value in before.items() if sign in signs and value}
    if not any(falls.values()):
        return dict(nights)
    return {sign: [*nights.get(sign, []), round(fall, 4)][-N_NIGHTS:] for sign, fall in falls.items()}
