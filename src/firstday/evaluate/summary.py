"""One strategy's lists as they were judged, and every strategy's row of the results put together of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from firstday.evaluate.intervals import bootstrap_means, bootstrap_ratios, deviations_of_fifths
from firstday.evaluate.lists import share_own_lists
from firstday.evaluate.metrics import METRICS, UserMetrics
from firstday.evaluate.results import DAY_ONE_SIZES, REFERENCE, Compared, Row


@dataclass(frozen=True, eq=False)
class Scores:
    """One strategy on the cold users of one seed.

    Parameters
    ----------
    metrics
        By user.
    routes
        How many users each route answered.
    seconds
        Time to make the lists, features and prediction included.
    novelty
        Mean of each user's list, bits, shape (n_users,).
    reached
        Distinct items in the lists, as a share of the catalogue.
    places
        Places of the lists by popularity of their items, int64, shape (`N_PARTS`,).
    """

    metrics: UserMetrics
    routes: Mapping[str, int]
    seconds: float
    novelty: np.ndarray
    reached: float
    places: np.ndarray


def join_metric(scores: Sequence[Scores], metric: str) -> np.ndarray:
    """Return one metric of all users of all seeds, in %."""
    values: np.ndarray = 100 * np.concatenate([getattr(score.metrics, metric) for score in scores])
    return values


def summarise(
    found: Mapping[str, Sequence[Scores]],
    user: np.ndarray,
    size: np.ndarray,
    idle: np.ndarray,
    befriended: np.ndarray,
    against: Sequence[str],
) -> tuple[Row, ...]:
    """Put every strategy's row together; intervals of all come from the same resamples of users.

    Parameters
    ----------
    found
        Scores of each strategy, one for each seed.
    user
        Who they are, of all seeds one after the other, shape (n,).
    size
        Items used on day one, shape (n,).
    idle, befriended
        Whether each did nothing on day one, and whether each has a friend whom the model keeps, bool, shape (n,).
    against
        Strategies with which the others are compared.
    """
    names = tuple(found)
    values = {(name, metric): join_metric(found[name], metric) for name in names for metric in METRICS}
    if REFERENCE in found:
        for name in (name for name in names if name != REFERENCE):
            values[name, REFERENCE] = values[name, "precision"] - values[REFERENCE, "precision"]
    intervals = dict(zip(values, bootstrap_means(np.stack(list(values.values()), axis=1), user), strict=True))
    deviations = _spread_fifths(found)
    precision = np.stack([values[name, "precision"] for name in names], axis=1)
    classes = {label: (size >= low) & (size <= high) for label, (low, high) in DAY_ONE_SIZES.items()}
    classes = {label: members for label, members in classes.items() if members.any()}
    by_size = {label: bootstrap_means(precision[members], user[members]) for label, members in classes.items()}
    only, friends_only = (
        bootstrap_means(precision[chosen], user[chosen]) if chosen.any() else [None] * len(names)
        for chosen in (idle, idle & befriended)
    )
    compared = {other: _compare(precision, names.index(other), user) for other in against if other in names}
    rows = []
    for number, name in enumerate(names):
        routes: Counter[str] = Counter()
        for score in found[name]:
            routes.update(score.routes)
        rows.append(
            Row(
                strategy=name,
                metrics={metric: intervals[name, metric] for metric in METRICS},
                by_day_one_size={label: means[number] for label, means in by_size.items()},
                n_by_day_one_size={label: int(members.sum()) for label, members in classes.items()},
                profile_only=only[number],
                n_profile_only=int(idle.sum()),
                friends_only=friends_only[number],
                n_friends_only=int((idle & befriended).sum()),
                against_reference=intervals.get((name, REFERENCE)),
                per_seed=tuple(100 * float(score.metrics.precision.mean()) for score in found[name]),
                deviations=dict(zip(METRICS, deviations[number], strict=True)),
                routes={route: count / len(user) for route, count in routes.items()},
                ms_per_user=1000 * sum(score.seconds for score in found[name]) / len(user),
                against={other: beside[number] for other, beside in compared.items() if beside and other != name},
                coverage=100 * share_own_lists(name, routes),
                novelty=float(np.concatenate([score.novelty for score in found[name]]).mean()),
                reached=100 * float(np.mean([score.reached for score in found[name]])),
            )
        )
    return tuple(rows)


def _compare(precision: np.ndarray, reference: int, user: np.ndarray) -> list[Compared]:
    """Compare columns of precision with one of them; empty where that is 0 for everyone."""
    below = precision[:, reference]
    if not below.any():
        return []
    differences = bootstrap_means(precision - below[:, None], user)
    ratios = bootstrap_ratios(precision, below, user)
    return [Compared(*both) for both in zip(differences, ratios, strict=True)]


def _spread_fifths(found: Mapping[str, Sequence[Scores]]) -> np.ndarray:
    """Return the standard deviation over fifths, in %, mean over seeds, shape (n_strategies, n_metrics)."""
    by_seed = []
    for scores in zip(*found.values(), strict=True):
        columns = [100 * getattr(score.metrics, metric) for score in scores for metric in METRICS]
        by_seed.append(deviations_of_fifths(np.stack(columns, axis=1)))
    spread: np.ndarray = np.mean(by_seed, axis=0).reshape(len(found), len(METRICS))
    return spread
