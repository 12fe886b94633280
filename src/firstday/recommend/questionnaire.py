"""Onboarding questionnaire: choose the next question, and recommend from the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from firstday.data.events import ITEM
from firstday.display import readable
from firstday.errors import ConfigError
from firstday.features.encoder import pick_signal
from firstday.features.signals import Signals
from firstday.model.trained_model import TrainedModel
from firstday.ranking import top_k
from firstday.recommend.belief import SMOOTHING, llr_of_no, llr_of_yes, normalise
from firstday.recommend.recommendation import Recommendation, name_items
from firstday.recommend.recommender import Recommender, check_length
from firstday.recommend.rules.list_rules import Rules
from firstday.recommend.spec import KEPT_USERS
from firstday.segment.segments import BELIEF_SMOOTHING, ItemCounts
from firstday.sparse import SparseRows

ROUTE, SCALE = "answers", "share of people with similar answers"
"""Route of lists ranked by yes and no answers, and the scale of their scores."""
MAX_QUESTION_ITEMS = 300
"""Number of candidate targets (items or entity members to ask about): the most used, as people must recognise them."""


@dataclass(frozen=True)
class Answers:
    """A newcomer's answers, as target indices. Skipped targets provide no evidence and are not asked about again."""

    yes: tuple[int, ...] = ()
    no: tuple[int, ...] = ()
    skip: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def targets(self) -> list[int]:
        """All targets asked so far."""
        return [*self.yes, *self.no, *self.skip]

    def add(self, target: int, answer: str) -> Answers:
        """Return a copy with one more answer: ``yes``, ``no`` or ``skip``."""
        return replace(self, **{answer: (*getattr(self, answer), target)})


@dataclass(frozen=True)
class Question:
    """The next target, the mutual information of answer and segment, from 0 to 1 bit, and the probability of a yes."""

    target: int
    gain_bits: float
    likely_yes: float


@dataclass(frozen=True, eq=False)
class AnsweringUsers:
    """Kept warm users, and what each would answer.

    A warm user would say yes to the items they use or, for another entity such as artists, to each artist of these
    items. A newcomer answers like the warm user they resemble with probability 1 - `DOUBT`, and like the average user
    otherwise.

    `uses` are the items of each user, shape (n_users, n_items), `fans` the users who would say yes to each target,
    shape (n_targets, n_users), and `popularity` is the share of all warm users who use each item, float32, shape
    (n_items,).
    """

    uses: SparseRows
    fans: SparseRows
    popularity: np.ndarray

    def believe(self, answers: Answers) -> np.ndarray:
        """Return the posterior over the warm users, with a uniform prior, float64, shape (n_users,), sum 1."""
        n_users = self.fans.n_columns
        logs = np.zeros(n_users)
        for targets, llr_of in ((answers.yes, llr_of_yes), (answers.no, llr_of_no)):
            for target in targets:
                fans = self.fans.row(target)
                share = (len(fans) + 0.5) / (n_users + 1)
                logs[fans] += llr_of(np.asarray(share))
        return normalise(logs)

    def score(self, answers: Answers) -> np.ndarray:
        """Return the posterior share of warm users who use each item, float32, shape (n_items,).

        `SMOOTHING` times popularity is added, so scores are between 0 and 1 + `SMOOTHING`.
        """
        weights = self.believe(answers)[self.uses.row_of_entry()]
        shares = np.bincount(self.uses.columns, weights, minlength=self.uses.n_columns)
        return shares.astype(np.float32) + np.float32(SMOOTHING) * self.popularity


@readable
@dataclass(frozen=True, eq=False)
class Questionnaire:
    """Questions for a newcomer, and the belief that follows from the answers.

    Questions use the belief over segments, which every model has. A segment's prior is its share of the warm users; a
    yes multiplies it by the share of its users who would say yes, a no by the share who would say no. The next question
    maximises the mutual information of answer and segment. Ranking compares the newcomer with individual warm users, if
    the model keeps any.

    `candidates` are target indices, most used first, shape (n,); `shares` has the share of each segment's users who
    would say yes to each, in (0, 1), shape (n_segments, n). `prior`, shape (n_segments,), has each segment's share of
    the warm users, or of the kept ones for entities other than ``item``.
    """

    entity: str
    candidates: np.ndarray
    shares: np.ndarray
    prior: np.ndarray
    warm: AnsweringUsers | None = None

    @classmethod
    def of(cls, model: TrainedModel, entity: str = ITEM) -> Questionnaire:
        """Build the questionnaire of a model; raise ConfigError if it cannot ask about the entity."""
        members = model.members_of_items.get(entity)
        if entity != ITEM and members is None:
            choice = ", ".join([ITEM, *model.members_of_items])
            raise ConfigError(
                f"{entity!r} is unknown or has no items in the model; choose one of {choice}.", where="entity"
            )
        if members is not None and model.warm is None:
            raise ConfigError(
                f"asking about {entity!r} needs a model that keeps warm users; ask about {ITEM}, or train one with "
                f"{KEPT_USERS}.",
                where="entity",
            )
        warm = None
        if model.warm is not None:
            would_say = model.warm.uses if members is None else model.warm.uses.through(members)
            warm = AnsweringUsers(model.warm.uses, would_say.ones().transpose(), model.popularity)
        if members is None or warm is None:
            counted = model.segments.items
            popularity = model.popularity.astype(np.float64)
        else:
            users = model.kept_by_segment
            counted = ItemCounts(users.through(warm.fans.transpose()), users.lengths())
            popularity = warm.fans.lengths() / max(1, warm.fans.n_columns)
        order = np.argsort(-popularity, kind="stable")[:MAX_QUESTION_ITEMS]
        candidates = order[popularity[order] > 0]
        sizes = counted.sizes
        n_yes = counted.counts.at(np.tile(candidates, (len(sizes), 1)))
        everyone = np.clip(popularity[candidates], 1e-6, 1 - 1e-6)
        shares = (n_yes + BELIEF_SMOOTHING * everyone) / (sizes[:, None] + BELIEF_SMOOTHING)
        return cls(entity, candidates, shares, sizes / max(1, sizes.sum()), warm)

    @cached_property
    def _entropies(self) -> np.ndarray:
        """Entropy of each segment's answer to each candidate, in bits, shape of `shares`."""
        return _entropy(self.shares)

    def believe(self, answers: Answers) -> np.ndarray:
        """Return the posterior over segments, float64, shape (n_segments,), sum 1.

        The order of the answers is irrelevant; answers about targets that are not candidates are ignored.
        """
        yes = self.shares[:, np.isin(self.candidates, answers.yes)]
        no = self.shares[:, np.isin(self.candidates, answers.no)]
        with np.errstate(divide="ignore"):
            logs = np.log(self.prior)
        return normalise(logs + np.log(yes).sum(axis=1) + np.log1p(-no).sum(axis=1))

    def next_question(self, answers: Answers, excluded: Sequence[int] = ()) -> Question | None:
        """Return the next question, or None if no candidate is left; `excluded` are targets not to ask about."""
        belief = self.believe(answers)
        likely_yes = belief @ self.shares
        gains = _entropy(likely_yes) - belief @ self._entropies
        gains[np.isin(self.candidates, [*answers.targets, *excluded])] = -np.inf
        if not len(gains) or gains.max() == -np.inf:
            return None
        best = gains.argmax()
        return Question(int(self.candidates[best]), max(0.0, float(gains[best])), float(likely_yes[best]))


def _entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy of a Bernoulli variable, in bits."""
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def answered_items(entity: str, answers: Answers) -> list[int]:
    """Return the items answered yes or no, which are excluded from the list; none for other entities."""
    return [*answers.yes, *answers.no] if entity == ITEM else []


def rank_by_answers(
    questionnaire: Questionnaire, answers: Answers, k: int, excluded: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Rank items by the yes and no answers, and return them and their scores, shape (k,); see `firstday.ranking.top_k`.

    Items answered yes or no, and those in `excluded`, such as used or banned ones, are not listed.
    """
    if questionnaire.warm is None:
        raise ConfigError(
            f"{ROUTE} needs a model that keeps warm users; train one with {KEPT_USERS}, or choose another strategy.",
            where="strategy",
        )
    scores = questionnaire.warm.score(answers)[None]
    scores[0, [*answered_items(questionnaire.entity, answers), *excluded]] = -np.inf
    items, values = top_k(scores, k)
    return items[0], values[0]


def recommend_after_questions(
    recommender: Recommender,
    questionnaire: Questionnaire,
    answers: Answers,
    k: int | None = None,
    strategy: str | None = None,
    excluded: Sequence[int] = (),
) -> Recommendation:
    """Recommend to a newcomer by the yes and no answers, or with a strategy, which uses the yes answers only.

    `strategy` is ``answers`` or the name of a strategy. It defaults to ``answers`` if the model keeps warm users, and
    to the configured strategy otherwise. For `excluded` see `rank_by_answers`.
    """
    model = recommender.model
    entity = questionnaire.entity
    if strategy == ROUTE or (strategy is None and questionnaire.warm is not None):
        excluded = [*excluded, *find_unlisted(recommender)]
        items, scores = rank_by_answers(questionnaire, answers, check_length(model, k), excluded)
        shares = np.clip(scores / np.float32(1 + SMOOTHING), 0, 1)
        listed = name_items(recommender.catalogue, items, shares, np.ones_like(shares))
        return Recommendation(listed, ROUTE, ROUTE, None, None, (), score_scale=SCALE, n_ranked=len(listed))
    ids = tuple(str(model.catalogue.items[item]) for item in (*answered_items(entity, answers), *excluded))
    rules = Rules.model_construct(deny=ids)
    return recommender.recommend(signals_of(model, entity, answers), k, strategy, rules=rules)


def find_unlisted(recommender: Recommender) -> np.ndarray:
    """Return the model's items that may not be listed now, nor asked about, int64."""
    model = recommender.model
    return np.flatnonzero(~(recommender.current_items or model).listed[: model.n_items])


def signals_of(model: TrainedModel, entity: str, answers: Answers) -> Signals:
    """Return the yeses as day-one signals, see `pick_signal`; the encoder has no signal for a no."""
    signal = pick_signal(model.encoder, entity)
    ids = model.catalogue.ids_of(entity)
    return Signals(interactions=[(signal, entity, ids[target]) for target in answers.yes])
