"""Evaluation of questions: interviews see answers alone, and precision is that of plain computation."""

from __future__ import annotations

import numpy as np
import pytest
from interviews import ARMS, Interview, choosers, interview, run_onboarding, try_questions

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.split import Split
from firstday.metrics import measure
from firstday.recommend.questionnaire import Answers, Questionnaire, rank_by_answers
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from tests.synthetic import brief_config


@pytest.fixture(scope="module")
def used(world: Dataset, config: Config, split: Split) -> SparseRows:
    return unite_uses(world.actions(), config.signals).take(split.cold.users)


@pytest.fixture(scope="module")
def interviews(recommender: Recommender, used: SparseRows) -> dict[str, Interview]:
    questionnaire = Questionnaire.of(recommender.model)
    return {name: interview(choose, used, 3) for name, choose in choosers(questionnaire, seed=4).items()}


@pytest.mark.parametrize("arm", ARMS)
def test_questions_cannot_see_what_was_not_answered(
    arm: str, interviews: dict[str, Interview], recommender: Recommender, used: SparseRows
) -> None:
    """Users who use nothing but what they said yes to are asked the same."""
    before = interviews[arm]
    rows = np.repeat(np.arange(used.n_rows), 3)[before.yes.ravel()]
    poorer = SparseRows.from_pairs(rows, before.targets[before.yes], None, used.n_rows, used.n_columns)
    after = interview(choosers(Questionnaire.of(recommender.model), seed=4)[arm], poorer, 3)
    np.testing.assert_array_equal(after.targets, before.targets)
    np.testing.assert_array_equal(after.yes, before.yes)


def test_precision_is_that_of_plain_computation(
    interviews: dict[str, Interview], recommender: Recommender, split: Split, used: SparseRows
) -> None:
    model = recommender.model
    questionnaire = Questionnaire.of(model)
    k = model.config.recommend.k
    trial = try_questions(recommender, split.cold.users, used, n_questions=(0, 3), lists=("answers", "yeses"), seed=4)
    for arm, of_arm in interviews.items():
        np.testing.assert_array_equal(trial.n_yes[arm, 3], of_arm.yes.sum(axis=1))
        for user in range(0, used.n_rows, 7):
            likes = set(used.row(user).tolist())
            by_arm = set(of_arm.targets[user].tolist())
            by_any = {item for other in interviews.values() for item in other.targets[user].tolist()}
            answers = Answers(tuple(by_arm & likes), tuple(by_arm - likes))
            for name, counted in (("answers", answers), ("yeses", Answers(answers.yes))):
                ranked = rank_by_answers(questionnaire, counted, model.n_items)[0].tolist()
                for rule, left_out in (("own", by_arm), ("common", by_any)):
                    listed = [item for item in ranked if item not in left_out and item >= 0][:k]
                    truth = SparseRows.from_lists([sorted(likes - left_out)], model.n_items)
                    expected = 100 * measure(np.array([listed + [-1] * (k - len(listed))]), truth).precision
                    assert trial.precision[name, arm, 3, rule][user] == pytest.approx(expected[0])
        for rule in ("own", "common"):  # with no question all arms are alike
            np.testing.assert_array_equal(
                trial.precision["answers", arm, 0, rule], trial.precision["answers", "popular", 0, rule]
            )


def test_a_run_splits_trains_and_evaluates_each_seed(world: Dataset, split: Split) -> None:
    results = run_onboarding(world, brief_config(), seeds=[0], n_questions=(0, 3), lists=("answers",))
    rows = {(row["arm"], row["questions"]): row for row in results["results"]}
    assert list(rows) == [(arm, n) for n in (0, 3) for arm in ARMS]
    assert results["n_users"] == len(split.cold)
    ratio = rows["segments", 3]["precision"] / rows["popular", 3]["precision"]
    assert rows["segments", 3]["precision_ratio"] == pytest.approx(ratio, abs=1e-3)
