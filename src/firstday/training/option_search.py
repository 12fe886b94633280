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
NATURAL_ENDS = (0, 1, None)
"""Natural limits of an option: not reported as grid edges, since nothing lies beyond them."""
MIN_GAIN = 0.05
"""Minimum gain in precision, in points, to move along a grid; smaller gains are noise, and each move costs fits."""


@dataclass(frozen=True)
class Tuning:
    """Result of the hyperparameter search of a method, on validation users alone.

    Parameters
    ----------
    grid
        Candidate values of each option.
    options
        Chosen values.
    precision
        Their precision on the validation users, in %.
    n_users
        Number of validation users.
    fit_seconds
        Seconds to fit the chosen options from scratch.
    tune_seconds
        Seconds to fit and evaluate all combinations tried.
    n_tried
        Number of combinations fitted and evaluated.
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
        edges = {}
        for name, values in self.grid.items():
            value = self.options[name]
            if len(values) > 1 and value in (values[0], values[-1]) and value not in NATURAL_ENDS:
                edges[name] = "lowest" if value == values[0] else "highest"
        return edges

    def describe(self) -> str:
        """Describe the chosen options, with the grid edge where one is at an edge."""
        edges = {name: f" ({edge} of the grid)" for name, edge in self.edges.items()}
        return ", ".join(f"{name} {value}{edges.get(name, '')}" for name, value in self.options.items())

    def to_json(self) -> dict[str, Any]:
        """Return the seed-dependent fields as JSON values."""
        return {
            "options": dict(self.options),
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
    """Tune and fit the methods of `config.methods` that have options.

    Options fixed in ``[plugins.NAME]`` are not searched.

    Parameters
    ----------
    dataset, split
        The data, and its warm and validation users.
    folds
        Validation users of each fold, or of the only holdout, with the model trained without them.
    config
        The configuration.
    progress
        Called with the method's name, combinations done, and combinations in total.

    Returns
    -------
    learned : dict
        What each method learned from all users, by name.
    tunings : dict
        Search result of each method; among equally good combinations, the first is chosen.
    folds : list of Fold
        The same users, with models that also hold what each method learned without them.

    Raises
    ------
    ConfigError
        An option does not exist.
    FirstdayError
        A third-party method raised an error, or returned something other than its `value`.
    """
    learned, tunings, folds = {}, {}, list(folds)
    for name in config.methods:
        spec = find_learner(name)
        if isinstance(spec, StrategySpec) and spec.search is not None:
            learned[name], tunings[name], folds = _learn_one(spec, dataset, split, folds, config, progress)
    return learned, tunings, folds


def collect_uses(
    dataset: Dataset, split: Split, *, config: Config, min_items: int = 1, window_days: float | None = None
) -> UseData:
    """Return the training data of methods with options: the warm users of a split.

    Parameters
    ----------
    dataset, split, config
        See `learn_with_options`.
    min_items
        Minimum number of used items per user.
    window_days
        Length of the window before the end of the log, in days; None: the whole log.
    """
    recent = None if window_days is None else recent_actions(dataset, split, window_days)
    actions = split.warm_actions if recent is None else recent
    uses, affinity = (
        collect(actions, config.signals, len(split.warm), len(dataset.items))
        for collect in (select_uses, compute_affinity)
    )
    rows = np.flatnonzero(uses.lengths() >= min_items)
    return UseData(uses.take(rows), affinity.take(rows), config.seed, config.threads, config.device)


def _learn_one(
    spec: StrategySpec, dataset: Dataset, split: Split, folds: Sequence[Fold], config: Config, progress: Progress
) -> tuple[Any, Tuning, list[Fold]]:
    """Choose the options of one method, then fit it with them on all warm users."""
    grid, start = grid_of(spec, config, has_times=split.warm_window is not None)
    n_first, n_tried = prod(len(start.get(name, values)) for name, values in grid.items()), 0
    splits, sample = [split.fold(rows) for rows in split.folds] or [split], head(folds, MAX_SEARCH_USERS)

    @lru_cache(maxsize=len(splits))
    def prepare(part: Split, **data_options: Any) -> Callable[..., Any]:
        assert spec.search is not None
        return spec.search.prepare(collect_uses(dataset, part, config=config, **data_options))

    def fit(part: Split, options: Mapping[str, Any]) -> Any:
        data_options = {name: value for name, value in options.items() if name in DATA_GRID}
        method_options = {name: value for name, value in options.items() if name not in DATA_GRID}
        return prepare(part, **data_options)(**method_options)

    def fit_folds(folds: Sequence[Fold], options: Mapping[str, Any]) -> list[Fold]:
        return [
            fold.with_settings(learned={**fold.query.model.learned, spec.name: fit(part, options)})
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
    learned = fit(split, options)
    seconds, n_users = perf_counter() - tuned_at, sum(fold.query.n_users for fold in sample)
    return learned, Tuning(grid, options, precision, n_users, seconds, tuned_at - began, n_tried), folds


def grid_of(spec: StrategySpec, config: Config, *, has_times: bool) -> tuple[Grid, Grid]:
    """Return the grid of each option and its starting values, given the options fixed in the configuration.

    Raises
    ------
    ConfigError
        An option does not exist.
    """
    search = spec.search
    assert search is not None
    fixed = {name: (value,) for name, value in config.plugins.get(spec.name, {}).items()}
    names = (*DATA_GRID, *search.grid)
    if unknown := [name for name in fixed if name not in names]:
        raise ConfigError(f"plugins.{spec.name}: {unknown[0]!r} is not an option; choose one of {', '.join(names)}.")
    all_fixed = search.grid and search.grid.keys() <= fixed.keys()
    data_grid = {
        name: values
        for name, values in (DATA_START if all_fixed else DATA_GRID).items()
        if has_times or name == "min_items"
    }
    return {**data_grid, **search.grid, **fixed}, {**DATA_START, **(search.start or {}), **fixed}


def with_options(config: Config, options: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return the configuration with options of methods fixed, so that they are not searched.

    `window_days` = None is omitted: it is the default, and logs without timestamps lack the option.
    """
    fixed = {
        method: {name: value for name, value in values.items() if value is not None or name not in DATA_GRID}
        for method, values in options.items()
    }
    return config.override("plugins", {**config.plugins, **fixed})


def search_grid(
    grid: Grid,
    start: Grid,
    objective: Callable[[Mapping[str, Any]], float],
) -> tuple[dict[str, Any], float]:
    """Search a grid of options by coordinate ascent from starting values.

    Parameters
    ----------
    grid
        Values of each option, in order.
    start
        Starting values; an option missing here starts with all of its values. All starting combinations are evaluated;
        an empty `start` thus evaluates the full grid. Coordinate ascent begins at the best (ties: the first). For each
        option in turn, it steps down, then up, while a step gains at least `MIN_GAIN`; it ends when no step of any
        option does.
    objective
        Returns the precision of a combination on validation users, in %; called once per combination.

    Returns
    -------
    options : dict
        The best combination.
    precision : float
        Its precision, in %.
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
