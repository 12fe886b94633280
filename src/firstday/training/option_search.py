"""Hyperparameter search for methods: fit combinations on warm users, keep the best on validation users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from firstday.artifact.calibration import Calibration
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.errors import ConfigError, needs_extra
from firstday.progress import Progress
from firstday.recommend.registry import find_learner
from firstday.recommend.spec import StrategySpec, UseData
from firstday.training.calibrate import calibrate_strategy
from firstday.training.trend import find_recent
from firstday.training.validation import Fold, head, measure_folds

MOST_USERS = 2_000
"""Maximum number of validation users to score."""
DATA_GRID: Mapping[str, tuple[Any, ...]] = {
    "min_items": (1, 2, 5, 10, 20, 50),
    "window_days": (30.0, 90.0, 180.0, 365.0, None),
}
"""Options of every method: minimum number of items per training user, and training window in days."""
DATA_START: Mapping[str, tuple[Any, ...]] = {"min_items": (1,), "window_days": (None,)}
"""Where the search starts; also the values used when all of a method's own options are fixed."""
NATURAL_ENDS = (0, 1, None)
"""Natural limits of an option: not reported as grid edges, since nothing lies beyond them."""
LEAST_GAIN = 0.05
"""Minimum gain in precision, in points, to move along a grid; smaller gains are noise, and each move costs fits."""


@dataclass(frozen=True)
class Tuning:
    """How the options of a method were chosen, on validation users alone.

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
        Time to fit the chosen options from scratch.
    tune_seconds
        Time to fit and score all combinations tried.
    n_tried
        Number of combinations fitted and scored.
    """

    grid: Mapping[str, tuple[Any, ...]]
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
        ends = {name: (values[0], values[-1]) for name, values in self.grid.items() if len(values) > 1}
        return {
            name: "lowest" if self.options[name] == first else "highest"
            for name, (first, last) in ends.items()
            if self.options[name] in (first, last) and self.options[name] not in NATURAL_ENDS
        }

    def describe(self) -> str:
        """Describe the chosen options, with the grid edge where one is at an edge."""
        edges = {name: f" ({edge} allowed)" for name, edge in self.edges.items()}
        return ", ".join(f"{name} {_text(value)}{edges.get(name, '')}" for name, value in self.options.items())

    def to_json(self) -> dict[str, Any]:
        """Return the values that differ between seeds as JSON values."""
        return {
            "options": dict(self.options),
            "edges": self.edges,
            "n_tried": self.n_tried,
            "validation_precision": round(self.precision, 4),
            "n_validation": self.n_users,
            "fit_seconds": round(self.fit_seconds, 3),
            "tune_seconds": round(self.tune_seconds, 3),
        }


def _text(value: Any) -> str:
    """Format the value of an option."""
    return "all" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def describe_choices(tunings: Sequence[Tuning]) -> list[str]:
    """Describe each distinct choice for a method once, skipping seeds that reused a choice."""
    return list(dict.fromkeys(tuning.describe() for tuning in tunings if tuning.grid == tunings[0].grid))


def learn_with_options(
    dataset: Dataset, split: Split, folds: Sequence[Fold], config: Config, progress: Progress
) -> tuple[dict[str, Any], dict[str, Tuning], dict[str, Calibration]]:
    """Tune and fit the methods of `config.methods` that have options.

    Options fixed in ``[plugins.NAME]`` are not searched.

    Parameters
    ----------
    dataset, split
        The data, and its warm and validation users.
    folds
        Validation users, one entry per fold of the split or one for all, querying a model trained without them.
    config
        The configuration.
    progress
        Called with the method's name, combinations done, and combinations in total.

    Returns
    -------
    learned : dict
        What each method learned from all users, by name; ties go to the first combination.
    tunings : dict
        How the options of each were chosen.
    calibrations : dict
        Calibrations, for methods that have one.

    Raises
    ------
    ConfigError
        An option does not exist.
    MissingExtraError
        The training libraries are not installed.
    FirstdayError
        A third-party method raised an error, or returned something other than its `value`.
    """
    learned, tunings, calibrations = {}, {}, {}
    for name in config.methods:
        spec = find_learner(name)
        if isinstance(spec, StrategySpec) and spec.search is not None:
            with needs_extra("training", "train"):
                found = _learn_one(spec, dataset, split, folds, config, progress)
            learned[name], tunings[name], calibration = found
            if calibration is not None:
                calibrations[name] = calibration
    return learned, tunings, calibrations


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
    recent = None if window_days is None else find_recent(dataset, split, window_days)
    actions = split.warm_actions if recent is None else recent
    uses, affinity = (
        collect(actions, config.signals, len(split.warm), len(dataset.items))
        for collect in (select_uses, compute_affinity)
    )
    rows = np.flatnonzero(uses.lengths() >= min_items)
    return UseData(uses.take(rows), affinity.take(rows), config.seed, config.threads, config.device)


def _learn_one(
    spec: StrategySpec, dataset: Dataset, split: Split, folds: Sequence[Fold], config: Config, progress: Progress
) -> tuple[Any, Tuning, Calibration | None]:
    """Choose the options of one method, then fit the value that the model stores on all warm users."""
    grid, start = grid_of(spec, config, has_times=split.warm_window is not None)
    n_first, n_tried = prod(len(start.get(name, values)) for name, values in grid.items()), 0
    parts = [split.fold(rows) for rows in split.folds] or [split]

    def prepare(part: Split, of_data: Mapping[str, Any]) -> Callable[..., Any]:
        assert spec.search is not None
        return spec.search.prepare(collect_uses(dataset, part, config=config, **of_data))

    @lru_cache(maxsize=1)
    def prepare_folds(**of_data: Any) -> list[Callable[..., Any]]:
        return [prepare(part, of_data) for part in parts]

    def fit_folds(options: Mapping[str, Any]) -> list[Fold]:
        of_data, of_method = _part_options(options)
        return [
            fold.with_settings(learned={**fold.query.model.learned, spec.name: fit(**of_method)})
            for fold, fit in zip(folds, prepare_folds(**of_data), strict=True)
        ]

    def judge(options: Mapping[str, Any]) -> float:
        nonlocal n_tried
        progress(spec.name, n_tried, max(n_first, n_tried + 1))
        n_tried += 1
        return 100 * float(measure_folds(head(fit_folds(options), MOST_USERS), spec.name).mean())

    began = perf_counter()
    options, precision = search(grid, start, judge)
    progress(spec.name, n_tried, n_tried)
    calibration = calibrate_strategy(fit_folds(options), spec.name)
    prepare_folds.cache_clear()
    tuned_at = perf_counter()
    of_data, of_method = _part_options(options)
    learned = prepare(split, of_data)(**of_method)
    seconds = perf_counter() - tuned_at
    n_users = sum(fold.query.n_users for fold in head(folds, MOST_USERS))
    return learned, Tuning(grid, options, precision, n_users, seconds, tuned_at - began, n_tried), calibration


def grid_of(
    spec: StrategySpec, config: Config, *, has_times: bool
) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
    """Return the grid of each option and its starting values, given the options fixed in the configuration.

    Raises
    ------
    ConfigError
        An option does not exist.
    """
    assert spec.search is not None
    of_method = spec.search
    fixed = {name: (value,) for name, value in config.plugins.get(spec.name, {}).items()}
    if unknown := [name for name in fixed if name not in {**DATA_GRID, **of_method.grid}]:
        known = ", ".join((*DATA_GRID, *of_method.grid))
        raise ConfigError(f"plugins.{spec.name}: {unknown[0]!r} is not an option; choose one of {known}.")
    all_fixed = of_method.grid and set(of_method.grid) <= set(fixed)
    data_grid = {
        name: values
        for name, values in (DATA_START if all_fixed else DATA_GRID).items()
        if has_times or name == "min_items"
    }
    return {**data_grid, **of_method.grid, **fixed}, {**DATA_START, **(of_method.start or {}), **fixed}


def with_options(config: Config, options: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return the configuration with options of methods fixed, so that they are not searched.

    A window of None is left out: data without timestamps has no such option, and otherwise it is the default.
    """
    fixed = {
        name: {key: value for key, value in of.items() if value is not None or key not in DATA_GRID}
        for name, of in options.items()
    }
    return config.override("plugins", {**config.plugins, **fixed})


def _part_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split options into those of the training data and those of the method."""
    of_data = {name: value for name, value in options.items() if name in DATA_GRID}
    return of_data, {name: value for name, value in options.items() if name not in DATA_GRID}


def search(
    grid: Mapping[str, tuple[Any, ...]],
    start: Mapping[str, tuple[Any, ...]],
    judge: Callable[[Mapping[str, Any]], float],
) -> tuple[dict[str, Any], float]:
    """Search a grid of options exhaustively, or by coordinate ascent from starting values.

    Parameters
    ----------
    grid
        Values of each option, in order.
    start
        Starting values; options missing here start with their whole grid. All starting combinations are scored, and
        coordinate ascent begins at the best (ties: the first). For each option in turn it steps down while the gain is
        at least `LEAST_GAIN`, then up, until no neighbour improves. Empty: the full grid is scored.
    judge
        Returns the precision of a combination on validation users, in %; called once per combination.

    Returns
    -------
    options : dict
        The best combination.
    precision : float
        Its precision, in %.
    """
    values: dict[tuple[int, ...], float] = {}

    def value_of(places: tuple[int, ...]) -> float:
        if places not in values:
            values[places] = judge({name: grid[name][place] for name, place in zip(grid, places, strict=True)})
        return values[places]

    places = [[of.index(value) for value in start.get(name, of)] for name, of in grid.items()]
    best = max(product(*places), key=value_of)
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
