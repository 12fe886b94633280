"""Hyperparameter search within a budget: selected on validation users, then compared with the start on cold users."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from firstday.config import LARGEST_SEED, Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.errors import ConfigError, FirstdayError
from firstday.metrics import bootstrap_means, measure
from firstday.progress import Progress, no_progress
from firstday.recommend.recommender import answer_all
from firstday.recommend.registry import check_strategies, with_methods_of
from firstday.training.fit import cohort_query, find_training_rows, fit, warm_uses
from firstday.tuning.search import SECONDS, SETTINGS, ColdScores, EndedBy, Search, list_completed
from firstday.tuning.settings_to_try import Choice, list_choices

if TYPE_CHECKING:
    import optuna

MOST_USERS = 50_000
"""Default maximum of warm users to train on."""
MOST_VALIDATION, MOST_COLD = 5_000, 20_000
"""Maximum number of validation users, who judge trials, and of cold users, who judge the comparison."""
FIRST_TRIALS, MOVED_AT_FIRST = 9, 3
"""Number of random trials after the start, and how many settings each of them changes. Optuna's sampler would draw all
settings of its first ten trials at random; from a good start, changing all of them at once only loses."""
MOST_REPEATS = 100
"""The search ends after this many consecutive proposals that were tried before."""
LEAST_TRIALS = 2
"""Minimum number of trials; with fewer there is nothing to choose from."""
TRIALS_SHARE = 2 / 3
"""Share of the time in which trials may begin; the rest is for the comparison."""


@dataclass(frozen=True)
class Budget:
    """Budget of a search.

    Parameters
    ----------
    seconds
        Total time, counted from `began`.
    trials
        Maximum number of trials, including the start.
    seeds
        Maximum number of training seeds in the comparison; fewer if time is short.
    began
        Start time by `time.perf_counter`. Default: now.
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
    """What to search: users, start, strategy, search space and budget; and whom to inform."""

    holdout: Holdout
    start: Config
    strategy: str
    choices: tuple[Choice, ...]
    budget: Budget
    progress: Progress
    say: Callable[[str], None]

    def judge(self, settings: Mapping[str, Any], seed: int, progress: Progress, *, on_cold: bool = False) -> np.ndarray:
        """Train with some settings; return the precision of each validation user's list, or cold user's, in %."""
        dataset, split = self.holdout.dataset, self.holdout.split
        users, cohort = (self.holdout.newcomers, self.holdout.cold) if on_cold else (dataset, split.validation)
        config = self.start.override({**settings, "seed": seed})
        recommender = fit(dataset, split, config, progress=progress)
        query = cohort_query(recommender, users, cohort, config.recommend.k)
        precision: np.ndarray = 100 * measure(answer_all(query, self.strategy).items, cohort.truth).precision
        return precision


def search_settings(
    dataset: Dataset,
    config: Config | None = None,
    *,
    budget: Budget,
    strategy: str | None = None,
    most_users: int = MOST_USERS,
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda _sentence: None,
) -> Search:
    """Search for better settings on validation users, and compare the best ones with the start on cold users.

    There is one split, that of `evaluate`. Models train on its warm users. Its validation users decide early stopping
    and the best trial. Its cold users are used only once, in the final comparison. Unless the search ends by time, the
    same seed and number of trials give the same result.

    Parameters
    ----------
    dataset, config
        The data, and the settings to start from. Default: the default configuration.
    budget
        Time and trials. Trials begin in the first two thirds of the time; a trial that leaves no time for the
        comparison is aborted.
    strategy
        The strategy to optimise. Default: ``recommend.strategy``.
    most_users
        Maximum number of warm users to train on, sampled by a hash of their ids.
    progress
        Called as trials and their stages advance.
    say
        Called with one sentence per event worth reporting.

    Returns
    -------
    Search
        Also after an interruption (Ctrl-C), if two trials were completed; the comparison then uses one seed.

    Raises
    ------
    ConfigError
        A setting does not fit the data, or there is too little time.
    DataError
        Too few users.
    MissingExtraError
        Libraries for training are not installed.
    KeyboardInterrupt
        Interrupted before there was anything to compare.

    References
    ----------
    T. Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019; J. Bergstra et al.,
    "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011 (tree-structured Parzen estimators).
    """
    import optuna

    if math.isinf(budget.seconds) and budget.trials is None:
        raise ConfigError("tune: has neither a time nor a number of trials; give one of them.")
    config = config or Config()
    strategy = strategy or config.recommend.strategy
    most_users = min(most_users, config.training.most_users)
    start = with_methods_of(config, [strategy])
    start = start.override({"registration.cut_offs": 1, "training.most_users": most_users})
    check_strategies([strategy], start)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # failures are reported by `say`, once
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=start.seed))
    holdout = reduce_holdout(next(hold_out(dataset, start, start.seed, find_cut_offs(dataset, start))), start.seed)
    split = holdout.split
    n_warm = min(len(find_training_rows(warm_uses(holdout.dataset, split, start))), most_users)
    n_days, n_items = len(split.warm_day_one), len(holdout.dataset.items)
    choices = list_choices(start, n_warm, n_days, n_items, is_precomputed=dataset.precomputed is not None)
    task = Task(holdout, start, strategy, choices, budget, progress, say)
    ended_by = _try(task, study)
    progress("trials", 1, 1)
    best, comparison = study.best_trial, None
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
    """Return the first proposals as indices of values: the start, then random trials that change a few settings."""
    draw = np.random.default_rng(seed)
    start = {choice.name: choice.start for choice in choices}
    proposals = [start]
    for _ in range(FIRST_TRIALS):
        moved = draw.choice(len(choices), min(MOVED_AT_FIRST, len(choices)), replace=False)
        others = {
            choices[at].name: int(draw.choice(np.delete(np.arange(len(choices[at].values)), choices[at].start)))
            for at in moved
        }
        proposals.append({**start, **others})
    return proposals


def reduce_holdout(holdout: Holdout, seed: int) -> Holdout:
    """Return one validation holdout and the cold users, both subsampled to their maximum.

    If validation users are in folds, the first fold is held out.
    """
    split = holdout.split.fold(holdout.split.folds[0]) if holdout.split.folds else holdout.split
    draw = np.random.default_rng(seed)
    validation, cold = (
        cohort if len(cohort) <= most else cohort.take(np.sort(draw.choice(len(cohort), most, replace=False)))
        for cohort, most in ((split.validation, MOST_VALIDATION), (holdout.cold, MOST_COLD))
    )
    return replace(holdout, split=replace(split, validation=validation), cold=cold)


def _try(task: Task, study: optuna.Study) -> EndedBy:
    """Add trials until time, trials or new proposals run out.

    Raises
    ------
    ConfigError
        Time ended before there was anything to choose from.
    """
    from optuna.trial import FrozenTrial, TrialState

    budget = task.budget

    def stop(study: optuna.Study, _trial: FrozenTrial) -> None:
        states = [trial.state for trial in study.get_trials(deepcopy=False)]
        is_full = states.count(TrialState.COMPLETE) == budget.trials
        if is_full or states[-MOST_REPEATS:] == [TrialState.PRUNED] * MOST_REPEATS:
            study.stop()

    for first in propose_first(task.choices, task.start.seed):
        study.enqueue_trial(first)
    try:
        study.optimize(
            lambda trial: _judge_trial(task, trial),
            timeout=None if math.isinf(budget.seconds) else TRIALS_SHARE * budget.seconds - budget.elapsed,
            callbacks=[stop],
        )
    except KeyboardInterrupt:
        if len(list_completed(study)) < LEAST_TRIALS:
            raise
        return "interruption"
    n_trials = len(list_completed(study))
    if n_trials == budget.trials:
        return "trials"
    if n_trials and budget.elapsed < TRIALS_SHARE * budget.seconds:
        return "repeats"
    if n_trials >= LEAST_TRIALS:
        return "time"
    raise ConfigError(
        f"tune: {budget.seconds / 60:g} minutes are too few for {LEAST_TRIALS} trials and their comparison; allow more "
        "time, or learn from fewer users."
    )


def _judge_trial(task: Task, trial: optuna.Trial) -> float:
    """Return the precision of a trial; prune repeats, and trials that leave no time for the comparison."""
    from optuna import TrialPruned

    budget, done = task.budget, list_completed(trial.study)
    number, began = len(done), budget.elapsed
    task.progress("trials", number, budget.trials or number + 1)
    settings = {
        choice.name: choice.values[value_ix]
        for choice in task.choices
        if (value_ix := trial.suggest_int(choice.name, 0, len(choice.values) - 1)) != choice.start
    }
    if any(other.params == trial.params for other in done):
        raise TrialPruned
    start_again = done[0].user_attrs[SECONDS] if done else 0.0

    def watch(stage: str, n_done: int, n_total: int) -> None:
        elapsed = budget.elapsed
        if elapsed + (elapsed - began) + start_again > budget.seconds:
            if not done:
                trial.study.stop()
            raise TrialPruned
        task.progress(stage, n_done, n_total)

    try:
        precision = float(task.judge(settings, task.start.seed, watch).mean())
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
    """Retrain with the settings of the start and of the best trial, and judge both on cold users, paired by user."""
    budget, began = task.budget, task.budget.elapsed
    seeds = [(task.start.seed + 1 + number) % LARGEST_SEED for number in range(n_seeds)]
    judged: list[np.ndarray] = []
    try:
        for number, seed in enumerate(seeds):
            if judged and budget.elapsed + (budget.elapsed - began) / number > budget.seconds:
                break
            task.progress("comparison", number, n_seeds)
            start, better = (task.judge(settings, seed, task.progress, on_cold=True) for settings in ({}, best))
            judged.append(np.column_stack([start, better, better - start]))
    except KeyboardInterrupt:
        if not judged:
            raise
    means = bootstrap_means(np.concatenate(judged), np.tile(task.holdout.cold.users, len(judged)))
    return ColdScores(tuple(seeds[: len(judged)]), *means)
