"""Why a list is as it is: where it came from, which signals moved the prediction, and what speaks for each item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from firstday.artifact.trained_model import KNOWLEDGE, TrainedModel
from firstday.data.events import ITEM
from firstday.features.signals import Catalogue, Signals
from firstday.ranking import unit_rows
from firstday.recommend.belief import believe_segments
from firstday.recommend.query import Query
from firstday.recommend.registry import find_strategy
from firstday.recommend.segment_description import describe_segment
from firstday.recommend.spec import Reason
from firstday.segment.segments import weigh_segments
from firstday.serve.batching import Reply
from firstday.serve.models import ServedModel
from firstday.serve.schemas import Explanation

N_SEGMENTS = 3
N_SEGMENT_ITEMS = 5
N_CHANGED = 3
"""Segments that rose, and that fell, at most."""
N_TITLES = 3
"""Items that name a segment."""
N_TRIED = 50
"""Signals left out one by one, at most; the newest."""
INTERACTIONS_AT_ONCE, N_TRIED_AT_LEAST = 10_000, 5
"""For very active users fewer signals are tried, so that nobody waits for them."""


def explain(reply: Reply) -> dict[str, Any]:
    """Explain a list.

    Leave-one-out: the user is encoded and predicted once more without each signal, all in one batch. It says what moved
    the *prediction*, which strategies that do not rest on it (`popular`, `group`, `day_one`, `fold_in`,
    `input_clusters`) do not heed; the sentence on the route says what the list rests on.

    Parameters
    ----------
    reply
        The list, with the model and the signals that it was made from.

    Returns
    -------
    dict of str to Any
        An `Explanation` as JSON values.
    """
    model, signals, strategy = reply.model.trained, reply.signals, reply.strategy
    n_signals = (signals.age is not None) + len(signals.groups) + bool(signals.friends) + len(set(signals.interactions))
    n_tried = min(N_TRIED, max(N_TRIED_AT_LEAST, INTERACTIONS_AT_ONCE // max(1, len(signals.interactions))))
    variants = list(islice(_leave_each_out(signals, model.catalogue), n_tried))
    query = Query(model, model.read_signals([signals, *(signals.copy(**change) for _, change in variants)])[0], k=1)
    spec = find_strategy(reply.route)
    route = spec.explain or spec.describe
    if reply.route != strategy:
        known = int(query.knowledge[0])
        route = (
            f"Of all strategies, {reply.route} was the best for users of whom as much is known ({KNOWLEDGE[known]}). "
            if known and strategy == "auto"
            else f"The strategy {strategy} has nothing to go on. "
        ) + route
    is_known = bool(query.known[0])
    explanation = {
        "route": route,
        "segments": _near_segments(reply, query) if is_known else [],
        "moved_by": _moved_by(query, [name for name, _ in variants]) if is_known else [],
        "signals_left_out": n_signals - len(variants),
        "items": _reasons(reply, query),
    }
    if signals.shown and (learned := tell_learned(model, signals)):
        explanation["learned"] = learned
    return Explanation.model_validate(explanation, from_attributes=True).model_dump(exclude_unset=True)


def _leave_each_out(signals: Signals, catalogue: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what each signal is called and what leaves it out: profile and friends, then interactions, newest first."""
    if signals.age is not None:
        yield f"age {signals.age}", {"age": None}
    for name, value in signals.groups.items():
        yield f"{name} {value}", {name: None}
    if signals.friends:
        yield f"{len(signals.friends):,} friends", {"friends": ()}
    for action in dict.fromkeys(reversed(signals.interactions)):
        _, entity, identity = action
        name = catalogue.find_name(entity, identity) if entity != ITEM else ""
        others = [other for other in signals.interactions if other != action]
        yield " ".join(map(str, action)) + (name and f" ({name})"), {"interactions": others}


def _near_segments(reply: Reply, query: Query) -> list[dict[str, Any]]:
    """Describe the segments nearest to the prediction."""
    segments = query.model.segments
    distances = np.linalg.norm(segments.centroids - query.predicted[0], axis=1)
    weights = np.zeros(len(segments))
    if reply.route == "segment":
        weights[reply.segment] = 1.0
    elif reply.route == "soft_segments":
        near, shares = weigh_segments(query.predicted[:1], segments, query.model.mixing)
        weights[near[0]] = shares[0]
    return [
        {
            **vars(describe_segment(query.model, segment, N_SEGMENT_ITEMS)),
            "weight": weights[segment],
            "distance": distances[segment],
        }
        for segment in np.argsort(distances, kind="stable")[:N_SEGMENTS].tolist()
    ]


def _moved_by(query: Query, names: list[str]) -> list[dict[str, Any]]:
    """Compare the prediction with those that lack a signal."""
    moved = 1 - query.predicted[1:] @ query.predicted[0]
    without = zip(query.known[1:], query.nearest_segments[1:], strict=True)
    segments = [nearest if is_known else None for is_known, nearest in without]
    return [
        {"signal": names[at], "moved": max(0.0, moved[at]), "segment_without": segments[at]}
        for at in np.argsort(-moved, kind="stable").tolist()
    ]


def _reasons(reply: Reply, query: Query) -> list[dict[str, Any]]:
    """Say why each item is there."""
    model, segment = query.model, reply.segment
    shares = np.zeros(model.n_items)
    if segment is not None:
        counts = model.segments.items
        shares[counts.counts.row(segment)] = counts.counts.row_weights(segment)
        shares /= max(1, int(counts.sizes[segment]))
    say = find_strategy(reply.route).reason
    reasons = []
    for place, (item, like) in enumerate(zip(reply.items, nearest_liked(reply.model, query, reply.items), strict=True)):
        share, of_all = None if segment is None else float(shares[item]), float(model.popularity[item])
        name = str(like["title"] or like["item_id"]) if like else None
        why = say and say(Reason(reply.scores[place], segment, share, of_all, name))
        if place >= reply.n_ranked or not why:
            begin = f"Ranked by {reply.route};" if place < reply.n_ranked else "Fills the list up:"
            why = f"{begin} {of_all:.1%} of everyone use it."
        reasons.append(
            {
                "item_id": reply.model.item_ids[item],
                "why": why,
                "share_of_segment": share,
                "share_of_everyone": of_all,
                "most_like": like,
            }
        )
    return reasons


def nearest_liked(served: ServedModel, query: Query, items: Sequence[int]) -> list[dict[str, Any] | None]:
    """Return for each item the liked item whose vector is nearest; None where no liked item has one."""
    vectors, liked = query.model.fold_in.item_vectors, query.liked.row(0)
    liked = liked[vectors[liked].any(axis=1)]
    if not len(liked):
        return [None] * len(items)
    similarity = unit_rows(vectors[items]) @ unit_rows(vectors[liked]).T
    return [{**served.name_item(liked[row.argmax()]), "similarity": row.max()} for row in similarity]


def tell_learned(model: TrainedModel, signals: Signals) -> dict[str, Any] | None:
    """Compare the belief in segments after what was shown with that before, when nothing had been shown.

    Before, what was shown is unknown, and so is all that the user did to these items.

    Returns
    -------
    dict of str to Any
        The values of `firstday.serve.schemas.Learned`: segments that rose and fell most, those that changed more first,
        and of equal ones the lower number. None where nothing was passed over.
    """
    shown = {str(impression.item_id) for impression in signals.shown}
    others = [action for action in signals.interactions if action[1] != ITEM or str(action[2]) not in shown]
    unshown = signals.copy(shown=(), interactions=others)
    query = Query(model, model.read_signals([signals, unshown])[0], k=1)
    n_passed_over = len(query.passed_over.row(0))
    if not n_passed_over:
        return None
    after, before = believe_segments(query, np.arange(2))

    def tell(change: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "segment": segment,
                "before": before[segment],
                "after": after[segment],
                "titles": [item.name for item in describe_segment(model, segment, N_TITLES).distinctive],
            }
            for segment in np.argsort(-change, kind="stable")[:N_CHANGED].tolist()
            if change[segment] > 0
        ]

    return {
        "n_passed_over": n_passed_over,
        "n_used": len({model.catalogue.items.index_of(item) for item in shown}.intersection(query.liked.row(0))),
        "risen": tell(after - before),
        "fallen": tell(before - after),
    }
