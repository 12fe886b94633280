"""Hyperparameter search for methods: fit combinations on warm users, keep the best one for validation users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.errors import ConfigError
from firstday.progress import Progress
from firstday.recommend.registry import find_learner
from firstday.recommend.spec import StrategySpec, UseData
from firstday.training.trend import recent_actions
from firstday.training.validation import Fold, head, measure_folds

Grid = Mapping[str, tuple[Any, ...]]
"""Values of each option, in order."""

MAX_SEARCH_USERS = 2_000
"""Maximum number of validation users to evaluate."""
DATA_GRID: Grid = {
    "min_items": (1, 2, 5, 10, 20, 50),
    "window_days": (30.0, 90.0, 180.0, 365.0, None),
}
"""Options of every method: minimum number of items per training user, and training window in days."""
DATA_START: Grid = {"min_items": (1,), "window_days": (None,)}
"""Where the search starts; also the values used when all of a method's own options are fixed."""
NATURAL_ENDS = {0, 1, None}
"""Natural limits of an option: not reported as grid edges, since nothing lies beyond them."""
MIN_GAIN = 0.05
"""Minimum gain in precision, in points, to move along a grid; smaller gains are noise, and each move costs fits."""


@dataclass(frozen=True)
class Tuning:
    """Result of the hyperparameter search of a method, on validation users alone.

    `grid` has the candidate values of each option, `options` those chosen, and `precision` their precision on the
    `n_users` validation users, in %. It took `fit_seconds` to fit the chosen options from scratch, and `tune_seconds`
    to fit and evaluate all `n_tried` combinations.
    """

    grid: Grid
    options: Mapping[str, Any]
    precision: float
    n_users: int
    fit_seconds: float
    tune_seconds: float
    n_tried: int = 1

    @property
    def edges(self) -> dict[str, str]:
        """Options chosen at an edge of the grid, and which edge: values beyond it might be better.

        Options with a single candidate value are omitted.
        """
        return {
            name: "lowest" if self.options[name] == values[0] else "highest"
            for name, values in self.grid.items()
            if len(values) > 1 and self.options[name] in {values[0], values[-1]} - NATURAL_ENDS
        }

    def describe(self) -> str:
        """Describe the chosen options, with the grid edge where one is at an edge."""
        edges = {name: f" ({edge} of the grid)" for name, edge in self.edges.items()}
        return ", ".join(f"{name} {value}{edges.get(name, '')}" for name, value in self.options.items())

    def to_json(self) -> dict[str, Any]:
        """Return all fields but the grid, and the edges, as JSON values."""
        return {
            "options": self.options,
            "edges": self.edges,
            "n_tried": self.n_tried,
            "validation_precision": round(self.precision, 4),
            "n_validation": self.n_users,
            "fit_seconds": round(self.fit_seconds, 3),
            "tune_seconds": round(self.tune_seconds, 3),
        }


def describe_choices(tunings: Sequence[Tuning]) -> list[str]:
    """Describe each distinct choice for a method once.

    Seeds that reused the first seed's options are skipped; their grid consists of these options alone.
    """
    return list(dict.fromkeys(tuning.describe() for tuning in tunings if tuning.grid == tunings[0].grid))


def learn_with_options(
    dataset: Dataset, split: Split, folds: Sequence[Fold], config: Config, progress: Progress
) -> tuple[dict[str, Any], dict[str, Tuning], list[Fold]]:
    """Tune and fit the methods of `config.methods` that have options; options in ``[plugins.NAME]`` stay fixed.

    Return what each method learned from all warm users, and its search result, by name; and the folds, whose models
    also hold what each method learned without the fold's users.

    Raises ConfigError if an option does not exist, and FirstdayError if a third-party method raised an error, or
    returned something other than its `value`.
    """
    learned = {}
    tunings = {}
    folds = list(folds)
    for name in config.methods:
        spec = find_learner(name)
        if isinstance(spec, StrategySpec) and spec.search is not None:
            learned[name], tunings[name], folds = _learn_one(spec, dataset, split, folds, config, progress)
    return learned, tunings, folds


def collect_uses(dataset: Dataset, split: Split, config: Config, min_items: int, window_days: float | None) -> UseData:
    """Return warm users' interactions in the last `window_days` days; None: in the whole log.

    Users who used fewer than `min_items` items in this time are left out.
    """
    actions = recent_actions(dataset, split, window_days)
    uses, affinity = (
        collect(actions, config.signals, len(split.warm), len(dataset.items))
        for collect in (select_uses, compute_affinity)
    )
    rows = np.flatnonzero(uses.lengths() >= min_items)
    return UseData(uses.take(rows), affinity.take(rows), config.seed, config.threads, config.device)


def _learn_one(
    spec: StrategySpec, dataset: Dataset, split: Split, folds: Sequence[Fold], config: Config, progress: Progress
) -> tuple[Any, Tuning, list[Fold]]:
    """Choose the options of one method, then fit it with them on all warm users; see `learn_with_options`."""
    grid, start = grid_of(spec, config, has_times=split.warm_window is not None)
    n_first = prod(len(start.get(name, values)) for name, values in grid.items())
    n_tried = 0
    splits = [split.fold(rows) for rows in split.folds] or [split]
    sample = head(folds, MAX_SEARCH_USERS)

    @lru_cache(maxsize=len(splits))
    def prepare(part: Split, min_items: int, window_days: float | None) -> Callable[..., Any]:
        assert spec.search is not None
        return spec.search.prepare(collect_uses(dataset, part, config, min_items, window_days))

    def fit(part: Split, *, min_items: int, window_days: float | None = None, **options: Any) -> Any:
        return prepare(part, min_items, window_days)(**options)

    def fit_folds(folds: Sequence[Fold], options: Mapping[str, Any]) -> list[Fold]:
        return [
            fold.with_settings(learned={**fold.query.model.learned, spec.name: fit(part, **options)})
            for fold, part in zip(folds, splits, strict=True)
        ]

    def objective(options: Mapping[str, Any]) -> float:
        nonlocal n_tried
        progress(spec.name, n_tried, max(n_first, n_tried + 1))
        n_tried += 1
        return 100 * float(measure_folds(fit_folds(sample, options), spec.name).mean())

    began = perf_counter()
    options, precision = search_grid(grid, start, objective)
    progress(spec.name, n_tried, n_tried)
    folds = fit_folds(folds, options)
    prepare.cache_clear()
    tuned_at = perf_counter()
    learned = fit(split, **options)
    seconds = perf_counter() - tuned_at
    n_users = sum(fold.query.n_users for fold in sample)
    return learned, Tuning(grid, options, precision, n_users, seconds, tuned_at - began, n_tried), folds


def grid_of(spec: StrategySpec, config: Config, *, has_times: bool) -> tuple[Grid, Grid]:
    """Return the values of each option and its starting values, given the options fixed in the configuration.

    Raises ConfigError if such an option does not exist.
    """
    search = spec.search
    assert search is not None
    fixed = {name: (value,) for name, value in config.plugins.get(spec.name, {}).items()}
    names = (*DATA_GRID, *search.grid)
    if unknown := [name for name in fixed if name not in names]:
        raise ConfigError(f"plugins.{spec.name}: {unknown[0]!r} is not an option; choose one of {', '.join(names)}.")
    all_fixed = search.grid and search.grid.keys() <= fixed.keys()
    grid = {**(DATA_START if all_fixed else DATA_GRID), **search.grid, **fixed}
    if not has_times:
        del grid["window_days"]
    return grid, {**DATA_START, **(search.start or {}), **fixed}


def search_grid(
    grid: Grid,
    start: Grid,
    objective: Callable[[Mapping[str, Any]], float],
) -> tuple[dict[str, Any], float]:
    """Search a grid of options by coordinate ascent; return the best combination and its precision, in %.

    All combinations of the values in `start` are evaluated; an option missing there starts with all of its values in
    `grid`, so an empty `start` evaluates the full grid. The ascent begins at the best combination (ties: the first).
    For each option in turn, it steps down, then up, while a step gains at least `MIN_GAIN`; it ends when no step of any
    option does. `objective` returns the precision of a combination on validation users, in %; it is called once per
    combination.
    """

    def options_at(indexes: tuple[int, ...]) -> dict[str, Any]:
        return {name: values[index] for (name, values), index in zip(grid.items(), indexes, strict=True)}

    @cache
    def precision_at(indexes: tuple[int, ...]) -> float:
        return objective(options_at(indexes))

    sizes = [len(values) for values in grid.values()]
    starts = [[values.index(value) for value in start.get(name, values)] for name, values in grid.items()]
    best, previous = max(product(*starts), key=precision_at), None
    while best != previous:
        previous = best
        for option, step in product(range(len(sizes)), (-1, 1)):
            while 0 <= (index := best[option] + step) < sizes[option]:
                neighbor = (*best[:option], index, *best[option + 1 :])
                if precision_at(neighbor) < precision_at(best) + MIN_GAIN:
                    break
                best = neighbor
    return options_at(best), precision_at(best)
