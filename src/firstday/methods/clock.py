"""The log's clock: how much more recent use of an item counts than older use (not in the paper).

It is chosen on past newcomers, each with counts as of the first day.
Half-life and weight are chosen with popularity alone: the components of `blend` have learned from everyone's later use,
against which a clock would lose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np

from firstday.config import SignalConfig
from firstday.data.first_uses import FirstUses
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.split import Cohort
from firstday.display import readable
from firstday.methods.precision import MEASURED_LENGTHS, measure_prefixes
from firstday.model.trained_model import TrainedModel
from firstday.ranking import take_lists, top_k
from firstday.recommend.fold import Fold, TrainingRun, day_ends
from firstday.recommend.spec import Choice, SharedValueSpec
from firstday.sparse import SparseRows, union_rows
from firstday.tables.schema import DAY_US

HALF_LIVES = (3.5, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0, 730.0)
"""Candidate half-lives, in days."""
WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Candidate weights; 1 would assume that newcomers' tastes change as total use does."""
SETTINGS = tuple(product(HALF_LIVES, WEIGHTS))
MAX_CHANCE = 2.0
"""Number of standard errors up to which a gain may be chance."""
CAUTIOUS_WEIGHT = 0.5
"""Weight used where no gain is beyond chance, if there is any gain."""
MODEL_AGE_US = 7 * DAY_US
"""Typical time between the last count of a model and the end of a newcomer's day one."""
N_MOMENTS = 40
"""Number of moments, with equally many newcomers after each, as of which uses are counted."""
N_PERIODS = 12
"""Number of such moments for validation users."""
MIN_USES = 200
"""Number of uses below which no newcomers are judged."""
SMOOTHING = 0.25
"""Pseudo-uses, per item on average, added to the recent uses; each item gets them in proportion to all its uses."""


@readable
@dataclass(frozen=True, eq=False)
class Clock:
    """A term for each item, the same for every user: the weighted log ratio of its recent to its overall share of use.

    Parameters
    ----------
    half_life_days
        Age at which a use counts half as much for the recent share.
    weight
        Factor on the log ratio.
    is_kept
        Whether the lists use the terms; those of the strategy `recent` always do.
    terms
        float32, shape (n_items,).
    recent_factor
        How often the average use of the last half-life counts as much as the average use.
    gain, error
        Gain in precision of lists by popularity with the terms, on past newcomers other than those for whom half-life
        and weight were chosen, in points; and its standard error over weeks.
    n_users, n_weeks
        Number of these newcomers, and of the weeks of their first days.
    """

    half_life_days: float
    weight: float
    is_kept: bool
    terms: np.ndarray
    recent_factor: float
    gain: float
    error: float
    n_users: int
    n_weeks: int

    def to_json(self) -> Mapping[str, Any]:
        """Return all fields but the terms as JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "terms"}

    def describe(self) -> str:
        """Describe the clock and the evidence in one sentence."""
        days = f"{self.half_life_days:g} days"
        users = f"{self.n_users:,} past newcomers of {self.n_weeks:,} week{'s' * (self.n_weeks != 1)}"
        if self.n_weeks < 2:
            return f"Too few past newcomers have a log before them to judge recent use: {users}."
        points = f"{self.gain:+.2f} points, standard error {self.error:.2f}"
        if not self.is_kept:
            return f"Recent use does not improve lists here: lists by popularity gain {points}, for {users}."
        return (
            f"An item's use in the last {days} counts {self.recent_factor:.1f} times as much as its average use: lists "
            f"by popularity gain {points}, for {users}."
        )


def clock_of(model: TrainedModel) -> Clock | None:
    """Return the clock of a model; None without times."""
    clock: Clock | None = model.learned.get("clock")
    return clock


def clock_terms(model: TrainedModel) -> np.ndarray | None:
    """Return the terms that lists use, float32, shape (n_items,); None if they use none."""
    clock = clock_of(model)
    return clock.terms if clock is not None and clock.is_kept else None


def clock_factors(model: TrainedModel) -> np.ndarray:
    """Return the factors by which the clock multiplies shares, float32, shape (n_items,); see `TrainedModel.derive`."""
    clock = clock_of(model)
    return np.ones(model.n_items, np.float32) if clock is None else np.exp(clock.terms)


def learn_clock(run: TrainingRun) -> Choice:
    """Choose the clock on the newest past newcomers; there is none without times."""
    if run.first_uses is None or run.split.newest is None:
        return None, {}
    clock = choose_clock(run.first_uses, run.split.newest, run.model.config.signals)
    return clock, {"clock": clock.to_json()}


def choose_clock(first_uses: FirstUses, newest: Cohort, signals: SignalConfig) -> Clock:
    """Choose half-life and weight on past newcomers, or the half-life alone with a cautious weight."""
    gains, weeks = measure_gains(first_uses, newest, signals)
    _, week = np.unique(weeks, return_inverse=True)
    cautious = np.array([weight == CAUTIOUS_WEIGHT for _, weight in SETTINGS])
    best, gain, error = judge(gains, week)
    is_kept = gain > MAX_CHANCE * error
    if not is_kept:
        cautious_best, cautious_gain, cautious_error = judge(gains[cautious], week)
        if cautious_gain > 0:
            best = int(np.flatnonzero(cautious)[cautious_best])
            gain, error, is_kept = cautious_gain, cautious_error, True
    half_life, weight = SETTINGS[best]
    return Clock(
        half_life,
        weight,
        is_kept,
        measure_terms(first_uses, half_life, weight),
        _measure_factor(first_uses, half_life, weight),
        round(gain, 4),
        round(error, 4),
        len(week),
        len(np.unique(week)),
    )


def judge(gains: np.ndarray, week: np.ndarray) -> tuple[int, float, float]:
    """Return the setting that gains most, and the mean gain of such a choice with its standard error.

    As newcomers of a week are alike, the choice is made on the even weeks for the odd ones, and the reverse; without
    two weeks there is no gain. `gains` have shape (n_settings, n_users), `week` is numbered from 0, shape (n_users,).
    """
    if not week.any():
        return 0, 0.0, 0.0
    judged = np.empty(len(week))
    for half in (week % 2 == 0, week % 2 == 1):
        judged[~half] = gains[gains[:, half].mean(axis=1).argmax(), ~half]
    return int(gains.mean(axis=1).argmax()), *mean_by_week(judged, week)


def measure_gains(first_uses: FirstUses, newest: Cohort, signals: SignalConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the gain in precision of each setting over plain popularity, in points, and the week of each newcomer.

    They have shape (n_settings, n_users) and (n_users,); see `measure_newest`.
    """
    precision, weeks = measure_newest(first_uses, newest, signals, score_settings, 1 + len(SETTINGS))
    return 100 * (precision[1:] - precision[0]), weeks


def score_settings(past: FirstUses) -> list[np.ndarray]:
    """Return the scores of the items by popularity, then by each setting."""
    with np.errstate(divide="ignore"):
        plain = np.log(past.n_users)
    scores = [plain]
    for half_life in HALF_LIVES:
        ratios = measure_terms(past, half_life, 1)
        scores += [plain + weight * ratios for weight in WEIGHTS]
    return scores


def measure_newest(
    first_uses: FirstUses,
    newest: Cohort,
    signals: SignalConfig,
    score: Callable[[FirstUses], Sequence[np.ndarray]],
    n_scores: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the precision of lists for the newest past newcomers, from 0 to 1, and the week of each newcomer.

    `score` returns `n_scores` arrays of scores of all items from counts as of a week before the end of day one. The
    results have shape (n_scores, n_users), the mean over lists of `MEASURED_LENGTHS`, and (n_users,). Only items count
    that were used before; users without any in their truth are left out.
    """
    assert newest.day_end_us is not None
    used = unite_uses(newest.day_one, signals)
    precision = [np.zeros((n_scores, 0))]
    weeks = [np.zeros(0, dtype=np.int64)]
    for moment, users in divide_by_time(newest.day_end_us, N_MOMENTS):
        past = first_uses.until(moment)
        n_users = past.n_users
        if n_users.sum() < MIN_USES:
            continue
        truth = newest.truth.take(users)
        truth = truth.keep(n_users[truth.columns] > 0)
        rows = np.flatnonzero(truth.lengths())
        truth = truth.take(rows)
        excluded = used.take(users[rows])
        if newest.unavailable is not None:
            unavailable = newest.unavailable.take(users[rows])
            excluded = union_rows([excluded, unavailable.keep(n_users[unavailable.columns] > 0)])
        scores = np.array(score(past), dtype=np.float32)
        precision.append(_measure_lists(scores, excluded, truth).reshape(n_scores, -1))
        weeks.append(newest.day_end_us[users[rows]] // (7 * DAY_US))
    return np.concatenate(precision, axis=1), np.concatenate(weeks)


def divide_by_time(day_end_us: np.ndarray, n_parts: int) -> list[tuple[int, np.ndarray]]:
    """Divide users by the end of day one; return each part's moment as of which uses are counted, and its rows.

    The moment is `MODEL_AGE_US` before the first of these ends.
    """
    if not len(day_end_us):
        return []
    starts = np.unique(np.quantile(day_end_us, np.arange(n_parts) / n_parts, method="lower"))
    part = np.searchsorted(starts, day_end_us, side="right") - 1
    return [(int(start) - MODEL_AGE_US, np.flatnonzero(part == number)) for number, start in enumerate(starts)]


def _measure_lists(scores: np.ndarray, excluded: SparseRows, truth: SparseRows) -> np.ndarray:
    """Return the mean precision of the lists of `MEASURED_LENGTHS`, from 0 to 1, of all users by each row of scores."""
    longest = max(MEASURED_LENGTHS)
    order, values = top_k(scores, longest + int(excluded.lengths().max(initial=0)))
    rows, users = np.divmod(np.arange(len(scores) * truth.n_rows), max(1, truth.n_rows))
    items, _ = take_lists(order, values, rows, excluded.take(users), longest)
    return np.asarray(measure_prefixes(items, truth.take(users)).mean(axis=0))


def mean_by_week(values: np.ndarray, week: np.ndarray) -> tuple[float, float]:
    """Return the mean of values, shape (n,), and its standard error if those of a week are alike."""
    mean = values.mean()
    n_weeks = week.max() + 1
    deviations = np.bincount(week, values - mean)
    error = np.sqrt((deviations**2).sum() * n_weeks / (n_weeks - 1)) / len(values)
    return float(mean), float(error)


def measure_terms(first_uses: FirstUses, half_life_days: float, weight: float) -> np.ndarray:
    """Return the weighted log ratio of each item's recent to its overall share, float32, shape (n_items,)."""
    n_users = first_uses.n_users
    n_recent = first_uses.count_recent(half_life_days)
    share = np.maximum(n_users, 1) / max(1.0, n_users.sum())
    n_pseudo = SMOOTHING * len(share)
    recent_share = (n_recent + n_pseudo * share) / (n_recent.sum() + n_pseudo)
    return np.asarray(weight * np.log(recent_share / share), dtype=np.float32)


def _measure_factor(first_uses: FirstUses, half_life_days: float, weight: float) -> float:
    """Return how often an average use of the last half-life counts as much as an average use.

    This is the derivative of the score of an item with average shares, relative to that without a clock.
    """
    n_uses = np.bincount(first_uses.counts.row_of_entry(), first_uses.counts.weights, first_uses.counts.n_rows)
    days = np.arange(len(n_uses))
    decay = 2.0 ** (-days / half_life_days)
    is_recent = days < half_life_days
    mean_decay = n_uses[is_recent] @ decay[is_recent] / max(1.0, n_uses[is_recent].sum())
    n_pseudo = SMOOTHING * first_uses.counts.n_columns
    of_recent = (mean_decay * n_uses.sum() + n_pseudo) / (n_uses @ decay + n_pseudo)
    return round(float(1 - weight + weight * of_recent), 4)


def go_back(folds: Sequence[Fold], first_uses: FirstUses | None, clock: Clock | None) -> list[Fold]:
    """Return users by period, whose models have the clock as of a model's age before it; unchanged without times."""
    if first_uses is None or clock is None:
        return list(folds)
    ends = day_ends(folds)
    parts = []
    for moment, users in divide_by_time(ends, N_PERIODS):
        terms = measure_terms(first_uses.until(moment), clock.half_life_days, clock.weight)
        as_of = replace(clock, terms=terms)
        first, last = ends[users].min(), ends[users].max()
        for fold in folds:
            assert fold.day_end_us is not None
            part = fold.take(np.flatnonzero((fold.day_end_us >= first) & (fold.day_end_us <= last)))
            parts.append(replace(part.with_learned(clock=as_of), moment_us=moment))
    return parts


CLOCK = SharedValueSpec(
    name="clock",
    describe="How much more recent use of an item counts than older use.",
    choose=learn_clock,
    value=Clock,
    always_trained=True,
)
