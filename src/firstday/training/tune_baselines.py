"""Baselines: combinations of their options are fitted on warm users and judged on validation users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product
from math import prod
from time import perf_counter
from typing import Any, Literal

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.splits.registrations import DAY_US
from firstday.data.splits.split import Split, take_actions
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.errors import needs_extra
from firstday.metrics import PrecisionRule, measure
from firstday.progress import Progress, no_progress
from firstday.recommend.plugin_checks import call_stranger
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender, answer_all
from firstday.recommend.spec import BaselineData, BaselineSpec, ItemScorer, Strategy, find_baseline
from firstday.segment.segments import count_items
from firstday.sparse import SparseRows
from firstday.training.fit import cohort_query

MOST_USERS = 2_000
"""Validation users that are looked at, at most."""
DATA_GRID: Mapping[str, tuple[Any, ...]] = {
    "min_items": (1, 2, 5, 10, 20, 50),
    "window_days": (30.0, 90.0, 180.0, 365.0, None),
}
"""Options of every baseline: which users it learns from, by their number of items, and from how many last days."""
DATA_START: Mapping[str, tuple[Any, ...]] = {"min_items": (1,), "window_days": (None,)}
"""Those of a search to begin with, and of a baseline whose options are given."""
NATURAL_ENDS = (0, 1, None)
"""Values beyond which there is nothing to try: they are no edges of a grid."""
LEAST_GAIN = 0.05
"""Points of precision that a move along a grid must gain; less is far within chance, and each move costs fits."""


Edge = Literal["lowest", "highest"]


@dataclass(frozen=True)
class Tuning:
    """How the options of a baseline were chosen, on validation users alone.

    Parameters
    ----------
    grid
        Values that each option could have.
    options
        What was chosen.
    precision
        Precision of that on the validation users, in %.
    n_users
        How many validation users.
    fit_seconds
        Time to fit with the options chosen, from the start.
    tune_seconds
        Time to fit and judge all combinations that were tried.
    n_items
        How many items the baseline ranks; None: all that warm users use.
    n_tried
        How many combinations were fitted and judged.
    """

    grid: Mapping[str, tuple[Any, ...]]
    options: Mapping[str, Any]
    precision: float
    n_users: int
    fit_seconds: float
    tune_seconds: float
    n_items: int | None = None
    n_tried: int = 1

    @property
    def edges(self) -> dict[str, Edge]:
        """The options chosen at an edge of the grid, and at which: a value beyond it might be better.

        An option that could have one value alone is not among them.
        """
        ends = {name: (values[0], values[-1]) for name, values in self.grid.items() if len(values) > 1}
        return {
            name: "lowest" if self.options[name] == first else "highest"
            for name, (first, last) in ends.items()
            if self.options[name] in (first, last) and self.options[name] not in NATURAL_ENDS
        }

    def describe(self) -> str:
        """Return the options chosen, in words, each with the edge of the grid at which it lies, if it does."""
        edges = {name: f" ({edge} allowed)" for name, edge in self.edges.items()}
        return ", ".join(f"{name} {_text(value)}{edges.get(name, '')}" for name, value in self.options.items())

    def to_json(self) -> dict[str, Any]:
        """Return what differs from seed to seed as JSON values."""
        return {
            "options": dict(self.options),
            "edges": self.edges,
            "n_tried": self.n_tried,
            "validation_precision": round(self.precision, 4),
            "n_validation": self.n_users,
            "fit_seconds": round(self.fit_seconds, 3),
            "tune_seconds": round(self.tune_seconds, 3),
            "n_items": self.n_items,
        }


def _text(value: Any) -> str:
    """Write the value of an option."""
    return "all" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def describe_choices(tunings: Sequence[Tuning]) -> list[str]:
    """Return what was chosen for a baseline, in words, each choice once; seeds that took over a choice tell nothing."""
    return list(dict.fromkeys(tuning.describe() for tuning in tunings if tuning.grid == tunings[0].grid))


@dataclass(frozen=True, eq=False)
class TunedBaseline:
    """A fitted baseline as a strategy, and how it was tuned."""

    recommend: Strategy
    tuning: Tuning


def tune_baselines(
    dataset: Dataset,
    split: Split,
    recommender: Recommender,
    names: Sequence[str],
    k: int,
    *,
    divide_by: PrecisionRule = "min",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress = no_progress,
) -> dict[str, TunedBaseline]:
    """Fit baselines on all users before the cut-off, with the options that are best for validation users.

    Parameters
    ----------
    dataset, split
        The data, and who is warm, for validation and cold.
    recommender
        A model trained on the split; its fallbacks answer where a baseline has nothing to go on.
    names
        Of the baselines.
    k
        Length of the lists.
    divide_by
        See `firstday.metrics.measure`.
    options
        Options of baselines that are not to be chosen anew, by name.
    progress
        Called with the baseline's name, combinations done, and combinations in all.

    Returns
    -------
    dict
        By name; among combinations that are equally good the first is kept.

    Raises
    ------
    MissingExtraError
        Libraries for training are not installed.
    """
    with needs_extra("training", "train"):
        specs = [find_baseline(name).with_options((options or {}).get(name)) for name in names]
    judged = []
    for part in [split.fold(rows) for rows in split.folds] or [split]:
        query = cohort_query(recommender, dataset, part.validation, k)
        rows = np.arange(min(query.n_users, -(-MOST_USERS // max(1, len(split.folds)))))
        judged.append((part, query.take(rows), part.validation.truth.take(rows)))
    learn = partial(collect_data, dataset, config=recommender.model.config)
    return {spec.name: tune(spec, learn, split, judged, divide_by, progress) for spec in specs}


def collect_data(
    dataset: Dataset, split: Split, *, config: Config, min_items: int = 1, window_days: float | None = None
) -> BaselineData:
    """Return what baselines learn from: the warm users of a split.

    Parameters
    ----------
    dataset, split, config
        See `tune_baselines`.
    min_items
        Users with fewer used items are left out.
    window_days
        Interactions in so many days before the end of the log count; None: all.
    """
    actions, life, n_users = split.warm_actions, split.warm_window, len(split.warm)
    if window_days is not None and life is not None:
        (recent,) = dataset.actions(Window(np.maximum(life.start, life.end - int(window_days * DAY_US)), life.end))
        actions = take_actions(recent, split.warm)
    uses = select_uses(actions, config.signals, n_users, len(dataset.items))
    rows = np.flatnonzero(uses.lengths() >= min_items)
    affinity = compute_affinity(actions, config.signals, n_users, len(dataset.items))
    return BaselineData(uses.take(rows), affinity.take(rows), config.seed, config.threads, config.device)


Judged = tuple[Split, Query, SparseRows]
"""A split, its validation users, asking a model for its fallbacks, and the items they used afterwards."""


def tune(
    spec: BaselineSpec,
    learn: Callable[..., BaselineData],
    split: Split,
    judged: Sequence[Judged],
    divide_by: PrecisionRule = "min",
    progress: Progress = no_progress,
) -> TunedBaseline:
    """Choose the options of one baseline, then fit it with them on everybody, to tell how long that takes.

    Parameters
    ----------
    spec
        The baseline, with the options to try.
    learn
        Returns what it learns from, given a split and `DATA_GRID`'s options; see `collect_data`.
    split
        Who to learn from in the end.
    judged
        Validation users whom a baseline of their own split is judged on.
    divide_by, progress
        See `tune_baselines`.
    """
    data_grid = {name: values for name, values in DATA_GRID.items() if split.warm_window or name == "min_items"}
    if spec.grid and all(len(values) == 1 for values in spec.grid.values()):  # options that were chosen before
        data_grid = {name: DATA_START[name] for name in data_grid}
    grid = {**data_grid, **spec.grid}
    start = {**{name: spec.grid.get(name, DATA_START[name])[:1] for name in data_grid}, **(spec.start or {})}
    n_first, n_tried = prod(len(values) for values in {**grid, **start}.values()), 0

    @lru_cache(maxsize=1)
    def prepare(**of_data: Any) -> list[tuple[Callable[..., ItemScorer], BaselineData]]:
        data = [learn(part, **of_data) for part, _, _ in judged]
        return [(spec.prepare(of_part), of_part) for of_part in data]

    def judge(options: Mapping[str, Any]) -> float:
        nonlocal n_tried
        progress(spec.name, n_tried, max(n_first, n_tried + 1))
        n_tried += 1
        of_data, of_method = divide_options(options)
        found = []
        for (fit, data), (_, query, truth) in zip(prepare(**of_data), judged, strict=True):
            lists = answer_all(query, as_strategy(spec.name, fit(**of_method), data)).items
            found.append(measure(lists, truth, divide_by=divide_by).precision)
        return 100 * float(np.concatenate(found).mean())

    began = perf_counter()
    chosen, best = spec.call("fit", search, grid, start, judge)
    progress(spec.name, n_tried, n_tried)
    prepare.cache_clear()
    tuned_at = perf_counter()
    of_data, of_method = divide_options(chosen)
    data = learn(split, **of_data)
    scorer = spec.prepare(data)(**of_method)
    fit_seconds = perf_counter() - tuned_at
    n_users = sum(query.n_users for _, query, _ in judged)
    n_items = _count_ranked(data) if spec.is_restricted else None
    tuning = Tuning(grid, chosen, best, n_users, fit_seconds, tuned_at - began, n_items, n_tried)
    return TunedBaseline(as_strategy(spec.name, scorer, data), tuning)


def divide_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of what a baseline learns from, and those of its own."""
    of_data = {name: value for name, value in options.items() if name in DATA_GRID}
    return of_data, {name: value for name, value in options.items() if name not in DATA_GRID}


def search(
    grid: Mapping[str, tuple[Any, ...]],
    start: Mapping[str, tuple[Any, ...]] | None,
    judge: Callable[[Mapping[str, Any]], float],
) -> tuple[dict[str, Any], float]:
    """Choose the best combination of options: of all of a grid, or from some on until no neighbour is better.

    Parameters
    ----------
    grid
        Values of each option, in order.
    start
        Values to begin with, all of the grid for options that are not here; every combination is judged. The best of
        them, the first of equals, then moves along the grid: option by option, one place down while that gains at least
        `LEAST_GAIN`, then up, again and again, until no place beside it does. None: every combination of the grid.
    judge
        Precision of a combination on validation users, in %; it is asked once for each.

    Returns
    -------
    options : dict
        The best combination.
    precision : float
        Of that.
    """
    first = {**grid, **(start or {})}
    values: dict[tuple[int, ...], float] = {}

    def value_of(places: tuple[int, ...]) -> float:
        if places not in values:
            values[places] = judge({name: grid[name][place] for name, place in zip(grid, places, strict=True)})
        return values[places]

    best = max(product(*([grid[name].index(value) for value in first[name]] for name in grid)), key=value_of)
    moved = True
    while moved:
        moved = False
        for option, name in enumerate(grid):
            for step in (-1, 1):
                beside = (*best[:option], best[option] + step, *best[option + 1 :])
                while 0 <= beside[option] < len(grid[name]) and value_of(beside) >= value_of(best) + LEAST_GAIN:
                    best, moved = beside, True
                    beside = (*best[:option], best[option] + step, *best[option + 1 :])
    return {name: grid[name][place] for name, place in zip(grid, best, strict=True)}, values[best]


def as_strategy(name: str, scorer: ItemScorer, data: BaselineData) -> Strategy:
    """Make a strategy of a fitted baseline; it answers for users for whom it ranks an item.

    Lists are filled up with what is popular in the data that it learned from. Scores of a baseline that is not ours are
    checked.
    """
    label = "" if type(scorer).__module__.startswith("firstday.") else f"baseline {name!r}"
    everyone = count_items(np.zeros(data.uses.n_rows, dtype=np.int64), data.uses, 1)

    def score(liked: SparseRows) -> np.ndarray:
        return call_stranger(label, "score", scorer.score, liked) if label else scorer.score(liked)

    def rank(query: Query) -> Answer:
        strict = query.checked_for(label) if label else query
        known = np.ones(query.n_users, dtype=bool)
        answer = strict.rank_scores(lambda rows: score(query.liked.take(rows)), name, known)
        return Answer.where(answer.items[:, 0] >= 0, name, answer.items, answer.scores)

    return lambda query: answer_all(replace(query, model=replace(query.model, everyone=everyone)), rank)


def _count_ranked(data: BaselineData) -> int:
    """Count the items that a restricted baseline ranks."""
    from firstday.baselines.matrices import most_used_items

    return len(most_used_items(data.uses))
