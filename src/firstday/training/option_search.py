"""Options of methods: combinations are fitted on warm users, judged on validation users, and the best one kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from time import perf_counter
from typing import Any, Literal

import numpy as np

from firstday.artifact.calibration import Calibration
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.splits.split import Split, take_actions
from firstday.data.user_rows import DAY_US
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.errors import ConfigError, needs_extra
from firstday.progress import Progress
from firstday.recommend.registry import find_learner
from firstday.recommend.spec import StrategySpec, UseData
from firstday.training.calibrate import calibrate_strategy
from firstday.training.validation import Fold, head, measure_folds

MOST_USERS = 2_000
"""Validation users that are looked at, at most."""
DATA_GRID: Mapping[str, tuple[Any, ...]] = {
    "min_items": (1, 2, 5, 10, 20, 50),
    "window_days": (30.0, 90.0, 180.0, 365.0, None),
}
"""Options of every method: which users it learns from, by their number of items, and from how many last days."""
DATA_START: Mapping[str, tuple[Any, ...]] = {"min_items": (1,), "window_days": (None,)}
"""Those of a search to begin with, and where all options of a method itself are given."""
NATURAL_ENDS = (0, 1, None)
"""Values beyond which there is nothing to try: they are no edges of a grid."""
LEAST_GAIN = 0.05
"""Points of precision that a move along a grid must gain; less is far within chance, and each move costs fits."""


Edge = Literal["lowest", "highest"]


@dataclass(frozen=True)
class Tuning:
    """How the options of a method were chosen, on validation users alone.

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
    n_tried
        How many combinations were fitted and judged.
    """

    grid: Mapping[str, tuple[Any, ...]]
    options: Mapping[str, Any]
    precision: float
    n_users: int
    fit_seconds: float
    tune_seconds: float
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
        }


def _text(value: Any) -> str:
    """Write the value of an option."""
    return "all" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def describe_choices(tunings: Sequence[Tuning]) -> list[str]:
    """Return what was chosen for a method, in words, each choice once; seeds that took over a choice tell nothing."""
    return list(dict.fromkeys(tuning.describe() for tuning in tunings if tuning.grid == tunings[0].grid))


def learn_with_options(
    dataset: Dataset, split: Split, folds: Sequence[Fold], config: Config, progress: Progress
) -> tuple[dict[str, Any], dict[str, Tuning], dict[str, Calibration]]:
    """Fit the methods of `config.methods` that have options, with those that are best for validation users.

    Options that the configuration has in ``[plugins.NAME]`` are not searched.

    Parameters
    ----------
    dataset, split
        The data, and who is warm and for validation.
    folds
        The validation users of each fold of the split, or all of them, asking a model that did not learn from them.
    config
        The configuration.
    progress
        Called with the method's name, combinations done, and combinations in all.

    Returns
    -------
    learned : dict
        What each learned from everybody, by name; among combinations that are equally good the first is kept.
    tunings : dict
        How the options of each were chosen.
    calibrations : dict
        Those of each that has one.

    Raises
    ------
    ConfigError
        An option that does not exist.
    MissingExtraError
        Libraries for training are not installed.
    FirstdayError
        A method that is not ours raised an error, or returned something other than its `value`.
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
    """Return what methods with options learn from: the warm users of a split.

    Parameters
    ----------
    dataset, split, config
        See `learn_with_options`.
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
    return UseData(uses.take(rows), affinity.take(rows), config.seed, config.threads, config.device)


def _learn_one(
    spec: StrategySpec, dataset: Dataset, split: Split, folds: Sequence[Fold], config: Config, progress: Progress
) -> tuple[Any, Tuning, Calibration | None]:
    """Choose the options of one method, then fit it with them on everybody, to tell how long that takes."""
    grid, start = grid_of(spec, config, has_times=split.warm_window is not None)
    n_first, n_tried = prod(len(values) for values in {**grid, **start}.values()), 0
    parts = [split.fold(rows) for rows in split.folds] or [split]

    def prepare(part: Split, of_data: Mapping[str, Any]) -> Callable[..., Any]:
        assert spec.search is not None
        return spec.search.prepare(collect_uses(dataset, part, config=config, **of_data))

    @lru_cache(maxsize=1)
    def prepare_folds(**of_data: Any) -> list[Callable[..., Any]]:
        return [prepare(part, of_data) for part in parts]

    @lru_cache(maxsize=1)
    def fit_folds(**options: Any) -> list[Fold]:
        of_data, of_method = _part_options(options)
        return [
            fold.with_settings(learned={**fold.query.model.learned, spec.name: fit(**of_method)})
            for fold, fit in zip(folds, prepare_folds(**of_data), strict=True)
        ]

    def judge(options: Mapping[str, Any]) -> float:
        nonlocal n_tried
        progress(spec.name, n_tried, max(n_first, n_tried + 1))
        n_tried += 1
        return 100 * float(measure_folds(head(fit_folds(**options), MOST_USERS), spec.name).mean())

    began = perf_counter()
    options, precision = search(grid, start, judge)
    progress(spec.name, n_tried, n_tried)
    calibration = calibrate_strategy(fit_folds(**options), spec.name)
    prepare_folds.cache_clear()
    fit_folds.cache_clear()
    tuned_at = perf_counter()
    of_data, of_method = _part_options(options)
    learned = prepare(split, of_data)(**of_method)
    seconds = perf_counter() - tuned_at
    n_users = sum(fold.query.n_users for fold in head(folds, MOST_USERS))
    return learned, Tuning(grid, options, precision, n_users, seconds, tuned_at - began, n_tried), calibration


def grid_of(
    spec: StrategySpec, config: Config, *, has_times: bool
) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
    """Return the values of each option to try, and those to begin with, given what the configuration fixes.

    Raises
    ------
    ConfigError
        It has an option that does not exist.
    """
    assert spec.search is not None
    of_method, given = spec.search, config.plugins.get(spec.name, {})
    unknown = [name for name in given if name not in {**DATA_GRID, **of_method.grid}]
    if unknown:
        raise ConfigError(
            f"plugins.{spec.name}: has no option {unknown[0]}; choose of {', '.join((*DATA_GRID, *of_method.grid))}."
        )
    data_grid = {name: values for name, values in DATA_GRID.items() if has_times or name == "min_items"}
    if of_method.grid and all(name in given for name in of_method.grid):
        data_grid = {name: DATA_START[name] for name in data_grid}
    grid = {**data_grid, **of_method.grid, **{name: (value,) for name, value in given.items()}}
    start = {**{name: DATA_START[name] for name in data_grid}, **(of_method.start or {})}
    return grid, {**start, **{name: (value,) for name, value in given.items()}}


def with_options(config: Config, options: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return the configuration that fixes options of methods, given by name, so that these are not searched."""
    fixed = {name: {key: value for key, value in of.items() if value is not None} for name, of in options.items()}
    return config.override("plugins", {**config.plugins, **fixed})


def _part_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of what a method learns from, and those of the method itself."""
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
