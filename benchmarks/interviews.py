"""Quality of lists after a few questions, by questioning strategy: simulated on users whose likes are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from unittest.mock import patch

import numpy as np
from result_files import to_json

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.sampled import unite_uses
from firstday.features.encoder import pick_signal
from firstday.features.signals import SignalBatch
from firstday.metrics import bootstrap_means, bootstrap_ratios, measure
from firstday.progress import Progress, no_progress
from firstday.ranking import top_k
from firstday.recommend.query import Query
from firstday.recommend.questionnaire import AnsweringUsers, Answers, Questionnaire
from firstday.recommend.recommender import Recommender, answer_query
from firstday.sparse import SparseRows, contains
from firstday.training.fit import fit

ARMS = ("segments", "popular", "random")
"""Ways to choose questions: by mutual information with the segment (the questionnaire's); by popularity; at random."""

Chooser = Callable[[int, Answers], int]
"""Takes a user's row and their answers so far; returns the next target to ask about."""


@dataclass(frozen=True, eq=False)
class Interview:
    """Questions and answers of some users.

    Parameters
    ----------
    targets
        Targets of the questions, in the order asked, integers, shape (n_users, n_questions).
    yes
        Whether the answer was yes, shape (n_users, n_questions).
    """

    targets: np.ndarray
    yes: np.ndarray

    def first(self, n: int) -> Interview:
        """Return the first n questions and answers."""
        return Interview(self.targets[:, :n], self.yes[:, :n])

    def answers_of(self, user: int) -> Answers:
        """Return a user's answers."""
        targets = self.targets[user]
        yes = self.yes[user]
        return Answers(tuple(targets[yes].tolist()), tuple(targets[~yes].tolist()))


def interview(choose: Chooser, would_say: SparseRows, n_questions: int) -> Interview:
    """Ask each user some questions, each chosen by the previous answers alone.

    `would_say`, shape (n_users, n_targets), has the targets that each user says yes to; they say no to all others.
    """
    targets = np.zeros((would_say.n_rows, n_questions), dtype=np.int64)
    yes = np.zeros(targets.shape, dtype=bool)
    for user in range(would_say.n_rows):
        answers = Answers()
        liked = set(would_say.row(user).tolist())
        for turn in range(n_questions):
            target = choose(user, answers)
            targets[user, turn], yes[user, turn] = target, target in liked
            answers = answers.add(target, "yes" if yes[user, turn] else "no")
    return Interview(targets, yes)


def choosers(questionnaire: Questionnaire, *, seed: int) -> dict[str, Chooser]:
    """Return a question chooser for each of `ARMS`; all share the questionnaire's candidates.

    `seed` is that of the random questions, which differ by user.
    """
    candidates = questionnaire.candidates

    def by_segments(_user: int, answers: Answers) -> int:
        question = questionnaire.next_question(answers)
        assert question is not None
        return question.target

    def popular(_user: int, answers: Answers) -> int:
        return int(candidates[len(answers)])

    def at_random(user: int, answers: Answers) -> int:
        return int(np.random.default_rng([seed, user]).permutation(candidates)[len(answers)])

    return dict(zip(ARMS, (by_segments, popular, at_random), strict=True))


REFERENCE = "popular"
N_QUESTIONS = (0, 1, 3, 5)
LISTS = ("answers", "yeses", "blend")
"""Ways to make lists: from all answers; from yes answers alone; by a strategy that treats these as day-one uses."""


def list_by_answers(
    warm: AnsweringUsers, interviews: Interview, excluded: SparseRows, k: int, *, noes: bool = True
) -> np.ndarray:
    """Return lists from the answers, with or without the noes, int32, shape (n_users, k), without excluded items."""
    score = lru_cache(200)(warm.score)
    lists = []
    for user in range(len(interviews.targets)):
        answers = interviews.answers_of(user)
        scores = score(Answers(tuple(sorted(answers.yes)), tuple(sorted(answers.no)) if noes else ())).copy()
        scores[excluded.row(user)] = -np.inf
        lists.append(top_k(scores[None], k)[0][0])
    return np.stack(lists)


def list_by_strategy(
    recommender: Recommender, entity: str, interviews: Interview, excluded: SparseRows, k: int, strategy: str
) -> np.ndarray:
    """Return a strategy's lists from the yes answers alone; see `list_by_answers`."""
    model = recommender.model
    n_users = len(interviews.targets)
    rows, turns = np.nonzero(interviews.yes)
    n_targets = len(model.catalogue.ids_of(entity))
    picks = SparseRows.from_pairs(rows, interviews.targets[rows, turns], None, n_users, n_targets)
    signals = SignalBatch(n_users, model.n_items, {(pick_signal(model.encoder, entity), entity): picks})
    return answer_query(Query(model, signals, k, excluded_override=excluded), strategy).items


@dataclass(frozen=True, eq=False)
class Trial:
    """Results of one seed's interviews.

    Parameters
    ----------
    users
        `user_ix`, shape (n,).
    precision
        In %, shape (n,), by list, arm, number of questions and rule (`own`, `common`).
    n_yes
        Number of yes answers, shape (n,), by arm and number of questions.
    """

    users: np.ndarray
    precision: Mapping[tuple[str, str, int, str], np.ndarray]
    n_yes: Mapping[tuple[str, int], np.ndarray]


def try_questions(
    recommender: Recommender,
    users: np.ndarray,
    used: SparseRows,
    *,
    entity: str = ITEM,
    n_questions: Sequence[int] = N_QUESTIONS,
    lists: Sequence[str] = LISTS,
    arms: Sequence[str] = ARMS,
    seed: int = 0,
) -> Trial:
    """Interview unknown users in every way, and evaluate the resulting lists.

    Parameters
    ----------
    recommender
        A model not trained on these users, with kept warm users.
    users
        `user_ix`, shape (n,).
    used
        All items each user ever uses, in the model's indices, shape (n, n_items): users say yes to these, or to the
        entities these belong to.
    entity
        Entity that questions are about.
    n_questions
        Numbers of questions after which lists are evaluated.
    lists
        Ways to make lists: `answers`, `yeses`, or names of strategies.
    arms
        Ways to choose questions.
    seed
        Seed of the random questions.

    Returns
    -------
    Trial
        Precision is hits / min(k, relevant). Items asked about are excluded from the list. Relevant are the user's
        other items: under the rule `own` those that this arm did not ask about, under `common` those that no arm asked
        about, which are then excluded from all lists.
    """
    model = recommender.model
    questionnaire = Questionnaire.of(model, entity)
    k = model.config.recommend.k
    assert questionnaire.warm is not None
    would_say = used if entity == ITEM else used.through(model.members_of_items[entity]).ones()
    by_arm = {
        arm: interview(choose, would_say, max(n_questions))
        for arm, choose in choosers(questionnaire, seed=seed).items()
        if arm in arms
    }
    precision: dict[tuple[str, str, int, str], np.ndarray] = {}
    n_yes: dict[tuple[str, int], np.ndarray] = {}
    for n in n_questions:
        first = {arm: interviews.first(n) for arm, interviews in by_arm.items()}
        of_any = _asked_items(np.concatenate([x.targets for x in first.values()], axis=1), entity, used)
        for arm, interviews in first.items():
            n_yes[arm, n] = interviews.yes.sum(axis=1)
            for rule, excluded in (("own", _asked_items(interviews.targets, entity, used)), ("common", of_any)):
                truth = used.keep(~contains(excluded, used))
                for name in lists:
                    if name in ("answers", "yeses"):
                        noes = name == "answers"
                        ranked = list_by_answers(questionnaire.warm, interviews, excluded, k, noes=noes)
                    else:
                        ranked = list_by_strategy(recommender, entity, interviews, excluded, k, name)
                    precision[name, arm, n, rule] = 100 * measure(ranked, truth).precision
    return Trial(users, precision, n_yes)


def _asked_items(targets: np.ndarray, entity: str, used: SparseRows) -> SparseRows:
    """Return the items behind the asked targets, shape (n_users, n_questions), in the shape of `used`."""
    if entity != ITEM:
        return SparseRows.empty(used.n_rows, used.n_columns)
    rows = np.repeat(np.arange(len(targets)), targets.shape[1])
    return SparseRows.from_pairs(rows, targets.ravel(), None, used.n_rows, used.n_columns).ones()


Variant = tuple[str, Mapping[str, float]]
"""A way to choose questions, one of `ARMS`, and values of constants of `firstday.recommend`."""


def run_onboarding(
    dataset: Dataset,
    config: Config,
    *,
    seeds: Sequence[int],
    entity: str = ITEM,
    n_questions: Sequence[int] = N_QUESTIONS,
    lists: Sequence[str] = LISTS,
    variants: Mapping[str, Variant] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Split, train and evaluate questions on cold users, once per seed; return the results as JSON values.

    `variants` are other ways to choose questions and settings, evaluated on validation users with all answers.
    """
    variants = variants or {}
    config = config.override("protocol", "sampled")  # day ones are hidden, even if the log has them
    trials: list[Trial] = []
    means: dict[str, list[dict[int, np.ndarray]]] = {name: [] for name in variants}
    for seed in seeds:
        split = split_for_training(dataset, config, seed, with_cold=True)
        recommender = fit(dataset, split, config.override("seed", seed), progress=progress).recommender
        used = unite_uses(dataset.all_actions(), config.signals)
        cold = split.cold.users
        validation = split.validation.users
        score = partial(try_questions, recommender, entity=entity, n_questions=n_questions, seed=seed)
        trials.append(score(cold, used.take(cold), lists=lists))
        for name, (arm, constants) in variants.items():
            with ExitStack() as stack:
                for constant, value in constants.items():
                    stack.enter_context(patch(f"firstday.recommend.{constant}", value))
                trial = score(validation, used.take(validation), lists=("answers",), arms=(arm,))
            means[name].append({n: trial.precision["answers", arm, n, "own"] for n in n_questions if n})
    return {
        "dataset": dataset.name,
        "k": config.recommend.k,
        "seeds": list(seeds),
        "entity": entity,
        "users": "cold",
        "n_users": len(trials[0].users),
        "known": "nothing, neither day one nor profile",
        "precision": "hits / min(k, relevant); relevant are used items that were not asked about: by this arm (own), "
        "or by any arm (common)",
        "results": summarise(trials),
        "ablations": [
            {
                "changed": name,
                "precision": {
                    str(n): round(float(np.concatenate([of_seed[n] for of_seed in by_seed]).mean()), 4)
                    for n in by_seed[0]
                },
            }
            for name, by_seed in means.items()
        ],
    }


def summarise(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return a row per list, arm and number of questions, with intervals over users and ratios to `popular`."""
    user = np.concatenate([trial.users for trial in trials])
    joined = {key: np.concatenate([trial.precision[key] for trial in trials]) for key in trials[0].precision}
    rows = []
    for name, arm, n in dict.fromkeys(key[:3] for key in joined):
        n_yes = np.concatenate([trial.n_yes[arm, n] for trial in trials])
        row: dict[str, Any] = {"list": name, "arm": arm, "questions": n, "yes": round(float(n_yes.mean()), 3)}
        for rule, word in (("own", "precision"), ("common", "precision_common")):
            values = joined[name, arm, n, rule]
            popular = joined[name, REFERENCE, n, rule]
            intervals = dict(
                zip(("", "_minus_popular"), bootstrap_means(np.stack([values, values - popular], 1), user), strict=True)
            )
            if arm == REFERENCE:
                del intervals["_minus_popular"]
            elif popular.any():
                (intervals["_ratio"],) = bootstrap_ratios(values[:, None], popular, user)
            for of, interval in intervals.items():
                row |= to_json(f"{word}{of}", interval, 4)
        rows.append(row)
    return rows
