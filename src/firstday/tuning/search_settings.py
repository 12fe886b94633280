"""Settings tried within a time: chosen on validation users, then compared with the start on users who took no part."""

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
from firstday.data.splits.split import Cohort, Split
from firstday.errors import ConfigError, FirstdayError, needs_extra
from firstday.metrics import bootstrap_means, measure
from firstday.progress import Progress, no_progress
from firstday.recommend.recommender import answer_all
from firstday.recommend.registry import check_strategies, with_methods_of
from firstday.training.fit import choose_learners, cohort_query, find_learners, fit, use_of_warm
from firstday.tuning.search import Comparison, EndedBy, Search, Trial
from firstday.tuning.settings_to_try import Choice, list_choices

if TYPE_CHECKING:
    import optuna

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
TRIALS_SHARE = 2 / 3
"""Share of the time in which trials begin; the rest is for the comparison."""


@dataclass(frozen=True)
class Budget:
    """What a search may take.

    Parameters
    ----------
    seconds
        Time in all, from `began` on.
    trials
        Trials at most, the start among them.
    seeds
        Trainings of the start and of the best in the comparison, at most; fewer where time is short.
    began
        The beginning, by `time.perf_counter`; now if left out.
    """

    seconds: float = math.inf
    trials: int | None = None
    seeds: int = 3
    began: float = field(default_factory=perf_counter)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return perf_counter() - self.began


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

    def judge(self, settings: Mapping[str, Any], seed: int, progress: Progress, *, on_cold: bool = False) -> np.ndarray:
        """Train with some settings; return the precision of each user's list in %, of those for validation or cold."""
        users, cohort = (self.newcomers, self.cold) if on_cold else (self.dataset, self.split.validation)
        config = self.start.override({**settings, "seed": seed})
        recommender = fit(self.dataset, self.split, config, progress=progress)
        query = cohort_query(recommender, users, cohort, config.recommend.k)
        precision: np.ndarray = 100 * measure(answer_all(query, self.strategy).items, cohort.truth).precision
        return precision

    def settings_of(self, places: Mapping[str, int]) -> dict[str, Any]:
        """Return the settings that differ from the start, by the places of their values."""
        return {
            choice.name: choice.values[place]
            for choice in self.choices
            if (place := places[choice.name]) != choice.start
        }


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
        Time and trials. Trials begin in the first two thirds of the time; one that leaves no time to compare it is
        given up.
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
    if math.isinf(budget.seconds) and budget.trials is None:
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
    ended_by = _try(task, study, budget, progress, say)
    trials = tuple(
        Trial(number, task.settings_of(of.params), of.value, of.user_attrs["began"], of.duration.total_seconds())
        for number, of in enumerate(_completed(study))
    )
    progress("trials", len(trials), len(trials))
    best, comparison = max(trials, key=lambda trial: trial.precision), None
    if best.number:
        if ended_by == "interruption":
            budget = replace(budget, seeds=1)
            say("Interrupted; what was found so far is compared with the start. Press Ctrl-C again to end at once.")
        comparison = _compare(task, best, budget, progress)
    return Search(
        start=config,
        strategy=strategy,
        choices=choices,
        trials=trials,
        comparison=comparison,
        ended_by=ended_by,
        n_warm=min(n_learners, start.training.most_users),
        n_validation=len(split.validation),
        n_cold=len(cold),
        protocol=split.protocol,
        notes=split.notes,
        seconds=budget.elapsed,
    )


def _open_study(seed: int) -> optuna.Study:
    """Open a study of Optuna's, in memory."""
    with needs_extra("tuning", "tune"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # failures are told here, and once
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))


def _completed(study: optuna.Study) -> list[Any]:
    """Return the trials that were judged, in order."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


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


def _try(task: Task, study: optuna.Study, budget: Budget, progress: Progress, say: Callable[[str], None]) -> EndedBy:
    """Try settings until time, trials or new proposals run out.

    Raises
    ------
    ConfigError
        Time ended before there was anything to choose from.
    """
    for first in propose_first(task.choices, task.start.seed):
        study.enqueue_trial(first)

    def count_repeats() -> int:
        numbers = [trial.number for trial in _completed(study)]
        return len(study.get_trials(deepcopy=False)) - 1 - max(numbers, default=-1)

    def stop(*_: Any) -> None:
        n_judged = len(_completed(study))
        if not n_judged or n_judged == budget.trials or count_repeats() == MOST_REPEATS:
            study.stop()

    try:
        study.optimize(
            lambda trial: _judge_trial(task, trial, budget, progress, say),
            timeout=None if math.isinf(budget.seconds) else TRIALS_SHARE * budget.seconds - budget.elapsed,
            callbacks=[stop],
        )
    except KeyboardInterrupt:
        if len(_completed(study)) < LEAST_TRIALS:
            raise
        return "interruption"
    done = _completed(study)
    if len(done) == budget.trials:
        return "trials"
    if count_repeats() >= MOST_REPEATS:
        return "repeats"
    if len(done) >= LEAST_TRIALS:
        return "time"
    seconds = done[0].duration.total_seconds() if done else budget.elapsed
    needed = math.ceil((budget.elapsed + LEAST_TRIALS * LEAST_TRIALS * seconds) / 60)
    raise ConfigError(
        f"tune: one training takes {seconds:.0f} s or more, so that {budget.seconds / 60:g} minutes are too few to try "
        f"others and to compare; give at least {needed} minutes, or fewer users to learn from."
    )


def _judge_trial(
    task: Task, trial: optuna.Trial, budget: Budget, progress: Progress, say: Callable[[str], None]
) -> float:
    """Return the mean precision for validation users in %; prune what was tried before or leaves no time to compare."""
    from optuna import TrialPruned

    done, began = _completed(trial.study), budget.elapsed
    progress("trials", len(done), budget.trials or len(done) + 1)
    trial.set_user_attr("began", began)
    places = {choice.name: trial.suggest_int(choice.name, 0, len(choice.values) - 1) for choice in task.choices}
    if any(other.params == places for other in done):
        raise TrialPruned
    start_again = done[0].duration.total_seconds() if done else 0.0

    def watch(stage: str, n_done: int, n_total: int) -> None:
        elapsed = budget.elapsed
        if elapsed + (elapsed - began) + start_again > budget.seconds:
            raise TrialPruned
        progress(stage, n_done, n_total)

    try:
        precision = float(task.judge(task.settings_of(places), task.start.seed, watch).mean())
    except (FirstdayError, MemoryError) as error:
        if not done:
            raise
        say(f"Trial {len(done)} counts as 0 %: {error or 'out of memory'}")
        return 0.0
    if done and precision > max(other.value for other in done):
        say(f"Trial {len(done)}: {precision:.2f} % on validation users; start {done[0].value:.2f} %.")
    return precision


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
                pair.append(task.judge(settings, seed, progress, on_cold=True))
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
