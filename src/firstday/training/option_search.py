"""Search for the settings of methods: try combinations, keep the best one for validation users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from itertools import product
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.splits.split import Actions, Split, take_actions
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.errors import ConfigError
from firstday.methods.precision import measure_own
from firstday.model.trained_model import TrainedModel
from firstday.progress import Progress
from firstday.recommend.fold import Fold, head
from firstday.recommend.registry import find_strategy
from firstday.recommend.spec import OptionSearch, StrategySpec, UseData
from firstday.recommend.support import learners_of, name_components
from firstday.tables.schema import DAY_US

Grid = Mapping[str, tuple[Any, ...]]
"""Values of each option, in order."""

DATA_GRID: Grid = {
    "min_items": (1, 2, 5, 10, 20, 50),
    "window_days": (30.0, 90.0, 180.0, 365.0, None),
}
"""Options of methods that learn in their search: minimum number of items per training user, and training window in
days."""
DATA_START: Grid = {"min_items": (1,), "window_days": (None,)}
"""Where the search starts; also the values used when all of a method's own options are fixed."""
NATURAL_ENDS = {0, 1, None}
"""Natural limits of an option: not reported as grid edges, since nothing lies beyond them."""
MIN_GAIN = 0.05
"""Minimum gain in precision, in points, to move along a grid; smaller gains are noise, and each move costs fits."""


@dataclass(frozen=True)
class Tuning:
    """Result of the hyperparameter search of a method, on validation users alone.

    `grid` has the candidate values of each option, and `options` those chosen. `precision`, in %, is the mean over the
    `n_users` validation users and over lists of `MEASURED_LENGTHS`; users whom a fallback answers count as 0. It took
    `fit_seconds` to fit the chosen options from scratch, and `tune_seconds` to fit and evaluate all `trials`, which
    have each combination that was tried with its `precision` and `answered`, the share of users with an own list in %.
    """

    grid: Grid
    options: Mapping[str, Any]
    precision: float
    n_users: int
    fit_seconds: float
    tune_seconds: float
    trials: tuple[Mapping[str, Any], ...] = ()

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

    def to_json(self) -> dict[str, Any]:
        """Return all fields but the grid and the trials, and the edges, as JSON values."""
        return {
            "options": self.options,
            "edges": self.edges,
            "n_tried": len(self.trials),
            "validation_precision": round(self.precision, 4),
            "n_validation": self.n_users,
            "fit_seconds": round(self.fit_seconds, 3),
            "tune_seconds": round(self.tune_seconds, 3),
        }


def describe_choices(tunings: Sequence[Tuning]) -> list[str]:
    """Describe the values chosen for each option of a method, each once, with the grid edge where one is at an edge."""
    values: dict[str, dict[str, None]] = defaultdict(dict)
    for tuning in tunings:
        for name, value in tuning.options.items():
            edge = f" ({tuning.edges[name]} of the grid)" if name in tuning.edges else ""
            values[name][f"{value}{edge}"] = None
    return [f"{name} {', '.join(chosen)}" for name, chosen in values.items()]


def search_options(
    folds: Sequence[Fold],
    model: TrainedModel,
    progress: Progress,
    dataset: Dataset | None = None,
    split: Split | None = None,
    begin_at: Mapping[str, Mapping[str, Any]] = {},
) -> tuple[TrainedModel, list[Fold], dict[str, Tuning]]:
    """Search the options of all methods, in order; options in ``[plugins.NAME]`` stay fixed.

    `begin_at` has the options at which the searches of some methods begin, by default those of `OptionSearch.start`.

    Methods that learn in their search need `dataset` and `split`, from which the models of the folds were trained.

    Return the model with what all warm users teach each method; the folds, whose models have what it learns without the
    fold's users; and the search results by method.

    Raises ConfigError if an option does not exist, and FirstdayError if a third-party method raised an error, or
    returned something other than its `value`.
    """
    folds = list(folds)
    tunings = {}
    for spec in learners_of(model.config):
        if isinstance(spec, StrategySpec) and spec.search is not None:
            first = begin_at.get(spec.name, {})
            model, folds, tuning = _search_one(spec, spec.search, folds, model, progress, dataset, split, first)
            tunings[spec.name] = tuning
    return model, folds, tunings


def learn_with(fold: Fold, split: Split, dataset: Dataset, tunings: Mapping[str, Tuning]) -> Fold:
    """Return users whose model has what the warm users of a split teach components with the options chosen."""
    config = fold.model.config
    for name in name_components(config):
        search = find_strategy(name).search
        if search is not None and name in tunings:
            learn = _make_learner(name, search, dataset, config, 1)
            fold = fold.with_learned(**{name: learn(split, fold.model, tunings[name].options)})
    return fold


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


def recent_actions(dataset: Dataset, split: Split, days: float | None) -> Actions:
    """Return warm users' actions in the last `days` days of the log; all if `days` is None or times are missing."""
    window = split.warm_window
    if window is None or days is None:
        return split.warm_actions
    recent = dataset.actions(Window(np.maximum(window.start, window.end - int(days * DAY_US)), window.end))
    return take_actions(recent, split.warm)


def _search_one(
    spec: StrategySpec,
    search: OptionSearch,
    folds: Sequence[Fold],
    model: TrainedModel,
    progress: Progress,
    dataset: Dataset | None,
    split: Split | None,
    first: Mapping[str, Any],
) -> tuple[TrainedModel, list[Fold], Tuning]:
    """Choose the options of one method, then learn with them on all warm users; see `search_options`."""
    has_times = split is not None and split.warm_window is not None
    grid, start = _find_grid(spec, search, folds, model, first, has_times=has_times)
    parts = [split.fold(rows) for rows in split.folds] if split is not None and split.folds else [split]
    sample = head(folds, search.max_users)
    began = perf_counter()
    trials = _Trials(
        spec.name,
        _make_learner(spec.name, search, dataset, model.config, len(parts)),
        folds,
        parts,
        sample,
        prod(len(start.get(option, values)) for option, values in grid.items()),
        progress,
    )
    options, precision = search_grid(grid, start, trials.measure)
    chosen_folds = trials.choose(options)
    tried = tuple(trials.tried)
    del trials  # frees memory
    tuned_at = perf_counter()
    learn = _make_learner(spec.name, search, dataset, model.config, 1)
    model = model.with_learned(**{spec.name: learn(split, model, options)})
    fit_seconds = perf_counter() - tuned_at
    n_users = sum(fold.query.n_users for fold in sample)
    tuning = Tuning(grid, options, precision, n_users, fit_seconds, tuned_at - began, tried)
    return model, chosen_folds, tuning


def _find_grid(
    spec: StrategySpec,
    search: OptionSearch,
    folds: Sequence[Fold],
    model: TrainedModel,
    first: Mapping[str, Any],
    *,
    has_times: bool,
) -> tuple[Grid, Grid]:
    """Return the grid and its start; without answers, nothing tells options apart, so there is one value of each."""
    grid, start = grid_of(spec, model.config, has_times=has_times)
    if search.prepare is not None or any((spec.recommend(fold.query).routes == spec.name).any() for fold in folds):
        return grid, {**start, **{name: (value,) for name, value in first.items() if value in grid.get(name, ())}}
    values = {**vars(model.learned[spec.name]), **model.config.plugins.get(spec.name, {})}
    grid = {option: (values[option],) for option in grid}
    return grid, grid


Learner = Callable[[Split | None, TrainedModel, Mapping[str, Any]], Any]
"""Returns what the warm users of a split teach a method with some options, given the model trained on them."""


def _make_learner(name: str, search: OptionSearch, dataset: Dataset | None, config: Config, n_parts: int) -> Learner:
    """Return a function that learns a method with options; what all options share is computed once per part."""

    @lru_cache(maxsize=n_parts)
    def prepare(part: Split, min_items: int, window_days: float | None) -> Callable[..., Any]:
        assert search.prepare is not None
        assert dataset is not None
        return search.prepare(collect_uses(dataset, part, config, min_items, window_days))

    def learn(part: Split | None, trained: TrainedModel, options: Mapping[str, Any]) -> Any:
        if search.prepare is None:
            return replace(trained.learned[name], **options)
        assert part is not None
        own_options = {option: value for option, value in options.items() if option not in DATA_GRID}
        return prepare(part, options["min_items"], options.get("window_days"))(**own_options)

    return learn


@dataclass(eq=False)
class _Trials:
    """Trials of a method's options, `n_first` or more: `learned` is what each part teaches with those tried last."""

    name: str
    learn: Learner
    folds: Sequence[Fold]
    parts: Sequence[Split | None]
    sample: Sequence[Fold]
    n_first: int
    progress: Progress
    learned: list[Any] = field(default_factory=list)
    tried: list[Mapping[str, Any]] = field(default_factory=list)

    def measure(self, options: Mapping[str, Any]) -> float:
        """Return the precision of options on the sample, in %; a list that is not the method's own counts as 0."""
        n_tried = len(self.tried)
        if not n_tried:
            for fold in self.sample:
                _ = fold.query.closeness  # computed once for all combinations
        self.progress(self.name, n_tried, max(self.n_first, n_tried + 1))
        self._learn_parts(options)
        precisions, own = measure_own(self._give(self.sample), self.name)
        precision = 100 * float((precisions * own).mean())
        self.tried.append({**options, "precision": precision, "answered": 100 * float(own.mean())})
        return precision

    def choose(self, options: Mapping[str, Any]) -> list[Fold]:
        """Return the folds with what they teach with the chosen options."""
        n_tried = len(self.tried)
        self.progress(self.name, n_tried, n_tried)
        if n_tried > 1:
            self._learn_parts(options)
        return self._give(self.folds)

    def _learn_parts(self, options: Mapping[str, Any]) -> None:
        self.learned.clear()  # frees memory
        for fold, part in zip(self.folds, self.parts, strict=True):
            self.learned.append(self.learn(part, fold.model, options))

    def _give(self, folds: Sequence[Fold]) -> list[Fold]:
        return [fold.with_learned(**{self.name: value}) for fold, value in zip(folds, self.learned, strict=True)]


def grid_of(spec: StrategySpec, config: Config, *, has_times: bool) -> tuple[Grid, Grid]:
    """Return the values of each option and its starting values, given the options fixed in the configuration.

    Raises ConfigError if such an option does not exist.
    """
    search = spec.search
    assert search is not None
    fixed = {name: (value,) for name, value in config.plugins.get(spec.name, {}).items()}
    data_grid = DATA_GRID if spec.learns_in_search else {}
    names = (*data_grid, *search.grid)
    if unknown := [name for name in fixed if name not in names]:
        raise ConfigError(f"plugins.{spec.name}: {unknown[0]!r} is not an option; choose one of {', '.join(names)}.")
    all_fixed = search.grid and search.grid.keys() <= fixed.keys()
    if all_fixed and data_grid:
        data_grid = DATA_START
    grid = {**data_grid, **search.grid, **fixed}
    if not has_times:
        grid.pop("window_days", None)
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
