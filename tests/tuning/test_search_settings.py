"""A search for settings: what ends it, who judges what, and what is said of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import sleep
from typing import Any

import numpy as np
import optuna
import pytest

from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import Holdout
from firstday.data.splits.split import Split
from firstday.errors import ConfigError
from firstday.metrics import Interval
from firstday.tuning import search_settings as module
from firstday.tuning.search import SETTINGS, ColdScores, Search, list_completed
from firstday.tuning.search_settings import Budget, propose_first, reduce_holdout, search_settings
from firstday.tuning.settings_to_try import Choice
from tests.synthetic import SEED, brief_config


@pytest.mark.parametrize("seed", range(3))
def test_the_first_proposals_are_the_start_and_some_that_move_a_few_settings(seed: int) -> None:
    choices = [Choice(name, (1, 2, 3), 1) for name in "abcde"]
    first, *others = propose_first(choices, seed)
    assert first == dict.fromkeys("abcde", 1)
    assert len(others) == 9
    for places in others:
        assert sorted(places.values()).count(1) == 2
        assert set(places.values()) <= {0, 1, 2}
    assert propose_first(choices[:1], seed)[1] in ({"a": 0}, {"a": 2})


def test_users_are_subsampled(world: Dataset, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VALIDATION_USERS", 7)
    monkeypatch.setattr(module, "MAX_COLD_USERS", 9)
    reduced = reduce_holdout(Holdout(world, split, world, split.cold), SEED)
    cold = reduced.cold
    assert [len(reduced.split.validation), len(cold)] == [7, 9]
    rows = np.flatnonzero(np.isin(split.cold.users, cold.users))
    assert (cold.users == split.cold.users[rows]).all()
    assert (cold.truth.lengths() == split.cold.truth.take(rows).lengths()).all()


Run = Callable[..., Search]


class Judge:
    """Judges settings without training: what they are worth is written down, and who was judged."""

    def __init__(self, worth: Any) -> None:
        self.worth = worth
        self.asked: list[tuple[Mapping[str, Any], int, str]] = []

    def __call__(
        self, task: Any, settings: Mapping[str, Any], seed: int, progress: Any, *, on_cold: bool = False
    ) -> Any:
        who, cohort = ("cold", task.holdout.cold) if on_cold else ("validation", task.holdout.split.validation)
        self.asked.append((settings, seed, who))
        self.progress = progress
        return float(self.worth(settings, who)) + np.arange(len(cohort)) % 5 - 2


@pytest.fixture
def search(world: Dataset, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(judge: Judge, say: Any = lambda _sentence: None, **budget: Any) -> Search:
        monkeypatch.setattr(module.Task, "evaluate", lambda *given, **named: judge(*given, **named))
        return search_settings(world, brief_config(), budget=Budget(**budget), strategy="segment", say=say)

    return run


def others_are_better(settings: Mapping[str, Any], _who: str) -> float:
    return 30 + len(settings)


def test_only_validation_users_judge_trials_and_only_cold_ones_the_comparison(search: Run) -> None:
    judge = Judge(others_are_better)
    found = search(judge, trials=20, seeds=2)
    trials = found.to_json()["trials"]
    best = found.best.user_attrs[SETTINGS]
    assert judge.asked[0] == ({}, SEED, "validation")
    assert [who for _, _, who in judge.asked] == ["validation"] * 20 + ["cold"] * 4
    assert {seed for _, seed, who in judge.asked if who == "validation"} == {SEED}
    assert [(settings, seed) for settings, seed, who in judge.asked if who == "cold"] == [
        (settings, SEED + 1 + number) for number in range(2) for settings in (trials[0]["settings"], best)
    ]
    assert (trials[0]["settings"], found.ended_by, len(trials)) == ({}, "trials", 20)
    assert found.best.value == max(trial["precision"] for trial in trials) > 30
    assert found.is_gain
    assert found.comparison is not None
    gain = float(len(best))
    assert found.comparison.gain == Interval(gain, gain, gain)  # paired by user
    assert found.comparison.start.low < found.comparison.start.high


def test_the_same_seed_and_number_of_trials_give_the_same_search(search: Run) -> None:
    first, again = (search(Judge(others_are_better), trials=15, seeds=1) for _ in range(2))
    tried, tried_again = ([trial.params for trial in list_completed(found.study)] for found in (first, again))
    assert tried == tried_again
    assert len({tuple(params.values()) for params in tried}) == 15  # nothing is tried twice


def test_a_start_that_is_best_is_compared_with_nothing(search: Run) -> None:
    judge = Judge(lambda settings, _who: 30 - len(settings))
    found = search(judge, trials=4)
    assert found.best.number == 0
    assert (found.comparison, found.is_gain, found.at_edge) == (None, False, ())
    assert {who for _, _, who in judge.asked} == {"validation"}


def test_a_gain_for_those_who_judged_alone_is_none(search: Run) -> None:
    judge = Judge(lambda settings, who: 30 + (len(settings) if who == "validation" else 0))
    found = search(judge, trials=4)
    assert found.best.number > 0
    assert not found.is_gain
    assert found.to_json()["result"] == "keep"


def test_a_trial_that_cannot_be_trained_counts_as_nothing(search: Run) -> None:
    def fail_elsewhere(settings: Mapping[str, Any], _who: str) -> float:
        if settings:
            raise ConfigError("embedding.dimensions: are too many.")
        return 30

    said: list[str] = []
    found = search(Judge(fail_elsewhere), said.append, trials=3)
    assert [trial.value for trial in list_completed(found.study)] == [30, 0, 0]
    assert said[0] == "Trial 1 counts as 0 %: embedding.dimensions: are too many."


def interrupt_at(call: int, worth: Any) -> Judge:
    def worth_or_interruption(settings: Mapping[str, Any], who: str) -> float:
        if len(judge.asked) == call:
            raise KeyboardInterrupt
        return float(worth(settings, who))

    judge = Judge(worth_or_interruption)
    return judge


def test_an_interruption_compares_what_was_found(search: Run) -> None:
    judge = interrupt_at(4, others_are_better)
    found = search(judge, trials=9, seeds=3)
    assert (found.ended_by, len(list_completed(found.study))) == ("interruption", 3)
    assert found.comparison is not None
    assert found.comparison.seeds == (SEED + 1,)


def test_a_second_interruption_keeps_the_seeds_that_are_done(search: Run, capfd: pytest.CaptureFixture[str]) -> None:
    found = search(interrupt_at(3 + 4, others_are_better), trials=3, seeds=3)
    assert found.comparison is not None
    assert found.comparison.seeds == (SEED + 1,)
    with pytest.raises(KeyboardInterrupt):
        search(interrupt_at(3 + 2, others_are_better), trials=3, seeds=3)
    with pytest.raises(KeyboardInterrupt):  # nothing to choose from
        search(interrupt_at(2, others_are_better), trials=3)
    assert capfd.readouterr().err == ""


def test_a_search_without_time_is_refused(search: Run) -> None:
    with pytest.raises(ConfigError, match="minutes are too few for 2 trials and their comparison"):
        search(Judge(others_are_better), seconds=1e-6)


def test_trials_end_with_the_time(search: Run) -> None:
    def judge_slowly(settings: Mapping[str, Any], who: str) -> float:
        sleep(0.05)
        return others_are_better(settings, who)

    found = search(Judge(judge_slowly), seconds=2, seeds=1)
    assert found.ended_by == "time"
    assert found.comparison is not None


def test_a_trial_that_leaves_no_time_to_compare_it_is_given_up(search: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 50 of 80 s of training with other dimensions, another such training would not end within 100 s."""
    clock = 0.0

    def take_time(settings: Mapping[str, Any], _who: str) -> float:
        nonlocal clock
        clock = 30.0 + (50 if "embedding.dimensions" in settings else 10)
        judge.progress("cold model", 1, 2)
        clock = 30.0
        return 30

    judge = Judge(take_time)
    monkeypatch.setattr(module, "perf_counter", lambda: clock)
    found = search(judge, seconds=100, trials=6, began=0)
    assert found.ended_by == "trials"
    assert any("embedding.dimensions" in settings for settings, _, _ in judge.asked)
    assert not any("embedding.dimensions" in trial.user_attrs[SETTINGS] for trial in list_completed(found.study))


def test_edges_are_named(search: Run) -> None:
    found = search(Judge(others_are_better), trials=2)
    settings = {"embedding.dimensions": 24, "embedding.als_confidence": 7.5}
    study = optuna.create_study(direction="maximize")
    study.add_trial(optuna.create_trial(value=99.0, user_attrs={SETTINGS: settings}))
    moved = replace(found, study=study)
    assert moved.at_edge == ("embedding.dimensions",)
    comparison = ColdScores((1,), Interval(30, 29, 31), Interval(31, 30, 32), Interval(1, 0.5, 1.5))
    assert replace(moved, comparison=comparison).to_json()["comparison"]["gain"] == {"mean": 1, "ci": (0.5, 1.5)}
