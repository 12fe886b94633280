"""Judging questions: interviews see answers alone, and precision is that of plain computation."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.split import Split
from firstday.evaluate.interviews import ARMS, Interview, choosers, interview, run_onboarding, try_questions
from firstday.features.signals import Signals
from firstday.recommend.answered import rank_answered
from firstday.recommend.questionnaire import Answers, Questionnaire
from firstday.recommend.questions import QuestionBook
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows


@pytest.fixture(scope="module")
def used(world: Dataset, config: Config, split: Split) -> SparseRows:
    return unite_uses(world.all_actions(), config.signals).take(split.cold.users)


@pytest.fixture(scope="module")
def held(recommender: Recommender, used: SparseRows) -> dict[str, Interview]:
    questionnaire, book = Questionnaire.of(recommender.model), QuestionBook.of(recommender.model)
    return {name: interview(choose, used, 3) for name, choose in choosers(questionnaire, book, seed=4).items()}


def test_answers_are_what_users_use(held: dict[str, Interview], used: SparseRows) -> None:
    assert tuple(held) == ARMS
    for one in held.values():
        for user in range(used.n_rows):
            assert len(set(one.asked[user].tolist())) == 3
            assert one.yes[user].tolist() == np.isin(one.asked[user], used.row(user)).tolist()


@pytest.mark.parametrize("arm", ARMS)
def test_questions_cannot_see_what_was_not_answered(
    arm: str, held: dict[str, Interview], recommender: Recommender, used: SparseRows
) -> None:
    """Users who use nothing but what they said yes to are asked the same."""
    before = held[arm]
    rows = np.repeat(np.arange(used.n_rows), 3)[before.yes.ravel()]
    poorer = SparseRows.from_pairs(rows, before.asked[before.yes], None, used.n_rows, used.n_columns)
    chosen = choosers(Questionnaire.of(recommender.model), QuestionBook.of(recommender.model), seed=4)
    after = interview(chosen[arm], poorer, 3)
    np.testing.assert_array_equal(after.asked, before.asked)
    np.testing.assert_array_equal(after.yes, before.yes)


def test_questions_follow_the_answers(held: dict[str, Interview]) -> None:
    assert len(np.unique(held["adaptive"].asked[:, 0])) == 1
    assert len(np.unique(held["adaptive"].asked[:, 2])) > 1
    assert len(np.unique(held["popular"].asked, axis=0)) == 1
    assert len(np.unique(held["random"].asked, axis=0)) > 10


def test_precision_is_that_of_plain_computation(
    held: dict[str, Interview], recommender: Recommender, split: Split, used: SparseRows
) -> None:
    questionnaire = Questionnaire.of(recommender.model)
    k = questionnaire.k
    trial = try_questions(recommender, split.cold.users, used, n_questions=(0, 3), lists=("answers", "yeses"), seed=4)
    for arm, one in held.items():
        np.testing.assert_array_equal(trial.n_yes[arm, 3], one.yes.sum(axis=1))
        for user in range(0, used.n_rows, 7):
            likes = set(used.row(user).tolist())
            mine = set(one.asked[user].tolist())
            every = {item for other in held.values() for item in other.asked[user].tolist()}
            answers = Answers(tuple(mine & likes), tuple(mine - likes))
            for name, told in (("answers", answers), ("yeses", Answers(answers.yes))):
                ranked = rank_answered(questionnaire, told, recommender.model.n_items)[0].tolist()
                for rule, left_out in (("own", mine), ("common", every)):
                    relevant = likes - left_out
                    listed = [item for item in ranked if item not in left_out and item >= 0][:k]
                    expected = 100 * len(relevant.intersection(listed)) / max(1, min(k, len(relevant)))
                    assert trial.precision[name, arm, 3, rule][user] == pytest.approx(expected)
        for rule in ("own", "common"):  # with no question all arms are alike
            np.testing.assert_array_equal(
                trial.precision["answers", arm, 0, rule], trial.precision["answers", "popular", 0, rule]
            )


def test_lists_of_a_strategy_take_the_yeses_as_used(
    held: dict[str, Interview], recommender: Recommender, split: Split, used: SparseRows
) -> None:
    trial = try_questions(recommender, split.cold.users, used, n_questions=(3,), lists=("blend",), seed=4)
    one, model = held["popular"], recommender.model
    for user in range(0, used.n_rows, 11):
        asked, yes = one.asked[user].tolist(), one.yes[user].tolist()
        picks = [model.catalogue.items[item] for item, said in zip(asked, yes, strict=True) if said]
        signals = Signals(interactions=[("onboarding", "item", item) for item in picks])
        listed = recommender.recommend(signals, model.n_items, "blend", keep_used=True).items
        items = [model.catalogue.items.index_of(item.item_id) for item in listed]
        relevant = set(used.row(user).tolist()) - set(asked)
        hits = relevant.intersection([item for item in items if item not in asked][:20])
        expected = 100 * len(hits) / max(1, min(20, len(relevant)))
        assert trial.precision["blend", "popular", 3, "own"][user] == pytest.approx(expected)


def test_three_chosen_questions_beat_three_at_random(
    world: Dataset, recommender: Recommender, split: Split, methods_config: Config
) -> None:
    found = run_onboarding(
        world,
        lambda _seed: split,
        lambda _split, _seed: recommender,
        seeds=[0, 1],
        n_questions=(0, 3),
        lists=("answers",),
    )
    rows = {(row["arm"], row["questions"]): row for row in found["results"]}
    assert found["n_users"] == len(split.cold)
    assert len(rows) == 2 * len(ARMS)
    assert rows["adaptive", 3]["precision"] > 1.5 * rows["adaptive", 0]["precision"]
    assert rows["adaptive", 3]["precision"] > rows["random", 3]["precision"]
    low, high = rows["adaptive", 3]["precision_ratio_ci"]
    assert low <= rows["adaptive", 3]["precision_ratio"] <= high
    ratio = rows["adaptive", 3]["precision"] / rows["popular", 3]["precision"]
    assert rows["adaptive", 3]["precision_ratio"] == pytest.approx(ratio, abs=1e-3)
    assert rows["popular", 0]["yes"] == 0


def test_artists_are_judged_too(recommender: Recommender, split: Split, used: SparseRows) -> None:
    trial = try_questions(
        recommender, split.cold.users, used, entity="artist", n_questions=(0, 2), lists=("answers", "blend")
    )
    arms = {arm for _, arm, _, _ in trial.precision}
    assert arms == {"adaptive", "popular", "random"}
    after = trial.precision["answers", "adaptive", 2, "own"].mean()
    assert after > trial.precision["answers", "adaptive", 0, "own"].mean()
    np.testing.assert_array_equal(
        trial.precision["answers", "adaptive", 2, "own"], trial.precision["answers", "adaptive", 2, "common"]
    )
