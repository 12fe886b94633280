"""The questionnaire: what to ask a newcomer next, and what warm users who would have answered alike use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.data.events import ITEM
from firstday.errors import ConfigError
from firstday.sparse import SparseRows

MOST_KEPT = 4_096
"""Choices kept for those who come with the same answers, at most."""


@dataclass(frozen=True)
class Asking:
    """How questions are chosen and lists made of the answers; chosen on validation users (docs/onboarding.md).

    Parameters
    ----------
    doubt
        How far an answer is what everyone would say, whoever one is like; 0 would rule out all who would not say it.
    smoothing
        Weight of everyone's habits beside all people who answer alike; it orders items that none of those uses.
    n_candidates
        How much may be asked about: the most used, since people must know what they are asked about.
    n_looked_at
        Candidates whose effect on the list is computed: those that tell most of the taste.
    most_judges, most_judged
        Warm users and most used items by which a question is judged, at most.
    """

    doubt: float = 0.3
    smoothing: float = 0.02
    n_candidates: int = 300
    n_looked_at: int = 40
    most_judges: int = 2_000
    most_judged: int = 2_000


@dataclass(frozen=True)
class Answers:
    """What a newcomer answered, by the indexes of what was asked about.

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
    def asked(self) -> list[int]:
        """All that was asked about."""
        return [*self.yes, *self.no, *self.skipped]

    def add(self, target: int, answer: str) -> Answers:
        """Return the answers with one more, ``yes``, ``no`` or ``skip``."""
        return Answers(
            (*self.yes, target) if answer == "yes" else self.yes,
            (*self.no, target) if answer == "no" else self.no,
            (*self.skipped, target) if answer == "skip" else self.skipped,
        )


@dataclass(frozen=True)
class Choice:
    """What to ask next.

    Parameters
    ----------
    target
        Index of the item, or of the member of another entity.
    likely_yes
        How likely a yes is, between 0 and 1.
    precision
        Precision that the list is expected to have after the answer, between 0 and 1.
    """

    target: int
    likely_yes: float
    precision: float


@dataclass(frozen=True, eq=False)
class Questionnaire:
    """Compares a newcomer with warm users by how these would have answered.

    A warm user would say yes to what they use (for another entity than items: to what any item of theirs belongs to).
    The newcomer is believed to be like each of them in proportion to the probability of the answers: someone like a
    warm user says what that one would say with probability 1 - `doubt`, and otherwise what everyone says. Items are
    then ranked by the believed share of their users.

    The next question is the one after whose answer the list is expected to be most precise: the list that would follow
    a yes, and the one that would follow a no, are compared with what the people believed in use, and weighed by how
    likely the answer is. As that takes a while, it is done for the `n_looked_at` candidates whose answers explain most
    of the spread of the people's vectors.

    Parameters
    ----------
    entity
        What is asked about: ``item``, or another entity of the model.
    uses
        Items that each warm user uses, shape (n_people, n_items).
    vectors
        Their mature vectors, float32, shape (n_people, d).
    fans
        Who would say yes to what, shape (n_targets, n_people).
    candidates
        What may be asked about, most used first, integers, shape (n,).
    popularity
        Share of all warm users who use each item, float32, shape (n_items,).
    k
        Length of the lists.
    asking
        How questions are chosen.
    """

    entity: str
    uses: SparseRows
    vectors: np.ndarray
    fans: SparseRows
    candidates: np.ndarray
    popularity: np.ndarray
    k: int
    asking: Asking = Asking()
    _chosen: dict[tuple[frozenset[int], ...], Choice | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: TrainedModel, entity: str = ITEM, asking: Asking | None = None) -> Questionnaire:
        """Make the questionnaire of a model.

        Raises
        ------
        ConfigError
            The model keeps no warm users, or does not know which items belong to the members of the entity.
        """
        asking = asking or Asking()
        warm = model.warm
        if warm is None:
            raise ConfigError(
                "onboarding: the model keeps no warm users to compare with; train one with recommend.warm_users above "
                "0."
            )
        uses = warm.used_by_neighbors
        said = uses
        if entity != ITEM:
            members = model.members_of_items.get(entity)
            if members is None:
                known = ", ".join([ITEM, *model.members_of_items])
                raise ConfigError(
                    f"entity: the model cannot ask about {entity!r}, whose items it does not know; choose of {known}."
                )
            said = said.through(members)
        fans = said.ones().transpose()
        n_fans = fans.lengths()
        order = np.lexsort((np.arange(fans.n_rows), -n_fans))[: asking.n_candidates]
        candidates = order[n_fans[order] > 0]
        return cls(
            entity, uses, warm.neighbor_vectors, fans, candidates, model.popularity, model.config.recommend.k, asking
        )

    @property
    def n_people(self) -> int:
        """How many warm users there are to compare with."""
        return self.uses.n_rows

    def believe(self, answers: Answers) -> np.ndarray:
        """Return how far the newcomer is believed to be like each warm user, float64, shape (n_people,), sum 1.

        Parameters
        ----------
        answers
            Those so far.
        """
        logs = np.zeros(self.n_people)
        for targets, told in ((answers.yes, True), (answers.no, False)):
            for target in targets:
                fans = self.fans.row(target)
                share = self._shares[target]
                everyone = share if told else 1 - share
                logs[fans] += np.log(self.asking.doubt * everyone + (1 - self.asking.doubt) * told) - np.log(
                    self.asking.doubt * everyone + (1 - self.asking.doubt) * (not told)
                )
        belief = np.exp(logs - logs.max())
        normalised: np.ndarray = belief / belief.sum()
        return normalised

    def score(self, answers: Answers) -> np.ndarray:
        """Return the share of those believed to be alike who use each item, leaning on everyone's, shape (n_items,)."""
        users = self._users
        believed = self.believe(answers).astype(np.float32)[users.columns]
        scores = np.float32(self.asking.smoothing) * self.popularity
        used = np.flatnonzero(users.lengths())
        if len(used):
            scores[used] += np.add.reduceat(believed, users.starts[used])
        return scores

    def closed(self, answers: Answers) -> Sequence[int]:
        """Return the items that have no place in the list: those asked about and answered."""
        return [*answers.yes, *answers.no] if self.entity == ITEM else []

    def next_question(self, answers: Answers) -> Choice | None:
        """Return what to ask next, None where everything was asked.

        Parameters
        ----------
        answers
            Those so far; their order tells nothing.
        """
        key = (frozenset(answers.yes), frozenset(answers.no), frozenset(answers.skipped))
        if key not in self._chosen:
            if len(self._chosen) >= MOST_KEPT:
                self._chosen.clear()
            self._chosen[key] = self._choose(answers)
        return self._chosen[key]

    def _choose(self, answers: Answers) -> Choice | None:
        """Compute what to ask next."""
        left = np.flatnonzero(~np.isin(self.candidates, answers.asked))
        if not len(left):
            return None
        belief = self.believe(answers)[self._judges]
        weights = (belief / belief.sum()).astype(np.float32)
        yes = weights[:, None] * self._would_say  # (n_judges, n_candidates)
        likely = yes.sum(axis=0)
        moved = yes.T @ self.vectors[self._judges] - np.outer(likely, weights @ self.vectors[self._judges])
        told = (moved**2).sum(axis=1) / np.maximum(likely * (1 - likely), np.float32(1e-9))
        short = np.sort(left[np.argsort(-told[left], kind="stable")[: self.asking.n_looked_at]])
        if_yes = yes[:, short].T @ self._worth  # (n_short, n_judged)
        if_no = weights @ self._worth - if_yes
        for lists in (if_yes, if_no):  # what was asked about has no place in the list
            lists[:, np.isin(self._judged, self.closed(answers))] = 0
            if self.entity == ITEM:
                lists[self.candidates[short][:, None] == self._judged] = 0
        expected = _sum_best(if_yes, self.k) + _sum_best(if_no, self.k)
        best = int(expected.argmax())
        return Choice(int(self.candidates[short[best]]), float(likely[short[best]]), float(expected[best]))

    @cached_property
    def _users(self) -> SparseRows:
        """Who uses each item, shape (n_items, n_people)."""
        return self.fans if self.entity == ITEM else self.uses.transpose()

    @cached_property
    def _shares(self) -> np.ndarray:
        """Share of people who would say yes to each target, strictly within 0 and 1."""
        return (self.fans.lengths() + 0.5) / (self.n_people + 1)

    @cached_property
    def _judges(self) -> np.ndarray:
        """Warm users by whom questions are judged, ascending."""
        n = min(self.asking.most_judges, self.n_people)
        return np.sort(np.random.default_rng(0).choice(self.n_people, n, replace=False))

    @cached_property
    def _judged(self) -> np.ndarray:
        """Items by which questions are judged: the most used, ascending."""
        return np.sort(np.lexsort((np.arange(len(self.popularity)), -self.popularity))[: self.asking.most_judged])

    @cached_property
    def _would_say(self) -> np.ndarray:
        """How likely someone like each judge says yes to each candidate, float32, shape (n_judges, n_candidates)."""
        asked = self.fans.take(self.candidates).transpose().take(self._judges)
        likely = np.tile(self.asking.doubt * self._shares[self.candidates], (len(self._judges), 1)).astype(np.float32)
        likely[asked.row_of_entry(), asked.columns] += np.float32(1 - self.asking.doubt)
        return likely

    @cached_property
    def _worth(self) -> np.ndarray:
        """What an item in the list adds to each judge's precision, float32, shape (n_judges, n_judged)."""
        uses = self.uses.take(self._judges)
        place = np.full(self.uses.n_columns, -1)
        place[self._judged] = np.arange(len(self._judged))
        worth = np.zeros((len(self._judges), len(self._judged)), dtype=np.float32)
        inside = place[uses.columns] >= 0
        row = uses.row_of_entry()[inside]
        worth[row, place[uses.columns[inside]]] = 1 / np.minimum(self.k, uses.lengths())[row]
        return worth


def _sum_best(values: np.ndarray, k: int) -> np.ndarray:
    """Return the sum of the k greatest values of each row, shape (n,)."""
    kept = min(k, values.shape[1])
    best = np.partition(values, values.shape[1] - kept, axis=1)[:, values.shape[1] - kept :]
    summed: np.ndarray = best.sum(axis=1)
    return summed
