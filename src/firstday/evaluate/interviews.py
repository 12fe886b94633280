"""Interviews: users whose likes are known answer questions that are chosen by their answers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firstday.data.rows import SparseRows
from firstday.recommend.questionnaire import Answers, Questionnaire
from firstday.recommend.questions import QuestionBook

ARMS = ("adaptive", "segments", "popular", "random")
"""Ways to choose questions: ours, by mutual information with the segment, the most used, at random."""

Chooser = Callable[[int, Answers], int]
"""Given a user's position and their answers so far, returns what to ask next."""


@dataclass(frozen=True, eq=False)
class Interview:
    """What some users were asked and answered.

    Parameters
    ----------
    asked
        Targets in the order asked, integers, shape (n_users, n_questions).
    yes
        Whether the answer was yes, shape (n_users, n_questions).
    """

    asked: np.ndarray
    yes: np.ndarray

    def first(self, n: int) -> Interview:
        """Return the interview broken off after n questions."""
        return Interview(self.asked[:, :n], self.yes[:, :n])

    def answers_of(self, user: int) -> Answers:
        """Return a user's answers."""
        asked, yes = self.asked[user], self.yes[user]
        return Answers(tuple(asked[yes].tolist()), tuple(asked[~yes].tolist()))


def interview(choose: Chooser, would_say: SparseRows, n_questions: int) -> Interview:
    """Ask each user some questions, each chosen by the answers before.

    Parameters
    ----------
    choose
        Sees nothing of a user but the answers.
    would_say
        What each user says yes to, shape (n_users, n_targets); no to all else.
    n_questions
        How many are asked.
    """
    asked = np.zeros((would_say.n_rows, n_questions), dtype=np.int64)
    yes = np.zeros(asked.shape, dtype=bool)
    for user in range(would_say.n_rows):
        answers, liked = Answers(), set(would_say.row(user).tolist())
        for turn in range(n_questions):
            target = choose(user, answers)
            asked[user, turn], yes[user, turn] = target, target in liked
            answers = answers.add(target, "yes" if yes[user, turn] else "no")
    return Interview(asked, yes)


def choosers(questionnaire: Questionnaire, book: QuestionBook | None, *, seed: int) -> dict[str, Chooser]:
    """Return a way to choose questions for each of `ARMS`; all ask about the same candidates.

    Parameters
    ----------
    questionnaire
        Chooses the adaptive questions; has the candidates.
    book
        Chooses those by segments; None, without this arm, where something else than items is asked about.
    seed
        Seed of the random questions: each user is asked other ones.
    """
    candidates = questionnaire.candidates

    def adaptive(_user: int, answers: Answers) -> int:
        choice = questionnaire.next_question(answers)
        assert choice is not None
        return choice.target

    def popular(_user: int, answers: Answers) -> int:
        return int(candidates[len(answers)])

    def at_random(user: int, answers: Answers) -> int:
        order = np.random.default_rng([seed, user]).permutation(candidates)
        return int(order[len(answers)])

    chosen: dict[str, Chooser] = {"adaptive": adaptive, "popular": popular, "random": at_random}
    if book is not None:
        kept: dict[tuple[frozenset[int], frozenset[int]], int] = {}

        def by_segments(_user: int, answers: Answers) -> int:
            key = frozenset(answers.yes), frozenset(answers.no)
            if key not in kept:
                question = book.next_item(answers.yes, answers.no)
                assert question is not None
                kept[key] = question.item
            return kept[key]

        chosen["segments"] = by_segments
    return {name: chosen[name] for name in ARMS if name in chosen}
