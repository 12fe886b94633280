"""`latest`: the newest items of the shows, artists or other entities that the user follows, then trending ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from time import time

import numpy as np

from firstday.display import readable
from firstday.methods.precision import measure_lengths
from firstday.methods.trending import recommend_trending
from firstday.ranking import first_distinct, rank_scores
from firstday.recommend.fold import TrainingRun, head
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import Choice, StrategySpec
from firstday.sparse import SparseRows, union_rows
from firstday.tables.schema import DAY_US, TIME_TEXT

MAX_USERS = 1_000
"""Maximum number of validation users to evaluate."""


@readable
@dataclass(frozen=True, eq=False)
class Latest:
    """The entity that users follow, "" if there is none, and when each item came.

    `came_us` is `added_at`, else the first use, in microseconds since 1970 UTC, -1 if unknown, int64, shape (n_items,).
    """

    entity: str = ""
    came_us: np.ndarray = field(default_factory=partial(np.zeros, 0, dtype=np.int64))


def recommend_latest(query: Query) -> Answer:
    """Rank the newest items of the members that the user follows, then trending items; answers every user.

    Members are those of the liked items, and liked ones. Users who follow none get trending items, with this route.
    """
    trending = recommend_trending(query)
    latest: Latest = query.learned("latest")
    if not latest.entity:
        return trending
    links = (query.current_items or query.model).members_of_items[latest.entity]
    followed = find_followed(query, links)
    newest, days = rank_newest(query, followed, links.transposed)
    lists = np.append(newest, trending.items, axis=1)
    items, scores = first_distinct(lists, np.append(days, trending.scores, axis=1), query.k)
    routes = np.where(followed.lengths() > 0, "latest", trending.routes)
    return replace(trending, items=items, scores=scores, routes=routes)


def rank_newest(query: Query, followed: SparseRows, items: SparseRows) -> tuple[np.ndarray, np.ndarray]:
    """Return the newest items of the members that each user follows, and the days on which they came, since 1970.

    `followed` has the shape (n_users, n_members), and `items` those of each member, (n_members, n_items + n_new). Items
    that come at `Query.moments` or later are left out; those of one day are in the order of their indexes. Items of
    unknown age that the model does not know are the newest, the last ones first. For the form of the result see
    `rank_scores`.
    """
    came_us = date_items(query)
    days = (came_us // DAY_US).astype(np.float32)
    n_known = query.model.n_items
    undated = n_known + np.flatnonzero(came_us[n_known:] < 0)
    days[undated] = days.max() + 1 + np.arange(len(undated))
    days[(days < 0) | ~query.list_rules.allowed] = -np.inf
    moments = np.full(query.n_users, time() * 1e6) if query.moments is None else query.moments

    def score(rows: np.ndarray) -> np.ndarray:
        is_followed = (followed.take(rows).times(items) > 0) & (came_us < moments[rows, None])
        return np.where(is_followed, days, np.float32(-np.inf))

    return rank_scores(score, query.list_excluded, query.k)


def find_followed(query: Query, links: SparseRows) -> SparseRows:
    """Return the members that each user likes, or likes items of, given the members of each item.

    They have the shape (n_users, n_members) and (n_items + n_new, n_members).
    """
    latest: Latest = query.learned("latest")
    liked = query.current_liked
    signals = query.model.config.signals.liked
    of_members = query.signals.actions.items()
    direct = [rows for (signal, entity), rows in of_members if entity == latest.entity and signal in signals]
    return union_rows([liked.through(links), *direct])


def date_items(query: Query) -> np.ndarray:
    """Return when each item came, as far as it is known, like `Latest.came_us`, shape (n_items + n_new,)."""
    came_us: np.ndarray = query.learned("latest").came_us
    current = query.current_items
    if current is None:
        return came_us
    came_us = np.append(came_us, np.full(len(current.listed) - len(came_us), -1))
    if "added_at" in current.changed_columns:
        added_at = current.changed_columns["added_at"].str.to_datetime(TIME_TEXT, time_unit="us")
        added_us = added_at.to_physical().fill_null(-1).to_numpy()
        came_us[current.changed] = np.where(added_us < 0, came_us[current.changed], added_us)
    return came_us


def learn_latest(run: TrainingRun) -> Choice:
    """Choose the entity whose lists have the highest precision for validation users; there is none without times."""
    if run.first_uses is None:
        return Latest(), {}
    came_us = run.came_us
    folds = head(run.folds, MAX_USERS)

    def measure(latest: Latest) -> float:
        return float(measure_lengths([fold.with_learned(latest=latest) for fold in folds], "latest").mean())

    choices = [Latest(entity, came_us) for entity in run.model.members_of_items]
    return max(choices, key=measure, default=Latest("", came_us)), {}


LATEST = StrategySpec(
    name="latest",
    recommend=recommend_latest,
    describe="List the newest items of what the user follows, such as shows, then those used most in the last days.",
    explain="The newest items of what the user follows, then the most used items of the last days.",
    reason=lambda reason: "Among the newest of what the user follows." if reason.score > 1 else None,
    choose=learn_latest,
    value=Latest,
    always_trained=True,
    scale="days since 1970",
    places_new=lambda _model: True,
)
