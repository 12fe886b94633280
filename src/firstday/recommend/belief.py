"""Bayesian belief about which segments and warm users a user resembles.

For lists, the prior of a segment or kept warm user falls with its distance to the predicted vector; the questionnaire
has other priors. The evidence is questionnaire answers, items used, and items seen but passed over. Each piece
multiplies the prior by its likelihood. A user resembling a warm user behaves like them with probability 1 - `DOUBT`,
and like the average user otherwise. In a segment, the probability of using an item is the smoothed share of users who
do. Pieces of evidence are not independent, so the likelihood of uses and impressions is tempered (docs/bandit.md).
"""

from __future__ import annotations

import numpy as np

from firstday.model.trained_model import TrainedModel
from firstday.recommend.query import Query
from firstday.segment.segments import BELIEF_SMOOTHING, Mixing, smooth_shares
from firstday.sparse import SparseRows

DOUBT = 0.3
"""Probability that a user behaves like the average user, whoever they resemble."""
NEARNESS = 0.1
"""Temperature of the warm users' prior, which falls by a factor of e as the cosine to the prediction falls by this."""
TEMPERING = 0.2
"""Exponent of the likelihood of uses and impressions in the posterior over warm users."""
SEGMENT_TEMPERING = 0.5
"""Exponent of the likelihood of uses and impressions in the posterior over segments."""
SMOOTHING = 0.02
"""Weight of popularity in smoothing the posterior share of warm users who use an item; the posterior has weight 1."""
N_BELIEVED = 800
"""Minimum number of candidate warm users; whole segments are added, nearest to the predicted vector first."""


def llr_of_yes(shares: np.ndarray) -> np.ndarray:
    """Return the log-likelihood ratio log P(yes | resembles a fan) - log P(yes | resembles no fan), shape of `shares`.

    Fans are the warm users who use the item or would say yes; `shares`, in (0, 1), are their shares of all warm users.
    """
    return np.log(DOUBT * shares + (1 - DOUBT)) - np.log(DOUBT * shares)


def llr_of_no(shares: np.ndarray, seen: np.ndarray | float = 1.0) -> np.ndarray:
    """Return the log-likelihood ratio log P(no | resembles a fan) - log P(no | resembles no fan), which is negative.

    `seen` is the probability that the item was seen at all, in (0, 1]; see `llr_of_yes`.
    """
    return np.log1p(-seen * (DOUBT * shares + (1 - DOUBT))) - np.log1p(-seen * DOUBT * shares)


def normalise(logs: np.ndarray) -> np.ndarray:
    """Return the softmax along the last axis."""
    belief = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return belief / belief.sum(axis=-1, keepdims=True)


def share_of_everyone(model: TrainedModel, items: np.ndarray) -> np.ndarray:
    """Return the share of warm users who use each item, clipped to the open interval (0, 1), float64, shape (n,)."""
    least = 0.5 / (model.everyone.sizes[0] + 1)
    return np.clip(model.popularity[items].astype(np.float64), least, 1 - least)


def find_members(model: TrainedModel, closeness: np.ndarray, n_users: int) -> np.ndarray:
    """Return the rows of at least `n_users` kept users, by whole segments, closest first.

    `closeness` has the closeness of each segment to the vector, shape (n_segments,).
    """
    kept = model.kept_by_segment
    nearest = np.argsort(-closeness)
    n_segments = int(np.searchsorted(kept.lengths()[nearest].cumsum(), n_users)) + 1
    return kept.take(nearest[:n_segments]).columns


def believed_shares(model: TrainedModel) -> np.ndarray:
    """Return the shares of each segment's top items with `BELIEF_SMOOTHING`, float32, shape (n_segments, n_top)."""
    return smooth_shares(model.segments, model.popularity, Mixing(smoothing=BELIEF_SMOOTHING))


def believe_people(query: Query, rows: np.ndarray) -> SparseRows:
    """Return the posterior over the kept warm users (the fine-grained belief), shape (n_rows, n_kept), rows of sum 1.

    The model must keep warm users. Candidates are the kept users in the segments nearest to the predicted vector or, if
    nothing is known about the user, kept users at evenly spaced rows, with equal priors.
    """
    model = query.model
    assert model.warm is not None
    people = model.warm.vectors
    candidates = []
    beliefs = []
    for row in rows.tolist():
        if query.has_features[row]:
            members = np.sort(find_members(model, query.closeness[row], N_BELIEVED))
            logs = (people[members] @ query.predicted[row]).astype(np.float64) / NEARNESS
        else:
            members = np.unique(np.linspace(0, len(people) - 1, min(N_BELIEVED, len(people))).astype(np.int64))
            logs = np.zeros(len(members))
        liked = query.liked.row(row)
        passed_over = query.passed_over.row(row)
        evidence = np.zeros(model.n_items)
        evidence[liked] = llr_of_yes(share_of_everyone(model, liked))
        evidence[passed_over] = llr_of_no(share_of_everyone(model, passed_over), query.passed_over.row_weights(row))
        uses = model.warm.uses.take(members)
        logs += TEMPERING * np.bincount(uses.row_of_entry(), evidence[uses.columns], minlength=len(members))
        candidates.append(members)
        beliefs.append(normalise(logs))
    starts = np.cumsum([0, *map(len, candidates)])
    columns = np.concatenate(candidates).astype(np.int32)
    return SparseRows(starts, columns, np.concatenate(beliefs).astype(np.float32), len(people))


def believe_segments(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return the posterior over segments (coarse belief, needs no kept users), float64, shape (n_rows, n_segments)."""
    model = query.model
    sizes = model.segments.items.sizes.astype(np.float64)
    with np.errstate(divide="ignore"):
        prior = np.log(sizes / max(1.0, sizes.sum()))
    logs = np.tile(prior, (len(rows), 1))
    known = np.flatnonzero(query.has_features[rows])
    if len(known):
        logs[known] = model.segments.closeness(query.predicted[rows[known]]) / model.mixing.temperature
    passed_over = query.passed_over
    for position, row in enumerate(rows.tolist()):
        yes = np.log(_shares_of_segments(model, query.liked.row(row)))
        no = np.log1p(-passed_over.row_weights(row) * _shares_of_segments(model, passed_over.row(row)))
        logs[position] += SEGMENT_TEMPERING * (yes.sum(axis=1) + no.sum(axis=1))
    return normalise(logs)


def _shares_of_segments(model: TrainedModel, items: np.ndarray) -> np.ndarray:
    """Return smoothed shares of each segment's users who use each item, float64, shape (n_segments, len(items))."""
    segments = model.segments
    counts = np.zeros((len(segments), len(items)))
    by_item = segments.counts_by_item.take(items)
    counts[by_item.columns, by_item.row_of_entry()] = by_item.weights
    shares = counts + BELIEF_SMOOTHING * share_of_everyone(model, items)
    return np.minimum(shares / (segments.items.sizes[:, None] + BELIEF_SMOOTHING), 1 - 1e-6)
