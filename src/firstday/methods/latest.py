"""`latest`: the newest items of the shows, artists or other entities that the user follows, then trending ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import polars as pl

from firstday.display import readable
from firstday.methods.precision import measure_lengths
from firstday.methods.trending import recommend_trending
from firstday.model.trained_model import TrainedModel
from firstday.ranking import MAX_CELLS, first_allowed, first_distinct
from firstday.recommend.fold import TrainingRun, head
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import Choice, Reason, StrategySpec
from firstday.sparse import SparseRows, union_rows
from firstday.tables.schema import DAY_US, TIME_TEXT

MAX_USERS = 1_000
"""Maximum number of validation users to evaluate."""
UNKNOWN = -np.inf
"""Time of items of which no time is known."""


@readable
@dataclass(frozen=True, eq=False)
class Latest:
    """The entity that users follow, "" if there is none, and the time of each item's first use; see `FirstUses`."""

    entity: str = ""
    first_us: np.ndarray = field(default_factory=partial(np.zeros, 0))


def recommend_latest(query: Query) -> Answer:
    """Rank the newest items of the members that the user follows, then trending items; answers every user.

    Members are those of the liked items, and liked ones. Users who follow none get trending items, with this route.
    """
    trending = recommend_trending(query)
    latest: Latest = query.learned("latest")
    if not latest.entity:
        return trending
    came_us = date_items(query)
    newest = list_newest(query, latest.entity, came_us)
    age_days = (came_us.max() - came_us[newest]) / DAY_US
    scores = np.where(newest >= 0, 1 + 1 / (1 + age_days), 0)  # above those of trending items
    items, scores = first_distinct(
        np.append(newest, trending.items, axis=1), np.append(scores, trending.scores, axis=1), query.k
    )
    routes = np.where(newest[:, 0] >= 0, "latest", trending.routes)
    return replace(trending, items=items, scores=scores, routes=routes)


def list_newest(query: Query, entity: str, came_us: np.ndarray) -> np.ndarray:
    """Return the newest items of the members that each user follows, -1 after the last, int32, shape (n_users, k).

    `came_us` are the times of all items, see `date_items`. Items that came at `Query.moments` or later are left out.
    """
    links = (query.current_items or query.model).members_of_items[entity]
    followed = find_followed(query, entity, links)
    order = np.argsort(-came_us, kind="stable")
    order = order[query.list_rules.allowed[order] & (came_us[order] > UNKNOWN)]
    lists = []
    for rows in np.array_split(np.arange(query.n_users), query.n_users * len(came_us) // MAX_CELLS + 1):
        is_open = followed.take(rows).times(links.transposed) > 0
        excluded = query.list_excluded.take(rows)
        is_open[excluded.row_of_entry(), excluded.columns] = False
        if query.moments is not None:
            is_open &= came_us < query.moments[rows, None]
        candidates = np.tile(order, (len(rows), 1))
        lists.append(first_allowed(candidates, candidates, is_open[:, order], query.k)[0])
    return np.concatenate(lists)


def find_followed(query: Query, entity: str, links: SparseRows) -> SparseRows:
    """Return the members of an entity that each user likes or likes items of, shape (n_users, n_members).

    `links` are the members of each item, shape (n_items + n_new, n_members).
    """
    liked = query.liked if query.current_liked is None else query.current_liked
    signals = query.model.config.signals.liked
    direct = [rows for (signal, name), rows in query.signals.actions.items() if name == entity and signal in signals]
    return union_rows([liked.through(links), *direct])


def date_items(query: Query) -> np.ndarray:
    """Return when each item came, in microseconds since 1970 UTC, `UNKNOWN` if unknown, shape (n_items + n_new,).

    This is `added_at`, else the first use. New items without `added_at` came last, in the order of their table.
    """
    of_model = query.model.derive(_date_known)
    current = query.current_items
    if current is None:
        return of_model
    came_us = np.append(of_model, np.full(len(current.listed) - len(of_model), UNKNOWN))
    stated = _read_times(current.changed_columns.get("added_at"), len(current.changed))
    came_us[current.changed] = np.where(stated > UNKNOWN, stated, came_us[current.changed])
    new = current.new.index
    undated = new[came_us[new] == UNKNOWN]
    came_us[undated] = came_us.max(initial=0) + 1 + np.arange(len(undated))
    return came_us


def _date_known(model: TrainedModel) -> np.ndarray:
    """Return when each item of a model came, like `date_items`."""
    added_us = _read_times(model.catalogue.columns.get("added_at"), model.n_items)
    return np.where(added_us > UNKNOWN, added_us, model.learned["latest"].first_us)


def _read_times(texts: pl.Series | None, n_items: int) -> np.ndarray:
    """Return times as microseconds since 1970 UTC, float64; `UNKNOWN` where absent."""
    if texts is None:
        return np.full(n_items, UNKNOWN)
    times = texts.str.to_datetime(TIME_TEXT, time_unit="us").to_physical()
    return times.cast(pl.Float64).fill_null(UNKNOWN).to_numpy()


def learn_latest(run: TrainingRun) -> Choice:
    """Choose the entity whose lists have the highest precision for validation users; there is none without times."""
    if run.first_uses is None:
        return Latest(), {}
    first_us = run.first_uses.first_us
    folds = head(run.folds, MAX_USERS)
    precision = {}
    for entity in run.model.members_of_items:
        latest = Latest(entity, first_us)
        precision[entity] = measure_lengths([fold.with_learned(latest=latest) for fold in folds], "latest").mean()
    return Latest(max(precision, key=precision.__getitem__, default=""), first_us), {}


def _reason_by_time(reason: Reason) -> str | None:
    return "Among the newest of what the user follows." if reason.score > 1 else None


LATEST = StrategySpec(
    name="latest",
    recommend=recommend_latest,
    describe="List the newest items of the entities that the user follows, then those used most in the last days.",
    explain="The newest items of what the user follows, then the most used items of the last days.",
    reason=_reason_by_time,
    choose=learn_latest,
    value=Latest,
    always_trained=True,
    reads=("liked", "other"),
    places_new=True,
)
