"""Recommendations for one user or many, in the caller's ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, overload

import numpy as np
import polars as pl

from firstday.artifact.trained_model import TrainedModel
from firstday.data.frame_libraries import Library, to_library
from firstday.data.ids import Ids
from firstday.display import MOST_ROWS, readable, write_table
from firstday.errors import DataError
from firstday.features.signals import Catalogue
from firstday.recommend.query import Answer
from firstday.recommend.scales import FILLS_UP, is_part
from firstday.recommend.spec import OWN_SCALE

FIRST_SHOWN = 5
"""Number of items shown per list in the notebook table of many users."""


@dataclass(frozen=True)
class RecommendedItem:
    """One ranked item.

    Parameters
    ----------
    item_id
        The caller's id.
    title
        Empty if the items have no titles.
    score
        On the scale named by the recommendation; 0 for fill-up items.
    propensity
        Probability that the strategy shows the item at this rank, given the ranks above; below 1 if drawn by `explore`.
    """

    item_id: Any
    title: str
    score: float
    propensity: float = 1.0


@readable
@dataclass(frozen=True)
class Recommendation:
    """The list recommended to one user; supports ``len``, indexing and iteration over its items.

    Parameters
    ----------
    items
        Ranked items, best first.
    strategy
        The requested strategy.
    route
        The strategy that answered: the requested one or a fallback (`group`, `popular`).
    segment
        Number of the predicted segment; None if nothing is known about the user.
    segment_size
        Number of warm users in the segment.
    ignored
        One sentence per ignored signal: either the model does not know it, or neither the features nor the strategy use
        it.
    notes
        The reason for a fallback, and one sentence per signal that only excludes items.
    score_scale
        Scale of the scores: ``share of ...`` (from 0 to 1, of the people it names), ``probability of use`` (calibrated
        on validation users), or ``score`` (only the order is meaningful).
    n_ranked
        Number of leading ranks filled by the route; the remaining items fill the list up.
    user_id
        The caller's user id, or None.
    """

    items: tuple[RecommendedItem, ...]
    strategy: str
    route: str
    segment: int | None
    segment_size: int | None
    ignored: tuple[str, ...]
    notes: tuple[str, ...] = ()
    score_scale: str = OWN_SCALE
    n_ranked: int = 0
    user_id: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return the recommendation as JSON values."""
        return asdict(self)

    def to_frame(self, library: Library = "polars") -> Any:
        """Return the list as a data frame; see `Recommendations.to_frame`. Without a user id, it has no `user_id`."""
        n = len(self.items)
        frame = pl.DataFrame(
            {
                "user_id": [self.user_id] * n,
                "rank": pl.Series(range(1, n + 1), dtype=pl.Int32),
                "item_id": [item.item_id for item in self.items],
                "title": [item.title for item in self.items],
                "score": pl.Series([item.score for item in self.items], dtype=pl.Float32),
                "route": [self.route] * n,
                "scale": [self.score_scale if place < self.n_ranked else FILLS_UP for place in range(n)],
            }
        )
        return to_library(frame.drop("user_id") if self.user_id is None else frame, library)

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, place: int) -> RecommendedItem: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[RecommendedItem, ...]: ...
    def __getitem__(self, place: int | slice) -> RecommendedItem | tuple[RecommendedItem, ...]:
        return self.items[place]

    def __iter__(self) -> Iterator[RecommendedItem]:
        return iter(self.items)

    def _repr_facts_(self) -> Mapping[str, Any]:
        facts: dict[str, Any] = {} if self.user_id is None else {"user_id": self.user_id}
        facts |= {"items": [item.item_id for item in self.items], "strategy": self.strategy, "route": self.route}
        return facts | {"segment": self.segment, "ignored": self.ignored, "notes": self.notes}

    def _repr_html_(self) -> str:
        form = ".1%" if is_part(self.score_scale) else ".3f"
        rows = [
            (rank, str(item.item_id), item.title, f"{item.score:{form}}" if rank <= self.n_ranked else FILLS_UP)
            for rank, item in enumerate(self.items, 1)
        ]
        title = "" if self.user_id is None else f"user {self.user_id}: "
        title += f"strategy {self.strategy}, route {self.route}"
        below = [*(f"{sentence}; it was ignored." for sentence in self.ignored), *(f"{note}." for note in self.notes)]
        return write_table(title, ("rank", "item_id", "title", self.score_scale), rows, below)


@readable
@dataclass(frozen=True, eq=False)
class UserAnswers:
    """Recommendations for several users, as arrays.

    Parameters
    ----------
    strategy
        The requested strategy.
    answer
        Lists and routes; each row has k distinct items, or the whole catalogue if it is smaller.
    segments
        Predicted segments, int64, shape (n_users,), -1 if nothing is known about the user.
    ignored, notes
        Per user, see `Recommendation`.
    """

    strategy: str
    answer: Answer
    segments: np.ndarray
    ignored: list[tuple[str, ...]]
    notes: list[tuple[str, ...]]

    def tell(self, model: TrainedModel, row: int, user_id: Any) -> Recommendation:
        """Return one user's recommendation, in the caller's ids."""
        answer = self.answer
        propensities = None if answer.propensities is None else answer.propensities[row]
        segment = int(self.segments[row]) if self.segments[row] >= 0 else None
        return Recommendation(
            items=name_items(model, answer.items[row], answer.scores[row], propensities),
            strategy=self.strategy,
            route=answer.routes[row],
            segment=segment,
            segment_size=None if segment is None else int(model.segments.items.sizes[segment]),
            ignored=self.ignored[row],
            notes=self.notes[row],
            score_scale=OWN_SCALE if answer.scales is None else str(answer.scales[row]),
            n_ranked=int(answer.count_ranked()[row]),
            user_id=user_id,
        )


@readable
class Recommendations(Mapping[Any, Recommendation]):
    """Recommendations for several users: a mapping from the caller's user ids, in input order, to `Recommendation`.

    Parameters
    ----------
    model
        The model that answered.
    answers
        Its answers, as arrays.
    user_ids
        The caller's user ids, unique, one per row of the arrays.
    """

    def __init__(self, model: TrainedModel, answers: UserAnswers, user_ids: Sequence[Any]) -> None:
        self._model, self._answers = model, answers
        self._rows = {user_id: row for row, user_id in enumerate(user_ids)}
        if len(self._rows) < len(user_ids):
            ((repeated, _),) = Counter(user_ids).most_common(1)
            raise DataError(f"users: {repeated!r} occurs more than once; give each user once.")

    def __getitem__(self, user_id: Any) -> Recommendation:
        return self._answers.tell(self._model, self._rows[user_id], user_id)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def to_frame(self, library: Library = "polars") -> Any:
        """Return all lists as one data frame: `user_id`, `rank`, `item_id`, `title`, `score`, `route`, `scale`.

        Parameters
        ----------
        library
            Data frame library: ``polars``, ``pandas`` or ``pyarrow``.
        """
        user_ids = list(self._rows)
        if not all(isinstance(user_id, int) for user_id in user_ids):  # a column has one type
            user_ids = [str(user_id) for user_id in user_ids]
        return to_library(frame_lists(self._model.catalogue, Ids.of(user_ids).values, self._answers.answer), library)

    def _repr_facts_(self) -> Mapping[str, Any]:
        answer = self._answers.answer
        return {"users": len(self), "k": answer.items.shape[1], "routes": dict(Counter(answer.routes.tolist()))}

    def _repr_html_(self) -> str:
        answers = (self[user_id] for user_id in islice(self._rows, MOST_ROWS))
        rows = [
            (str(of.user_id), of.route, ", ".join(item.title or str(item.item_id) for item in of.items[:FIRST_SHOWN]))
            for of in answers
        ]
        title = f"Lists of {self._answers.answer.items.shape[1]:,} items for {len(self):,} users"
        below = [f"... and {len(self) - MOST_ROWS:,} more users"] if len(self) > MOST_ROWS else []
        return write_table(title, ("user_id", "route", "first items"), rows, below)


def frame_lists(catalogue: Catalogue, user_ids: pl.Series, answer: Answer) -> pl.DataFrame:
    """Return lists as a data frame with one row per ranked item; see `Recommendations.to_frame`.

    `user_ids` has one id per list; `answer` must have scales.
    """
    row, place = np.nonzero(answer.items >= 0)
    assert answer.scales is not None
    scales = np.where(place < answer.count_ranked()[row], answer.scales[row], FILLS_UP)
    return pl.DataFrame(
        {
            "user_id": user_ids.gather(pl.Series(row.astype(np.uint32))),
            "rank": (place + 1).astype(np.int32),
            "item_id": catalogue.items.take(answer.items[row, place]),
            "title": pl.Series(map(catalogue.title_of, answer.items[row, place].tolist()), dtype=pl.String),
            "score": answer.scores[row, place],
            "route": answer.routes[row].astype(str),
            "scale": scales.astype(str),
        }
    )


def name_items(
    model: TrainedModel, items: np.ndarray, scores: np.ndarray, propensities: np.ndarray | None = None
) -> tuple[RecommendedItem, ...]:
    """Return a list in the caller's ids and titles, given arrays of shape (k,); item -1 marks an empty rank."""
    catalogue = model.catalogue
    chances = np.ones(len(items)) if propensities is None else propensities
    return tuple(
        RecommendedItem(catalogue.items[ix], catalogue.title_of(ix), score, chance)
        for ix, score, chance in zip(items.tolist(), scores.tolist(), chances.tolist(), strict=True)
        if ix >= 0
    )
