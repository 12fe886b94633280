"""The questionnaire: what to ask a newcomer next, and the list that follows from the answers."""

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
from firstday.segment.segments import BELIEF_SMOOTHING, ItemCounts
from firstday.sparse import SparseRows

ROUTE = "answers"
"""The route of lists by all answers."""
SCALE = "share of people who would answer alike"
"""What the scores of such lists are."""


@dataclass(frozen=True)
class QuestionSettings:
    """How questions are chosen and lists made of the answers; chosen on validation users (docs/onboarding.md).

    Parameters
    ----------
    n_candidates
        How much may be asked about: the most used, since people must know what they are asked about.
    segment_smoothing
        Users with everyone's habits added to each segment, so that no answer rules a segment out.
    doubt
        How far an answer is what everyone would say, whoever one is like; 0 would rule out all who would not say it.
    smoothing
        Weight of everyone's habits beside all warm users who answer alike; it orders items that none of those uses.
    """

    n_candidates: int = 300
    segment_smoothing: float = BELIEF_SMOOTHING
    doubt: float = DOUBT
    smoothing: float = SMOOTHING


@dataclass(frozen=True)
class Answers:
    """What a newcomer answered, by the indexes of what the questions were about.

    Parameters
    ----------
    yes, no
        Answered so.
    skipped
        Not answered: tells nothing, and is not asked again.
    """

    yes: tuple[int, ...] = ()
    no: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.yes) + len(self.no) + len(self.skipped)

    @property
    def targets(self) -> list[int]:
        """All that questions were about."""
        return [*self.yes, *self.no, *self.skipped]

    def add(self, target: int, answer: str) -> Answers:
        """Return the answers with one more, ``yes``, ``no`` or ``skip``."""
        kind = {"yes": "yes", "no": "no", "skip": "skipped"}[answer]
        return replace(self, **{kind: (*getattr(self, kind), target)})


@dataclass(frozen=True)
class Question:
    """What to ask next.

    Parameters
    ----------
    target
        Index of the item, or of the member of another entity.
    gain_bits
        How much the answer tells of the segment, on average: between 0 and 1 bit.
    likely_yes
        How likely a yes is, between 0 and 1.
    """

    target: int
    gain_bits: float
    likely_yes: float


@dataclass(frozen=True, eq=False)
class AnsweringUsers:
    """Warm users that a model keeps, by what they would answer: the fine form of a belief.

    A warm user would say yes to what they use (for another entity than items: to what any item of theirs belongs to).
    Someone like a warm user says what that one would say with probability 1 - `doubt`, and otherwise what everyone
    says.

    Parameters
    ----------
    users_of_items
        Who uses each item, shape (n_items, n_users).
    fans
        Who would say yes to each target, shape (n_targets, n_users).
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
        """How many there are."""
        return self.fans.n_columns

    @cached_property
    def shares(self) -> np.ndarray:
        """Share of them who would say yes to each target, strictly within 0 and 1, float64, shape (n_targets,)."""
        return (self.fans.lengths() + 0.5) / (self.n_users + 1)

    @cached_property
    def n_used(self) -> np.ndarray:
        """How many items each uses, integers, shape (n_users,)."""
        return np.bincount(self.users_of_items.columns, minlength=self.n_users)

    def believe(self, answers: Answers) -> np.ndarray:
        """Return how far the newcomer is believed to be like each of them, float64, shape (n_users,), sum 1.

        It is in proportion to the probability of the answers.
        """
        logs = np.zeros(self.n_users)
        for targets, gain_of in ((answers.yes, gain_of_yes), (answers.no, gain_of_no)):
            for target in targets:
                logs[self.fans.row(target)] += gain_of(self.shares[target], self.doubt)
        return normalise(logs)

    def score(self, answers: Answers) -> np.ndarray:
        """Return the share of those believed to be alike who use each item, leaning on everyone's, (n_items,)."""
        users = self.users_of_items
        belief = self.believe(answers).astype(np.float32)[users.columns]
        scores = np.float32(self.smoothing) * self.popularity
        used = np.flatnonzero(users.lengths())
        if len(used):
            scores[used] += np.add.reduceat(belief, users.starts[used])
        return scores


@readable
@dataclass(frozen=True, eq=False)
class Questionnaire:
    """What a newcomer can be asked, and what the answers tell.

    The newcomer is believed to be in each segment as often as warm users are: the coarse form of a belief, which every
    model has. A yes makes a segment more likely by the share of its users who would say yes, a no by the share of those
    who would not. The next question is the one whose answer says most, on average, about the segment: the mutual
    information of answer and segment. Lists are made by comparing with single warm users, where the model keeps any.

    Parameters
    ----------
    entity
        What the questions are about: ``item``, or another entity of the model.
    candidates
        What may be asked about, by index, most used first, integers, shape (n,).
    shares
        Share of each segment's users who would say yes to each candidate, strictly within 0 and 1, float64, shape
        (n_segments, n).
    prior
        Share of warm users in each segment, float64, shape (n_segments,).
    warm
        Warm users to compare with; None where the model keeps none.
    """

    entity: str
    candidates: np.ndarray
    shares: np.ndarray
    prior: np.ndarray
    warm: AnsweringUsers | None = None

    @classmethod
    def of(cls, model: TrainedModel, entity: str = ITEM, settings: QuestionSettings | None = None) -> Questionnaire:
        """Make the questionnaire of a model.

        Raises
        ------
        ConfigError
            The model does not know which items belong to the members of the entity, or, for another entity than items,
            keeps no warm users of whom to count who would say yes.
        """
        settings = settings or QuestionSettings()
        members = None if entity == ITEM else model.members_of_items.get(entity)
        if entity != ITEM and members is None:
            known = ", ".join([ITEM, *model.members_of_items])
            raise ConfigError(
                f"entity: the model cannot ask about {entity!r}, whose items it does not know; choose of {known}."
            )
        warm = None
        if model.warm is not None:  # what they use, turned into what they would say yes to
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
        """Return how likely each segment is after some answers, float64, shape (n_segments,), sum 1.

        Parameters
        ----------
        answers
            Those so far, in any order; what is no candidate tells nothing.
        """
        yes, no = (np.isin(self.candidates, targets) for targets in (answers.yes, answers.no))
        with np.errstate(divide="ignore"):
            logs = np.log(self.prior)
        return normalise(logs + np.log(self.shares[:, yes]).sum(axis=1) + np.log1p(-self.shares[:, no]).sum(axis=1))

    def next_question(self, answers: Answers, excluded: Sequence[int] = ()) -> Question | None:
        """Return what to ask next, None where everything was asked.

        Parameters
        ----------
        answers
            Those so far, in any order.
        excluded
            Further targets that are not to be asked about.
        """
        belief = self.believe(answers)
        likely_yes = belief @ self.shares
        gains = _entropy(likely_yes) - belief @ self._entropies
        gains[np.isin(self.candidates, [*answers.targets, *excluded])] = -np.inf
        if not len(gains) or gains.max() == -np.inf:
            return None
        best = int(gains.argmax())
        return Question(int(self.candidates[best]), max(0.0, float(gains[best])), float(likely_yes[best]))


def _entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy of yes with probability p and no otherwise, in bits."""
    result: np.ndarray = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    return result


def answered_items(entity: str, answers: Answers) -> list[int]:
    """Return the items that have no place in the list that follows: those answered with yes or no."""
    return [*answers.yes, *answers.no] if entity == ITEM else []


def rank_by_answers(
    questionnaire: Questionnaire, answers: Answers, k: int, excluded: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Rank items by how much those who would have answered alike use them.

    Parameters
    ----------
    questionnaire
        Of the model.
    answers
        A newcomer's; yeses and noes both count. Items that were answered have no place in the list.
    k
        Length of the list.
    excluded
        Indexes of further items that have no place in it, such as those used or banned.

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
    """Return the precision that the list is expected to have after a question's answer, between 0 and 1.

    The list that would follow a yes, and the one that would follow a no, are compared with what the warm users believed
    in use, and weighed by how likely the answer is.

    Parameters
    ----------
    questionnaire, answers
        Of the model, and those before the question.
    question
        The next one.
    k
        Length of the list; precision is hits / min(k, used).

    Returns
    -------
    float or None
        None where the model keeps no warm users.
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
    """Return a newcomer's list by all of their answers; see `recommend_after_questions`."""
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
    """Return a strategy's list from the yeses, as if they were what was done on day one; see below.

    Items that were answered, with yes or with no, have no place in the list.
    """
    model = recommender.model
    length = check_length(model, k)
    left_out = {model.catalogue.items[item] for item in (*answered_items(entity, answers), *excluded)}
    longer = recommender.recommend(signals_of(model, entity, answers), length + len(left_out), strategy)
    places = [place for place, item in enumerate(longer.items) if item.item_id not in left_out][:length]
    n_ranked = sum(place < longer.n_ranked for place in places)
    return replace(longer, items=tuple(longer.items[place] for place in places), n_ranked=n_ranked)


def recommend_after_questions(
    recommender: Recommender,
    questionnaire: Questionnaire,
    answers: Answers,
    k: int | None = None,
    strategy: str | None = None,
    excluded: Sequence[int] = (),
) -> Recommendation:
    """Return a newcomer's list: by all answers, or by a strategy from the yeses.

    Parameters
    ----------
    recommender, questionnaire, answers
        The model, what was asked, and what a newcomer answered.
    k
        Length of the list; the configured length if left out.
    strategy
        ``answers``, or a strategy's name. If left out: by all answers, or, where the model keeps no warm users, by the
        model's own strategy.
    excluded
        See `rank_by_answers`.

    Raises
    ------
    ConfigError
        k is below 1, the model cannot answer by this strategy, or it keeps no warm users for a list by all answers.
    """
    if strategy == ROUTE or (strategy is None and questionnaire.warm is not None):
        return recommend_by_answers(recommender.model, questionnaire, answers, k, excluded)
    return recommend_by_yeses(recommender, questionnaire.entity, answers, k, strategy, excluded)


def signals_of(model: TrainedModel, entity: str, answers: Answers) -> Signals:
    """Return the yeses as what was done on day one; noes have no signal that the encoder understands.

    Parameters
    ----------
    model
        Its ids and signals, see `firstday.features.encoder.pick_signal`.
    entity
        What the questions were about.
    answers
        A newcomer's.
    """
    signal, ids = pick_signal(model.encoder, entity), model.catalogue.ids_of(entity)
    return Signals(interactions=[(signal, entity, ids[target]) for target in answers.yes])
