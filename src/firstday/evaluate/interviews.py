"""How good lists are after a few questions, by what is asked: simulated on users whose likes are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.split import Split
from firstday.features.signals import SignalBatch
from firstday.metrics import Interval, bootstrap_means, bootstrap_ratios, measure
from firstday.ranking import top_k
from firstday.recommend.answer import answer_all
from firstday.recommend.answered import ids_of, pick_signal
from firstday.recommend.query import Query
from firstday.recommend.questionnaire import Answers, Asking, Questionnaire
from firstday.recommend.questions import QuestionBook
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows

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


REFERENCE = "popular"
N_QUESTIONS = (0, 1, 3, 5)
LISTS = ("answers", "yeses", "blend")
"""Ways to make the list: by all answers; the same by yeses alone; a strategy that takes yeses as used on day one."""


def list_by_answers(
    questionnaire: Questionnaire, held: Interview, closed: SparseRows, k: int, *, noes: bool = True
) -> np.ndarray:
    """Return lists by the answers, with or without the noes, int32, shape (n_users, k), without closed items."""
    lists = np.zeros((len(held.asked), k), dtype=np.int32)
    scores: dict[Answers, np.ndarray] = {}
    for user in range(len(lists)):
        answers = held.answers_of(user)
        key = Answers(tuple(sorted(answers.yes)), tuple(sorted(answers.no)) if noes else ())
        if key not in scores:
            if len(scores) >= 200:
                scores.clear()
            scores[key] = questionnaire.score(key)
        mine = scores[key].copy()
        mine[closed.row(user)] = -np.inf
        lists[user] = top_k(mine[None], k)[0][0]
    return lists


def list_by_strategy(
    recommender: Recommender, entity: str, held: Interview, closed: SparseRows, k: int, strategy: str
) -> np.ndarray:
    """Return a strategy's lists where the yeses are all that is known; see `list_by_answers`."""
    model = recommender.model
    n_users = len(held.asked)
    rows, turns = np.nonzero(held.yes)
    picks = SparseRows.from_pairs(rows, held.asked[rows, turns], None, n_users, len(ids_of(model, entity)))
    signals = SignalBatch(n_users, model.n_items, {(pick_signal(model, entity), entity): picks})
    most = min(model.n_items, k + int(closed.lengths().max(initial=0)))
    longer = answer_all(Query(model, signals, most, keep_used=True), strategy).items
    scores = np.full((n_users, model.n_items), -np.inf, dtype=np.float32)
    row = np.arange(n_users)[:, None]
    scores[row, longer] = -np.arange(most, dtype=np.float32)
    scores[closed.row_of_entry(), closed.columns] = -np.inf
    return top_k(scores, k)[0]


@dataclass(frozen=True, eq=False)
class Trial:
    """The users of one seed after their interviews.

    Parameters
    ----------
    users
        `user_ix`, shape (n,).
    precision
        By list, arm, number of questions and rule (`own`, `common`): in %, shape (n,).
    n_yes
        By arm and number of questions, shape (n,).
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
    asking: Asking | None = None,
    seed: int = 0,
) -> Trial:
    """Interview users of whom nothing is known, in every way, and judge the lists that follow.

    Parameters
    ----------
    recommender
        A model that knows nothing of them.
    users
        `user_ix`, shape (n,).
    used
        Items that each uses at any time, in the model's indexes, shape (n, n_items): they say yes to these, or to what
        these belong to.
    entity
        What is asked about.
    n_questions
        After how many questions lists are judged.
    lists
        Ways to make them: `answers`, `yeses`, or names of strategies.
    arms
        Ways to choose questions.
    asking
        Settings of the questionnaire, for all arms.
    seed
        Seed of the random questions.

    Returns
    -------
    Trial
        Precision is hits / min(k, relevant). Items that were asked about are left out of the list, and relevant are
        the others that the user uses: under the rule `own` those that this arm did not ask about, under `common` those
        that no arm asked about, which then are left out of all lists.
    """
    model = recommender.model
    questionnaire = Questionnaire.of(model, entity, asking)
    would_say = used if entity == ITEM else used.through(model.members_of_items[entity]).ones()
    book = QuestionBook.of(model) if entity == ITEM else None
    held = {
        arm: interview(choose, would_say, max(n_questions))
        for arm, choose in choosers(questionnaire, book, seed=seed).items()
        if arm in arms
    }
    precision: dict[tuple[str, str, int, str], np.ndarray] = {}
    n_yes: dict[tuple[str, int], np.ndarray] = {}
    for n in n_questions:
        closed = {arm: _closed(one.first(n), entity, used) for arm, one in held.items()}
        every = _closed(Interview(*(np.concatenate(x, axis=1) for x in _parts(held, n))), entity, used)
        for arm, whole in held.items():
            one = whole.first(n)
            n_yes[arm, n] = one.yes.sum(axis=1)
            for rule, left_out in (("own", closed[arm]), ("common", every)):
                truth = _without(used, left_out)
                for name in lists:
                    if name in ("answers", "yeses"):
                        noes = name == "answers"
                        ranked = list_by_answers(questionnaire, one, left_out, questionnaire.k, noes=noes)
                    else:
                        ranked = list_by_strategy(recommender, entity, one, left_out, questionnaire.k, name)
                    precision[name, arm, n, rule] = 100 * measure(ranked, truth).precision
    return Trial(users, precision, n_yes)


def _parts(held: Mapping[str, Interview], n: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what all arms asked in their first n questions, and the answers."""
    first = [one.first(n) for one in held.values()]
    return [one.asked for one in first], [one.yes for one in first]


def _closed(held: Interview, entity: str, used: SparseRows) -> SparseRows:
    """Return the items that were asked about, shape of `used`."""
    if entity != ITEM:
        return SparseRows.empty(used.n_rows, used.n_columns)
    rows = np.repeat(np.arange(len(held.asked)), held.asked.shape[1])
    return SparseRows.from_pairs(rows, held.asked.ravel(), None, used.n_rows, used.n_columns).ones()


def _without(rows: SparseRows, left_out: SparseRows) -> SparseRows:
    """Return a matrix without the entries that another has."""
    keys = rows.row_of_entry() * rows.n_columns + rows.columns
    gone = left_out.row_of_entry() * left_out.n_columns + left_out.columns
    return rows.keep(~np.isin(keys, gone))


def run_onboarding(
    dataset: Dataset,
    split: Callable[[int], Split],
    fit: Callable[[Split, int], Recommender],
    *,
    seeds: Sequence[int],
    entity: str = ITEM,
    n_questions: Sequence[int] = N_QUESTIONS,
    lists: Sequence[str] = LISTS,
    on_validation: bool = False,
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> dict[str, Any]:
    """Split, train and judge questions once for each seed; return the findings as JSON values.

    Parameters
    ----------
    dataset
        The data.
    split, fit, seeds
        See `firstday.evaluate.run.run_benchmark`.
    entity, n_questions, lists
        See `try_questions`.
    on_validation
        Judge on validation users, as when a setting is chosen, instead of cold ones.
    progress
        Called with what is being done, seeds done, and seeds in all.
    """
    trials = []
    k = 0
    for number, seed in enumerate(seeds):
        progress(f"seed {seed}", number, len(seeds))
        parts = split(seed)
        recommender = fit(parts, seed)
        users = (parts.validation if on_validation else parts.cold).users
        used = unite_uses(dataset.all_actions(), recommender.model.config.signals).take(users)
        progress("interviews", number, len(seeds))
        options = {"entity": entity, "n_questions": n_questions, "lists": lists}
        trials.append(try_questions(recommender, users, used, seed=seed, **options))  # type: ignore[arg-type]
        k = recommender.model.config.recommend.k
    progress("done", len(seeds), len(seeds))
    return {
        "dataset": dataset.name,
        "k": k,
        "seeds": list(seeds),
        "entity": entity,
        "users": "validation" if on_validation else "cold",
        "n_users": len(trials[0].users),
        "known": "nothing, neither day one nor profile",
        "precision": "hits / min(k, relevant); relevant are used items that were not asked about: by this arm (own), "
        "or by any arm (common)",
        "results": summarise(trials),
    }


def summarise(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return a row for each list, arm and number of questions, with intervals over users and ratios to `popular`."""
    user = np.concatenate([trial.users for trial in trials])
    joined = {key: np.concatenate([trial.precision[key] for trial in trials]) for key in trials[0].precision}
    rows = []
    for name, arm, n, rule in joined:
        if rule != "own":
            continue
        row: dict[str, Any] = {"list": name, "arm": arm, "questions": n}
        row["yes"] = round(float(np.concatenate([trial.n_yes[arm, n] for trial in trials]).mean()), 3)
        for of_rule, word in (("own", "precision"), ("common", "precision_common")):
            mine, below = joined[name, arm, n, of_rule], joined[name, REFERENCE, n, of_rule]
            interval = bootstrap_means(np.stack([mine, mine - below], axis=1), user)
            row[word], row[f"{word}_ci"] = _rounded(interval[0])
            if arm != REFERENCE:
                row[f"{word}_minus_popular"], row[f"{word}_minus_popular_ci"] = _rounded(interval[1])
                if below.any():
                    (ratio,) = bootstrap_ratios(mine[:, None], below, user)
                    row[f"{word}_ratio"], row[f"{word}_ratio_ci"] = _rounded(ratio)
        rows.append(row)
    return rows


def _rounded(interval: Interval) -> tuple[float, list[float]]:
    """Return a mean and its interval to four digits."""
    return round(interval.mean, 4), [round(interval.low, 4), round(interval.high, 4)]
