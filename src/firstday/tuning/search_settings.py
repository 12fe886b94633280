"""Hyperparameter search within a budget: chosen on validation users, then compared with the start on cold users."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from firstday.config import MAX_SEED, Config
from firstday.data.dataset import Dataset
from firstday.data.splits.histories import MIN_LEARNED_ITEMS
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.embed.kept_users import draw_rows
from firstday.errors import ConfigError, FirstdayError
from firstday.metrics import bootstrap_means, measure
from firstday.progress import Progress, no_progress
from firstday.recommend.recommender import answer_query
from firstday.recommend.registry import check_strategies, with_methods_of
from firstday.training.fit import cohort_query, fit, warm_uses
from firstday.tuning.search import SECONDS, SETTINGS, ColdScores, EndedBy, Search, list_completed
from firstday.tuning.settings_to_try import Choice, list_choices

if TYPE_CHECKING:
    import optuna

MAX_WARM_USERS = 50_000
"""Default maximum number of warm users to train on."""
MAX_VALIDATION_USERS, MAX_COLD_USERS = 5_000, 20_000
"""Maximum number of validation users, for trials, and of cold users, for the final comparison."""
FIRST_TRIALS, FIRST_CHANGES = 9, 3
"""Number of random trials after the start, and number of settings that each of them changes. Optuna's sampler would
draw all settings of its first ten trials at random, which is almost always worse than a good start."""
MAX_REPEATS = 100
"""Number of rejected proposals (tried before, or too slow) after which the search ends."""
MIN_TRIALS = 2
"""Minimum number of trials to choose from."""
TRIALS_SHARE = 2 / 3
"""Share of the time during which trials may begin; the rest is for the comparison."""


@dataclass(frozen=True)
class Budget:
    """Budget of a search.

    `seconds` is the total time from `began` on (see `time.perf_counter`), `trials` the maximum number of trials,
    including the start, and `seeds` that of training seeds in the comparison; fewer are used if time is short.
    """

    seconds: float = math.inf
    trials: int | None = None
    seeds: int = 3
    began: float = field(default_factory=perf_counter)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return perf_counter() - self.began


@dataclass(frozen=True, eq=False)
class Task:
    """Input of a search: users, starting configuration, strategy, search space, budget, and callbacks."""

    holdout: Holdout
    start: Config
    strategy: str
    choices: tuple[Choice, ...]
    budget: Budget
    progress: Progress
    say: Callable[[str], None]

    def evaluate(
        self, settings: Mapping[str, Any], seed: int, progress: Progress, *, on_cold: bool = False
    ) -> np.ndarray:
        """Train with some settings; return the precision of each validation user's (or cold user's) list, in %."""
        dataset = self.holdout.dataset
        split = self.holdout.split
        users, cohort = (self.holdout.newcomers, self.holdout.cold) if on_cold else (dataset, split.validation)
        config = self.start.override({**settings, "seed": seed})
        recommender = fit(dataset, split, config, progress=progress).recommender
        query = cohort_query(recommender, users, cohort, config.recommend.k)
        lists = answer_query(query, self.strategy).items
        return np.multiply(100, measure(lists, cohort.truth).precision)


def search_settings(
    dataset: Dataset,
    config: Config,
    *,
    budget: Budget,
    say: Callable[[str], None],
    strategy: str | None = None,
    most_users: int = MAX_WARM_USERS,
    progress: Progress = no_progress,
) -> Search:
    """Search for better settings on validation users, and compare the best ones with the start on cold users.

    The split is that of `evaluate`: models are trained on warm users, validation users determine early stopping and the
    best trial, and cold users are used only once, in the final comparison. Unless the search ends by time, the same
    seed and number of trials give the same result.

    Trials begin in the first two thirds of the time; a trial that leaves no time for the comparison is aborted. After
    an interruption (Ctrl-C) with at least two trials, the comparison uses one seed. `say` is called with a sentence on
    each noteworthy event.

    Raises
    ------
    ConfigError
        A setting does not fit the data, or there is too little time.
    DataError
        There are too few users.
    MissingExtraError
        Libraries for training are not installed.
    KeyboardInterrupt
        The search was interrupted before two trials were complete.

    References
    ----------
    T. Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019; J. Bergstra et al.,
    "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011 (tree-structured Parzen estimators).
    """
    import optuna

    strategy = strategy or config.recommend.strategy
    most_users = min(most_users, config.training.most_users)
    start = with_methods_of(config, [strategy])
    start = start.override({"registration.cut_offs": 1, "training.most_users": most_users})
    check_strategies([strategy], start)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # `say` reports failures
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=start.seed))
    cut_offs = find_cut_offs(dataset, start)
    holdout = reduce_holdout(next(hold_out(dataset, start, start.seed, cut_offs)), start.seed)
    split = holdout.split
    n_used = warm_uses(holdout.dataset, split, start).lengths()
    n_warm = min(int((n_used >= MIN_LEARNED_ITEMS).sum()), most_users)
    n_days = len(split.warm_day_one)
    n_items = len(holdout.dataset.items)
    choices = list_choices(start, n_warm, n_days, n_items, is_precomputed=dataset.precomputed is not None)
    task = Task(holdout, start, strategy, choices, budget, progress, say)
    ended_by = _try(task, study)
    progress("trials", 1, 1)
    best = study.best_trial
    comparison = None
    if best.number:
        n_seeds = budget.seeds
        if ended_by == "interruption":
            n_seeds = 1
            say("Interrupted: comparing the best trial so far with the start. Press Ctrl-C again to quit.")
        comparison = _compare(task, best.user_attrs[SETTINGS], n_seeds)
    return Search(
        start=config,
        strategy=strategy,
        choices=choices,
        study=study,
        comparison=comparison,
        ended_by=ended_by,
        n_warm=n_warm,
        n_validation=len(split.validation),
        n_cold=len(holdout.cold),
        protocol=split.protocol,
        notes=split.notes,
        seconds=budget.elapsed,
    )


def propose_first(choices: Sequence[Choice], seed: int) -> list[dict[str, int]]:
    """Return the first proposals as indexes of values: the start, then random changes of a few settings."""
    draw = np.random.default_rng(seed)
    n_changes = min(FIRST_CHANGES, len(choices))
    start = {choice.name: choice.start for choice in choices}
    proposals = [start]
    for _ in range(FIRST_TRIALS):
        proposal = dict(start)
        for choice in draw.choice(np.array(choices, dtype=object), n_changes, replace=False):
            others = np.delete(np.arange(len(choice.values)), choice.start)
            proposal[choice.name] = int(draw.choice(others))
        proposals.append(proposal)
    return proposals


def reduce_holdout(holdout: Holdout, seed: int) -> Holdout:
    """Return the split with one validation holdout, and the cold users, both subsampled to their maximum number.

    If the validation users are in folds, the first fold is held out.
    """
    split = holdout.split
    if split.folds:
        split = split.fold(split.folds[0])
    validation = split.validation.take(draw_rows(len(split.validation), MAX_VALIDATION_USERS, seed=seed))
    cold = holdout.cold.take(draw_rows(len(holdout.cold), MAX_COLD_USERS, seed=seed))
    return replace(holdout, split=replace(split, validation=validation), cold=cold)


def _try(task: Task, study: optuna.Study) -> EndedBy:
    """Run trials until time, number of trials or new proposals run out; return why the search ended."""
    from optuna.study import MaxTrialsCallback
    from optuna.trial import TrialState

    budget = task.budget
    callbacks = [MaxTrialsCallback(MAX_REPEATS, (TrialState.PRUNED,))]
    if budget.trials:
        callbacks.append(MaxTrialsCallback(budget.trials))
    for proposal in propose_first(task.choices, task.start.seed):
        study.enqueue_trial(proposal)
    try:
        study.optimize(
            lambda trial: _run_trial(task, trial),
            timeout=TRIALS_SHARE * budget.seconds - budget.elapsed,
            callbacks=callbacks,
        )
    except KeyboardInterrupt:
        if len(list_completed(study)) < MIN_TRIALS:
            raise
        return "interruption"
    n_trials = len(list_completed(study))
    if n_trials == budget.trials:
        return "trials"
    if n_trials and budget.elapsed < TRIALS_SHARE * budget.seconds:
        return "repeats"
    if n_trials >= MIN_TRIALS:
        return "time"
    raise ConfigError(
        f"tune: {budget.seconds / 60:g} minutes are too few for {MIN_TRIALS} trials and their comparison; allow more "
        "time, or train on fewer users."
    )


def _run_trial(task: Task, trial: optuna.Trial) -> float:
    """Run a trial and return its precision; prune repetitions, and trials that leave no time for the comparison."""
    from optuna import TrialPruned

    budget = task.budget
    done = list_completed(trial.study)
    number = len(done)
    began = budget.elapsed
    task.progress("trials", number, budget.trials or number + 1)
    settings = {}
    for choice in task.choices:
        value_ix = trial.suggest_int(choice.name, 0, len(choice.values) - 1)
        if value_ix != choice.start:
            settings[choice.name] = choice.values[value_ix]
    if any(other.params == trial.params for other in done):
        raise TrialPruned
    start_seconds = done[0].user_attrs[SECONDS] if done else 0.0

    def watch(stage: str, n_done: int, n_total: int) -> None:
        elapsed = budget.elapsed
        if elapsed + (elapsed - began) + start_seconds > budget.seconds:
            if not done:
                trial.study.stop()
            raise TrialPruned
        task.progress(stage, n_done, n_total)

    try:
        precision = float(task.evaluate(settings, task.start.seed, watch).mean())
    except (FirstdayError, MemoryError) as error:
        if not done:
            raise
        task.say(f"Trial {number} counts as 0 %: {error or 'out of memory'}")
        precision = 0.0
    if done and precision > trial.study.best_value:
        task.say(f"Trial {number}: {precision:.2f} % on validation users; start {done[0].value:.2f} %.")
    trial.set_user_attr(SETTINGS, settings)
    trial.set_user_attr(SECONDS, round(budget.elapsed - began, 1))
    return precision


def _compare(task: Task, best: Mapping[str, Any], n_seeds: int) -> ColdScores:
    """Retrain with the starting and the best settings, and compare both on cold users, paired by user."""
    budget = task.budget
    began = budget.elapsed
    seeds = [(task.start.seed + 1 + number) % MAX_SEED for number in range(n_seeds)]
    precisions: list[np.ndarray] = []
    try:
        for number, seed in enumerate(seeds):
            if precisions and budget.elapsed + (budget.elapsed - began) / number > budget.seconds:
                break
            task.progress("comparison", number, n_seeds)
            start = task.evaluate({}, seed, task.progress, on_cold=True)
            better = task.evaluate(best, seed, task.progress, on_cold=True)
            precisions.append(np.column_stack([start, better, better - start]))
    except KeyboardInterrupt:
        if not precisions:
            raise
    users = np.tile(task.holdout.cold.users, len(precisions))
    means = bootstrap_means(np.concatenate(precisions), users)
    return ColdScores(tuple(seeds[: len(precisions)]), *means)
