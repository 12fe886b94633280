"""Settings tried within a time: chosen on validation users, then compared with the start on users who took no part."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from firstday.config import LARGEST_SEED, Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.data.splits.split import Cohort, Split
from firstday.errors import ConfigError, FirstdayError, needs_extra
from firstday.metrics import bootstrap_means, measure
from firstday.progress import Progress, no_progress
from firstday.recommend.recommender import answer_all
from firstday.recommend.registry import check_strategies, with_methods_of
from firstday.training.fit import choose_learners, cohort_query, find_learners, fit, use_of_warm
from firstday.tuning.budget import Budget, expect_trials, has_time, is_too_late, plan_comparison
from firstday.tuning.search import Comparison, EndedBy, Search, Trial, best_of
from firstday.tuning.settings_to_try import Choice, list_choices

MOST_USERS = 50_000
"""Warm users whom trials learn from, at most, where nothing else is asked for."""
MOST_VALIDATION, MOST_COLD = 5_000, 20_000
"""Validation users who judge trials, and users who took no part in them, at most."""
FIRST_TRIALS, MOVED_AT_FIRST = 9, 3
"""Trials after the start that are drawn at random, and the settings that each moves away from it. Optuna's sampler
would draw all settings of ten trials at random; where the start is good, moving all of them at once only loses."""
MOST_REPEATS = 100
"""Settings tried before that are proposed in a row: so many end the search."""
LEAST_TRIALS = 2
"""With fewer there is nothing to choose from."""


@dataclass(frozen=True, eq=False)
class Task:
    """What is searched: on whom, from where, and by whose lists."""

    dataset: Dataset
    split: Split
    newcomers: Dataset
    cold: Cohort
    start: Config
    strategy: str
    choices: tuple[Choice, ...]

    def judge(
        self, settings: Mapping[str, Any], seed: int, progress: Progress, *, on_cold: bool = False
    ) -> tuple[np.ndarray, float]:
        """Train with some settings; return the precision of each user's list in %, and the seconds that lists took.

        The users are those for validation, or cold ones.
        """
        users, cohort = (self.newcomers, self.cold) if on_cold else (self.dataset, self.split.validation)
        config = self.start.override({**settings, "seed": seed})
        recommender = fit(self.dataset, self.split, config, progress=progress)
        began = perf_counter()
        query = cohort_query(recommender, users, cohort, config.recommend.k)
        lists = answer_all(query, self.strategy).items
        return 100 * measure(lists, cohort.truth).precision, perf_counter() - began


class _OutOfTimeError(Exception):
    """A trial took longer than it might."""


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
    """Search for better settings on validation users, and compare the best with the start on users who took no part.

    Everything happens on one split, that of `evaluate`: its warm users are learned from, its validation users decide
    when networks stop and which trial is best, and its cold users are looked at once, in the end. The same seed and
    number of trials give the same search, where time does not end it.

    Parameters
    ----------
    dataset, config
        The data, and the settings to start from; the defaults if left out.
    budget
        Time and trials. No trial begins that, by the mean of those before, would leave no time for the comparison, and
        one that takes longer than it may is given up.
    strategy
        Whose lists are to be good; ``recommend.strategy`` if left out.
    most_users
        Warm users that are learned from, at most: a part that is drawn by a hash of their ids.
    progress
        Called as trials and their stages advance.
    say
        Given a sentence where there is something to tell.

    Returns
    -------
    Search
        After an interruption (Ctrl-C) too, if two trials were done: compared by one seed, then.

    Raises
    ------
    ConfigError
        A setting that does not fit the data, or too little time.
    DataError
        Too few users.
    MissingExtraError
        Libraries for tuning or training are not installed.
    KeyboardInterrupt
        Interrupted before there was anything to compare.

    References
    ----------
    T. Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019; J. Bergstra et al.,
    "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011 (tree-structured Parzen estimators).
    """
    if math.isinf(min(budget.seconds, budget.trials)):
        raise ConfigError("tune: has neither a time nor a number of trials; give one of them.")
    config = config or Config()
    strategy = strategy or config.recommend.strategy
    start = with_methods_of(config, [strategy])
    check_strategies([strategy], start)
    study = _open_study(start.seed)  # before any work, since its library may be missing
    one = start.override({"registration.cut_offs": 1, "training.most_users": most_users})
    holdout = next(hold_out(dataset, one, start.seed, find_cut_offs(dataset, one)))
    split, cold = reduce_holdout(holdout, one)
    n_learners, n_days = len(find_learners(use_of_warm(holdout.dataset, split, start))), len(split.warm_day_one)
    n_items, is_precomputed = len(holdout.dataset.items), dataset.precomputed is not None
    choices = list_choices(start, n_learners, n_days, n_items, is_precomputed=is_precomputed)
    task = Task(holdout.dataset, split, holdout.newcomers, cold, start, strategy, choices)
    trials, ended_by = _try(task, study, budget, progress, say)
    progress("trials", len(trials), len(trials))
    best, comparison = best_of(trials), None
    if best.number:
        if ended_by == "interruption":
            budget = replace(budget, seeds=1)
            say("Interrupted; what was found so far is compared with the start. Press Ctrl-C again to end at once.")
        comparison = _compare(task, best, budget, progress)
    return Search(
        start=config,
        strategy=strategy,
        choices=choices,
        trials=tuple(trials),
        comparison=comparison,
        ended_by=ended_by,
        n_warm=min(n_learners, start.training.most_users),
        n_validation=len(split.validation),
        n_cold=len(cold),
        protocol=split.protocol,
        notes=split.notes,
        seconds=budget.elapsed,
    )


def _open_study(seed: int) -> Any:
    """Open a study of Optuna's, in memory."""
    with needs_extra("tuning", "tune"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))


def propose_first(choices: Sequence[Choice], seed: int) -> list[dict[str, int]]:
    """Return the first proposals as places of values: the start, and trials that move some settings away from it.

    Parameters
    ----------
    choices
        The settings to try, each with two values or more.
    seed
        Of the draw.
    """
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


def reduce_holdout(holdout: Holdout, config: Config) -> tuple[Split, Cohort]:
    """Return who to learn from and to validate on, held out, and the cold users: at most as many as judging takes.

    Parameters
    ----------
    holdout
        Where validation users are in folds, those of the first one are held out.
    config
        All settings, with `training.most_users`.
    """
    split = holdout.split.fold(holdout.split.folds[0]) if holdout.split.folds else holdout.split
    rows = find_learners(use_of_warm(holdout.dataset, split, config))
    if len(rows) > config.training.most_users:
        split = split.keep_warm(choose_learners(holdout.dataset, split.warm, rows, config))
    draw = np.random.default_rng(config.seed)
    validation, cold = (
        cohort if len(cohort) <= most else cohort.take(np.sort(draw.choice(len(cohort), most, replace=False)))
        for cohort, most in ((split.validation, MOST_VALIDATION), (holdout.cold, MOST_COLD))
    )
    return replace(split, validation=validation), cold


def _try(
    task: Task, study: Any, budget: Budget, progress: Progress, say: Callable[[str], None]
) -> tuple[list[Trial], EndedBy]:
    """Try settings until time, trials or new proposals run out."""
    for first in propose_first(task.choices, task.start.seed):
        study.enqueue_trial(first)
    trials: list[Trial] = []
    known: dict[tuple[int, ...], float] = {}
    kept, start_again, repeats = 0.0, 0.0, 0
    while len(trials) < budget.trials:
        seconds = [trial.seconds for trial in trials]
        if trials and not has_time(budget.seconds, budget.elapsed, seconds, kept):
            return _end(trials, budget), "time"
        progress("trials", len(trials), expect_trials(budget.seconds - kept, budget.elapsed, seconds, budget.trials))
        proposal = study.ask()
        places = tuple(proposal.suggest_int(choice.name, 0, len(choice.values) - 1) for choice in task.choices)
        if places in known:
            study.tell(proposal, known[places])
            repeats += 1
            if repeats == MOST_REPEATS:
                return trials, "repeats"
            continue
        repeats = 0
        settings = {
            choice.name: choice.values[place]
            for choice, place in zip(task.choices, places, strict=True)
            if place != choice.start
        }
        began = budget.elapsed
        try:
            precision, listing = _judge_trial(task, settings, budget, start_again, progress)
        except KeyboardInterrupt:
            if len(trials) < LEAST_TRIALS:
                raise
            return trials, "interruption"
        except _OutOfTimeError:
            return _end(trials, budget), "time"
        except (FirstdayError, MemoryError) as error:
            if not trials:
                raise
            say(f"Trial {len(trials)} counts as 0 %: {error or 'out of memory'}")
            precision = 0.0
        trials.append(Trial(len(trials), settings, precision, began, budget.elapsed - began))
        study.tell(proposal, precision)
        known[places] = precision
        if len(trials) == 1:
            lists_of_cold = listing * len(task.cold) / len(task.split.validation)
            start_again = trials[0].seconds + 2 * lists_of_cold
        elif best_of(trials) is trials[-1]:
            say(f"Trial {len(trials) - 1}: {precision:.2f} % on validation users; start {trials[0].precision:.2f} %.")
        mean = sum(trial.seconds for trial in trials) / len(trials)
        kept = start_again + mean
        if best_of(trials).number:  # while the start is best, there is nothing to compare
            kept = max(kept, plan_comparison(budget.seconds, start_again + best_of(trials).seconds, budget.seeds))
    return trials, "trials"


def _judge_trial(
    task: Task, settings: Mapping[str, Any], budget: Budget, start_again: float, progress: Progress
) -> tuple[float, float]:
    """Return the mean precision for validation users in %, and the seconds that their lists took."""
    began = budget.elapsed

    def watch(stage: str, n_done: int, n_total: int) -> None:
        elapsed = budget.elapsed
        if is_too_late(budget.seconds, elapsed, elapsed - began, start_again):
            raise _OutOfTimeError
        progress(stage, n_done, n_total)

    precision, listing = task.judge(settings, task.start.seed, watch)
    return float(precision.mean()), listing


def _end(trials: list[Trial], budget: Budget) -> list[Trial]:
    """Return the trials that time has ended.

    Raises
    ------
    ConfigError
        They are too few to choose from.
    """
    if len(trials) >= LEAST_TRIALS:
        return trials
    seconds = trials[0].seconds if trials else budget.elapsed
    needed = math.ceil((budget.elapsed + LEAST_TRIALS * LEAST_TRIALS * seconds) / 60)
    raise ConfigError(
        f"tune: one training takes {seconds:.0f} s or more, so that {budget.seconds / 60:g} minutes are too few to try "
        f"others and to compare; give at least {needed} minutes, or fewer users to learn from."
    )


def _compare(task: Task, best: Trial, budget: Budget, progress: Progress) -> Comparison:
    """Train the start and the best anew, and judge both on users who took no part."""
    longest = 0.0
    judged: list[np.ndarray] = []
    seeds: list[int] = []
    for number in range(budget.seeds):
        began = budget.elapsed
        if number and began + longest > budget.seconds:
            break
        seed = (task.start.seed + 1 + number) % LARGEST_SEED
        pair: list[np.ndarray] = []
        try:
            for settings in ({}, best.settings):
                progress("comparison", 2 * number + len(pair), 2 * budget.seeds)
                pair.append(task.judge(settings, seed, progress, on_cold=True)[0])
        except KeyboardInterrupt:
            if not judged:
                raise
            break
        judged.append(np.stack(pair, axis=1))
        seeds.append(seed)
        longest = max(longest, budget.elapsed - began)
    return compare_users(np.concatenate(judged), np.tile(task.cold.users, len(seeds)), tuple(seeds))


def compare_users(precision: np.ndarray, users: np.ndarray, seeds: tuple[int, ...]) -> Comparison:
    """Return means and the mean difference, with intervals over users.

    Parameters
    ----------
    precision
        Of each user and seed with the start and with the best settings, in %, shape (n, 2).
    users
        The user of each row, integers, shape (n,).
    seeds
        Of the trainings.
    """
    columns = np.column_stack([precision, precision[:, 1] - precision[:, 0]])
    return Comparison(seeds, len(np.unique(users)), *bootstrap_means(columns, users))
