"""Onboarding questionnaire: choose the next question, and recommend from the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.data.events import ITEM
from firstday.display import readable
from firstday.errors import ConfigError
from firstday.features.encoder import pick_signal
from firstday.features.signals import Signals
from firstday.ranking import top_k
from firstday.recommend.belief import (
    DOUBT,
    SMOOTHING,
    gain_of_no,
    gain_of_yes,
    normalise,
)
from firstday.recommend.recommendation import Recommendation, name_items
from firstday.recommend.recommender import Recommender, check_length
from firstday.recommend.rules.list_rules import Rules
from firstday.segment.segments import BELIEF_SMOOTHING, ItemCounts
from firstday.sparse import SparseRows

ROUTE = "answers"
"""Route of lists ranked by all answers."""
SCALE = "share of people who would answer alike"
"""Scale of the scores of these lists."""


@dataclass(frozen=True)
class QuestionSettings:
    """Settings for choosing questions and ranking by the answers; tuned on validation users (docs/onboarding.md).

    Parameters
    ----------
    n_candidates
        Number of candidate targets: the most used, because people must recognise what they are asked about.
    segment_smoothing
        Pseudo-users with average behaviour added to each segment, so that no answer rules a segment out.
    doubt
        Probability that an answer is the average user's, whoever the newcomer resembles. At 0, a single answer would
        rule out every warm user who would not give it.
    smoothing
        Weight of popularity, relative to a total weight of 1 for the warm users; ranks the items that none of them
        uses.
    """

    n_candidates: int = 300
    segment_smoothing: float = BELIEF_SMOOTHING
    doubt: float = DOUBT
    smoothing: float = SMOOTHING


@dataclass(frozen=True)
class Answers:
    """A newcomer's answers, as target indices.

    Parameters
    ----------
    yes, no
        Targets answered yes and no.
    skipped
        Targets skipped: no evidence, but not asked again.
    """

    yes: tuple[int, ...] = ()
    no: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.yes) + len(self.no) + len(self.skipped)

    @property
    def targets(self) -> list[int]:
        """All targets asked so far."""
        return [*self.yes, *self.no, *self.skipped]

    def add(self, target: int, answer: str) -> Answers:
        """Return the answers with one more, ``yes``, ``no`` or ``skip``."""
        kind = {"yes": "yes", "no": "no", "skip": "skipped"}[answer]
        return replace(self, **{kind: (*getattr(self, kind), target)})


@dataclass(frozen=True)
class Question:
    """The next question.

    Parameters
    ----------
    target
        Index of the item, or of the member of another entity.
    gain_bits
        Expected information about the segment, from 0 to 1 bit.
    likely_yes
        Probability of a yes.
    """

    target: int
    gain_bits: float
    likely_yes: float


@dataclass(frozen=True, eq=False)
class AnsweringUsers:
    """Kept warm users and what they would answer (the fine-grained belief).

    A warm user would say yes to the items they use or, for another entity, to every member that one of their items
    belongs to. A newcomer answers like the warm user they resemble with probability 1 - `doubt`, and like the average
    user otherwise.

    Parameters
    ----------
    users_of_items
        Users of each item, shape (n_items, n_users).
    fans
        Users who would say yes to each target, shape (n_targets, n_users).
    popularity
        Share of all warm users who use each item, float32, shape (n_items,).
    doubt, smoothing
        See `QuestionSettings`.
    """

    users_of_items: SparseRows
    fans: SparseRows
    popularity: np.ndarray
    doubt: float = QuestionSettings.doubt
    smoothing: float = QuestionSettings.smoothing

    @property
    def n_users(self) -> int:
        """Number of kept warm users."""
        return self.fans.n_columns

    @cached_property
    def shares(self) -> np.ndarray:
        """Share of users who would say yes to each target, in the open interval (0, 1), float64, shape (n_targets,)."""
        return (self.fans.lengths() + 0.5) / (self.n_users + 1)

    @cached_property
    def n_used(self) -> np.ndarray:
        """Number of items each user uses, integers, shape (n_users,)."""
        return np.bincount(self.users_of_items.columns, minlength=self.n_users)

    def believe(self, answers: Answers) -> np.ndarray:
        """Return the posterior over the warm users, with a uniform prior, float64, shape (n_users,), sum 1."""
        logs = np.zeros(self.n_users)
        for targets, gain_of in ((answers.yes, gain_of_yes), (answers.no, gain_of_no)):
            for target in targets:
                logs[self.fans.row(target)] += gain_of(self.shares[target], self.doubt)
        return normalise(logs)

    def score(self, answers: Answers) -> np.ndarray:
        """Return the posterior share of users of each item, plus weighted popularity, shape (n_items,)."""
        users = self.users_of_items
        shares = np.bincount(users.row_of_entry(), self.believe(answers)[users.columns], minlength=users.n_rows)
        return shares.astype(np.float32) + np.float32(self.smoothing) * self.popularity


@readable
@dataclass(frozen=True, eq=False)
class Questionnaire:
    """Questions for a newcomer, and the belief that follows from the answers.

    The prior over segments is their share of warm users (the coarse belief, available in every model). A yes multiplies
    it by the share of the segment's users who would say yes, a no by the share who would say no. The next question
    maximises the mutual information of answer and segment. Ranking compares the newcomer with individual warm users, if
    the model keeps any.

    Parameters
    ----------
    entity
        The entity asked about: ``item``, or another entity of the model.
    candidates
        Target indices, most used first, integers, shape (n,).
    shares
        Share of each segment's users who would say yes to each candidate, in the open interval (0, 1), float64, shape
        (n_segments, n).
    prior
        Share of warm users in each segment, float64, shape (n_segments,).
    warm
        Warm users to compare with; None if the model keeps none.
    """

    entity: str
    candidates: np.ndarray
    shares: np.ndarray
    prior: np.ndarray
    warm: AnsweringUsers | None = None

    @classmethod
    def of(cls, model: TrainedModel, entity: str = ITEM, settings: QuestionSettings | None = None) -> Questionnaire:
        """Build the questionnaire of a model.

        Raises
        ------
        ConfigError
            The model does not know the items of the entity's members; or the entity is not ``item`` and the model keeps
            no warm users to count fans from.
        """
        settings = settings or QuestionSettings()
        members = None if entity == ITEM else model.members_of_items.get(entity)
        if entity != ITEM and members is None:
            known = ", ".join([ITEM, *model.members_of_items])
            raise ConfigError(f"entity: the model does not know the items of {entity!r}; choose one of {known}.")
        warm = None
        if model.warm is not None:  # convert uses to yeses
            users_of_items = model.warm.uses.ones().transpose()
            fans = users_of_items if members is None else model.warm.uses.through(members).ones().transpose()
            warm = AnsweringUsers(users_of_items, fans, model.popularity, settings.doubt, settings.smoothing)
        if members is None:
            counted, popularity = model.segments.items, np.asarray(model.popularity, dtype=np.float64)
        elif model.warm is None or warm is None:
            raise ConfigError(
                f"entity: to ask about {entity!r}, the model must keep warm users, and this one keeps none; ask about "
                "item, or train one with recommend.warm_users above 0."
            )
        else:
            kept = model.kept_by_segment
            counted = ItemCounts(kept.through(warm.fans.transpose()), kept.lengths())
            popularity = warm.fans.lengths() / max(1, warm.n_users)
        order = np.argsort(-popularity, kind="stable")[: settings.n_candidates]
        candidates = order[popularity[order] > 0]
        users = counted.counts.at(np.tile(candidates, (len(counted.sizes), 1)))
        lean = settings.segment_smoothing
        everyone = np.clip(popularity[candidates], 1e-6, 1 - 1e-6)
        shares = (users + lean * everyone) / (counted.sizes[:, None] + lean)
        return cls(entity, candidates, shares, counted.sizes / max(1, counted.sizes.sum()), warm)

    @cached_property
    def _entropies(self) -> np.ndarray:
        """Entropy of each segment's answer to each candidate, in bits, shape of `shares`."""
        return _entropy(self.shares)

    def believe(self, answers: Answers) -> np.ndarray:
        """Return the posterior over segments, float64, shape (n_segments,), sum 1.

        The order of the answers is irrelevant; targets that are not candidates are no evidence.
        """
        yes, no = (np.isin(self.candidates, targets) for targets in (answers.yes, answers.no))
        with np.errstate(divide="ignore"):
            logs = np.log(self.prior)
        return normalise(logs + np.log(self.shares[:, yes]).sum(axis=1) + np.log1p(-self.shares[:, no]).sum(axis=1))

    def next_question(self, answers: Answers, excluded: Sequence[int] = ()) -> Question | None:
        """Return the next question, or None if no candidate is left; `excluded` are targets not to ask about."""
        belief = self.believe(answers)
        likely_yes = belief @ self.shares
        gains = _entropy(likely_yes) - belief @ self._entropies
        gains[np.isin(self.candidates, [*answers.targets, *excluded])] = -np.inf
        if not len(gains) or gains.max() == -np.inf:
            return None
        best = int(gains.argmax())
        return Question(int(self.candidates[best]), max(0.0, float(gains[best])), float(likely_yes[best]))


def _entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy of a Bernoulli variable, in bits."""
    result: np.ndarray = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    return result


def answered_items(entity: str, answers: Answers) -> list[int]:
    """Return the items to exclude from the list: those answered yes or no."""
    return [*answers.yes, *answers.no] if entity == ITEM else []


def rank_by_answers(
    questionnaire: Questionnaire, answers: Answers, k: int, excluded: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Rank items by their use among warm users who would answer alike; items answered yes or no are excluded.

    Parameters
    ----------
    questionnaire, answers
        The model's questionnaire, and the newcomer's answers: both yeses and noes are evidence.
    k
        Length of the list.
    excluded
        Indices of further items to exclude, such as used or banned ones.

    Returns
    -------
    items, scores : numpy.ndarray
        int32 and float32, shape (k,), best first; see `firstday.ranking.top_k`.

    Raises
    ------
    ConfigError
        The model keeps no warm users.
    """
    if questionnaire.warm is None:
        raise ConfigError(
            "strategy: for a list by all answers the model must keep warm users, and this one keeps none; name another "
            "strategy, or train one with recommend.warm_users above 0."
        )
    scores = questionnaire.warm.score(answers)[None]
    scores[0, [*answered_items(questionnaire.entity, answers), *excluded]] = -np.inf
    items, values = top_k(scores, k)
    return items[0], values[0]


def expect_precision(questionnaire: Questionnaire, answers: Answers, question: Question, k: int) -> float | None:
    """Return the expected precision, from 0 to 1, of the list after the next answer; None without warm users.

    Precision is hits / min(k, used). The lists after a yes and after a no are each evaluated on the posterior over warm
    users, and averaged by the probability of the answer.
    """
    warm = questionnaire.warm
    if warm is None:
        return None
    expected = 0.0
    for word, likely in (("yes", question.likely_yes), ("no", 1 - question.likely_yes)):
        following = answers.add(question.target, word)
        items, _ = rank_by_answers(questionnaire, following, k)
        hits = np.bincount(warm.users_of_items.take(items[items >= 0]).columns, minlength=warm.n_users)
        expected += likely * float(warm.believe(following) @ (hits / np.clip(warm.n_used, 1, k)))
    return expected


def recommend_by_answers(
    model: TrainedModel,
    questionnaire: Questionnaire,
    answers: Answers,
    k: int | None = None,
    excluded: Sequence[int] = (),
) -> Recommendation:
    """Recommend by all answers; see `recommend_after_questions`."""
    closed = (*excluded, *model.unlisted.tolist())
    items, scores = rank_by_answers(questionnaire, answers, check_length(model, k), closed)
    assert questionnaire.warm is not None
    listed = name_items(model, items, np.clip(scores / np.float32(1 + questionnaire.warm.smoothing), 0, 1))
    return Recommendation(listed, ROUTE, ROUTE, None, None, (), score_scale=SCALE, n_ranked=len(listed))


def recommend_by_yeses(
    recommender: Recommender,
    entity: str,
    answers: Answers,
    k: int | None = None,
    strategy: str | None = None,
    excluded: Sequence[int] = (),
) -> Recommendation:
    """Recommend by a strategy that treats the yeses as day-one signals; see `recommend_after_questions`.

    Items answered yes or no are excluded.
    """
    model = recommender.model
    closed = tuple(str(model.catalogue.items[item]) for item in (*answered_items(entity, answers), *excluded))
    rules = Rules.model_construct(deny=closed)
    return recommender.recommend(signals_of(model, entity, answers), k, strategy, rules=rules)


def recommend_after_questions(
    recommender: Recommender,
    questionnaire: Questionnaire,
    answers: Answers,
    k: int | None = None,
    strategy: str | None = None,
    excluded: Sequence[int] = (),
) -> Recommendation:
    """Recommend to a newcomer, either by all answers or by a strategy that uses the yeses.

    Parameters
    ----------
    recommender, questionnaire, answers
        The model, its questionnaire, and the newcomer's answers.
    k
        Length of the list; defaults to the configured length.
    strategy
        ``answers``, or the name of a strategy. Defaults to ``answers`` if the model keeps warm users, and to the
        model's own strategy otherwise.
    excluded
        See `rank_by_answers`.

    Raises
    ------
    ConfigError
        k is below 1; the model lacks what the strategy needs; or it keeps no warm users to rank by all answers.
    """
    if strategy == ROUTE or (strategy is None and questionnaire.warm is not None):
        return recommend_by_answers(recommender.model, questionnaire, answers, k, excluded)
    return recommend_by_yeses(recommender, questionnaire.entity, answers, k, strategy, excluded)


def signals_of(model: TrainedModel, entity: str, answers: Answers) -> Signals:
    """Return the yeses as day-one signals, using `firstday.features.encoder.pick_signal`.

    The encoder has no signal for a no.
    """
    signal, ids = pick_signal(model.encoder, entity), model.catalogue.ids_of(entity)
    return Signals(interactions=[(signal, entity, ids[target]) for target in answers.yes])
