"""Belief: whom a user is like, from every kind of evidence: answers, what was used, what was seen and passed over.

The prior comes from the predicted vector: the nearer a segment, or a kept warm user, the likelier. Each piece of
evidence multiplies it by how likely that piece is (Bayes' rule): somebody like a warm user does what that one would do
with the probability 1 - `DOUBT`, and otherwise what everyone does. Evidence of one user is not independent, so that
what follows from uses and impressions is tempered (docs/bandit.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.display import readable
from firstday.recommend.query import Query
from firstday.recommend.strategies.people import find_members
from firstday.segment.segments import BELIEF_SMOOTHING

DOUBT = 0.3
"""How far people do what everyone does, whoever they are like."""
NEARNESS = 0.1
"""Difference in cosine to the predicted vector at which a kept user is believed in less by e."""
TEMPERING = 0.2
"""Power of what uses and impressions tell, beside the prior."""
SEGMENT_TEMPERING = 0.5
"""The same beside the prior over segments."""
SMOOTHING = 0.02
"""Weight of everyone's habits beside those of the people believed in."""
N_BELIEVED = 800
"""Kept warm users whom a user may be like: those nearest to the predicted vector, by whole segments."""


def gain_of_yes(shares: np.ndarray, doubt: float = DOUBT) -> np.ndarray:
    """Return by how much a yes makes its fans likelier than others, as a logarithm, of the shape of `shares`.

    Parameters
    ----------
    shares
        Share of everyone who would say yes, strictly within 0 and 1.
    doubt
        See `DOUBT`.
    """
    gain: np.ndarray = np.log(doubt * shares + (1 - doubt)) - np.log(doubt * shares)
    return gain


def gain_of_no(shares: np.ndarray, doubt: float = DOUBT, seen: np.ndarray | float = 1.0) -> np.ndarray:
    """Return by how much a no makes fans likelier than others, as a logarithm: below 0.

    Parameters
    ----------
    shares, doubt
        See `gain_of_yes`.
    seen
        How likely what was passed over was seen at all, above 0 and at most 1, of the shape of `shares`.
    """
    gain: np.ndarray = np.log1p(-seen * (doubt * shares + (1 - doubt))) - np.log1p(-seen * doubt * shares)
    return gain


def normalise(logs: np.ndarray) -> np.ndarray:
    """Return beliefs, sums 1 along the last axis, from logarithms that lack a common number; of the same shape."""
    belief = np.exp(logs - logs.max(axis=-1, keepdims=True))
    normalised: np.ndarray = belief / belief.sum(axis=-1, keepdims=True)
    return normalised


def share_of_everyone(model: TrainedModel, items: np.ndarray) -> np.ndarray:
    """Return the share of warm users who use each of some items, strictly within 0 and 1, float64, shape (n,)."""
    least = 0.5 / (float(model.everyone.sizes[0]) + 1)
    shares: np.ndarray = np.clip(model.popularity[items].astype(np.float64), least, 1 - least)
    return shares


@readable
@dataclass(frozen=True, eq=False)
class PeopleBelief:
    """How far one user is believed to be like each of some kept warm users: the fine form of a belief.

    Parameters
    ----------
    members
        Their positions among the kept users, int64, shape (n,).
    belief
        float32, shape (n,); it adds up to 1.
    items, n_used
        What each uses, one after the other, int32, shape (n_entries,), and how many items these are, shape (n,).
    """

    members: np.ndarray
    belief: np.ndarray
    items: np.ndarray
    n_used: np.ndarray

    def shares(self, popularity: np.ndarray) -> np.ndarray:
        """Return the share of the people believed in who use each item, leaning on everyone's, float32, (n_items,)."""
        weights = np.repeat(self.belief, self.n_used)
        added = np.bincount(self.items, weights, minlength=len(popularity)).astype(np.float32)
        added += np.float32(SMOOTHING) * popularity
        added /= np.float32(1 + SMOOTHING)
        return added


def believe_people(query: Query, row: int) -> PeopleBelief:
    """Return whom of the kept warm users one user is like, after all evidence; the model must keep some.

    Parameters
    ----------
    query
        The users.
    row
        The user's position.
    """
    model = query.model
    assert model.warm is not None
    members, closeness = _find_near(query, row)
    uses = model.warm.uses.take(members)
    used, n_used = uses.columns, uses.lengths()
    evidence = np.zeros(model.n_items)
    liked, passed_over = query.liked.row(row), query.passed_over.row(row)
    evidence[liked] = gain_of_yes(share_of_everyone(model, liked))
    seen = query.passed_over.row_weights(row)
    evidence[passed_over] = gain_of_no(share_of_everyone(model, passed_over), seen=seen)
    logs = np.zeros(len(members))
    filled = np.flatnonzero(n_used)
    if len(filled):
        logs[filled] = np.add.reduceat(evidence[used], n_used.cumsum()[filled] - n_used[filled])
    belief = normalise(closeness / NEARNESS + TEMPERING * logs)
    return PeopleBelief(members, belief.astype(np.float32), used, n_used)


def _find_near(query: Query, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of the kept warm users of the segments nearest to the prediction, and their cosines to it.

    Of somebody of whom nothing is known, everyone is as near: then these are users at equal distances in the model.
    """
    model = query.model
    assert model.warm is not None
    people = model.warm.vectors
    if not query.known[row]:
        members = np.unique(np.linspace(0, len(people) - 1, min(N_BELIEVED, len(people))).astype(np.int64))
        return members, np.zeros(len(members))
    vector = query.predicted[row]
    if len(people) <= N_BELIEVED:
        return np.arange(len(people)), (people @ vector).astype(np.float64)
    members = find_members(model, query.closeness[row], N_BELIEVED)
    return members, (people[members] @ vector).astype(np.float64)


def believe_segments(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return how likely each user belongs to each segment, after all evidence: the coarse form, which every model has.

    Parameters
    ----------
    query
        The users.
    rows
        Positions of those who are asked for.

    Returns
    -------
    numpy.ndarray
        float64, shape (n_rows, n_segments); each row adds up to 1.
    """
    model = query.model
    segments, mixing = model.segments, model.mixing
    sizes = segments.items.sizes.astype(np.float64)
    with np.errstate(divide="ignore"):
        logs = np.tile(np.log(sizes / max(1.0, sizes.sum())), (len(rows), 1))
    known = np.flatnonzero(query.known[rows])
    if len(known):
        logs[known] = segments.closeness(query.predicted[rows[known]]) / mixing.temperature
    passed_over = query.passed_over
    for place, row in enumerate(rows.tolist()):
        yes, no = query.liked.row(row), passed_over.row(row)
        gain = np.log(_shares_of_segments(model, yes)).sum(axis=1)
        gain += np.log1p(-passed_over.row_weights(row) * _shares_of_segments(model, no)).sum(axis=1)
        logs[place] += SEGMENT_TEMPERING * gain
    return normalise(logs)


def _shares_of_segments(model: TrainedModel, items: np.ndarray) -> np.ndarray:
    """Return the share of each segment's users who use some items, leaning on everyone's, (n_segments, n_given)."""
    segments = model.segments
    counts = np.zeros((len(segments), len(items)))
    users = segments.counts_by_item.take(items)
    counts[users.columns, users.row_of_entry()] = users.weights
    shares = counts + BELIEF_SMOOTHING * share_of_everyone(model, items)
    below_one: np.ndarray = np.minimum(shares / (segments.items.sizes[:, None] + BELIEF_SMOOTHING), 1 - 1e-6)
    return below_one
