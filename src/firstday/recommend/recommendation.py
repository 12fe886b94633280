"""Recommendations for one user or many, in the caller's ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from firstday.data.frame_libraries import Library, to_library
from firstday.data.ids import Ids
from firstday.display import readable, write_table
from firstday.features.catalogue import Catalogue
from firstday.model.trained_model import TrainedModel
from firstday.recommend.query import Answer
from firstday.recommend.scales import FILLS_UP, is_fraction
from firstday.recommend.spec import OWN_SCALE


class RecommendedItem(NamedTuple):
    """One item of a list: the caller's id, the title or "", and the score on `Recommendation.score_scale`.

    Popular items that fill up a short list score 0. The propensity is the probability that the strategy shows the item
    at this rank, given the ranks above; it is below 1 only if the strategy draws items at random, as `explore` does.
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
        The strategy that answered: the requested one, the one that `auto` selected, or a fallback (`group`, `recent`,
        `popular`).
    segment
        Number of the predicted segment; None if nothing is known about the user.
    segment_size
        Number of warm users in the segment.
    ignored
        One phrase per value that the model does not know.
    notes
        The reason for a fallback, that the history of a user whom the model learned from is missing, one phrase per
        signal or value that no warm user has or rejection that excludes nothing, and remarks on the rules.
    score_scale
        Scale of the scores: ``share of PEOPLE`` (from 0 to 1), ``probability of use`` (calibrated on validation users),
        or ``score`` (only the order is meaningful).
    n_ranked
        Last rank, from 1, that the route's ranking or a pin fills, 0 if none; popular items fill the ranks after it.
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
        return {**vars(self), "items": [item._asdict() for item in self.items]}

    def to_rows(self) -> list[tuple[str, str, str, str]]:
        """Return rank, id, title and score of each item as text."""
        form = ".1%" if is_fraction(self.score_scale) else ".3f"
        rows = []
        for rank, item in enumerate(self.items, 1):
            score = f"{item.score:{form}}" if rank <= self.n_ranked else FILLS_UP
            rows.append((str(rank), str(item.item_id), item.title, score))
        return rows

    def to_sentences(self) -> list[str]:
        """Return what was ignored, and the notes, as sentences."""
        ignored = [f"{sentence}; it was ignored." for sentence in self.ignored]
        return [*ignored, *(f"{note}." for note in self.notes)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> RecommendedItem:
        return self.items[position]

    def __iter__(self) -> Iterator[RecommendedItem]:
        return iter(self.items)

    def _repr_facts_(self) -> Mapping[str, Any]:
        return vars(self) | {"items": [item.item_id for item in self.items]}

    def _repr_html_(self) -> str:
        title = "" if self.user_id is None else f"user {self.user_id}: "
        title += f"strategy {self.strategy}, route {self.route}"
        columns = ("rank", "item_id", "title", self.score_scale)
        return write_table(title, columns, self.to_rows(), self.to_sentences())


@readable
@dataclass(frozen=True, eq=False)
class Recommendations(Mapping[Any, Recommendation]):
    """Recommendations for several users: a mapping from the caller's user ids, in input order, to `Recommendation`.

    Parameters
    ----------
    catalogue
        The model's items, or also those added since.
    model
        The model that answered.
    strategy
        The requested strategy.
    answer
        Lists, in the indexes of `catalogue`, and their routes.
    segments
        Predicted segments, int64, shape (n_users,), -1 if nothing is known about the user.
    ignored, notes
        Per user, see `Recommendation`.
    user_ids
        The caller's user ids, one per row of the arrays.
    """

    catalogue: Catalogue
    model: TrainedModel
    strategy: str
    answer: Answer
    segments: np.ndarray
    ignored: Sequence[tuple[str, ...]]
    notes: Sequence[tuple[str, ...]]
    user_ids: Sequence[Any]

    @cached_property
    def _rows(self) -> dict[Any, int]:
        return {user_id: row for row, user_id in enumerate(self.user_ids)}

    def __getitem__(self, user_id: Any) -> Recommendation:
        return self.row(self._rows[user_id])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, row: int) -> Recommendation:
        """Return the recommendation in a row of the arrays."""
        answer = self.answer
        segment = None
        segment_size = None
        if self.segments[row] >= 0:
            segment = int(self.segments[row])
            segment_size = int(self.model.segments.items.sizes[segment])
        items = name_items(self.catalogue, answer.items[row], answer.scores[row], answer.propensities[row])
        return Recommendation(
            items=items,
            strategy=self.strategy,
            route=answer.routes[row],
            segment=segment,
            segment_size=segment_size,
            ignored=self.ignored[row],
            notes=self.notes[row],
            score_scale=answer.scales[row],
            n_ranked=int(answer.n_ranked[row]),
            user_id=self.user_ids[row],
        )

    def to_frame(self, library: Library = "polars") -> Any:
        """Return all lists as one data frame: `user_id`, `rank`, `item_id`, `title`, `score`, `route`, `scale`.

        Parameters
        ----------
        library
            Data frame library: ``polars``, ``pandas`` or ``pyarrow``.
        """
        are_integers = all(isinstance(user_id, Integral) for user_id in self.user_ids)
        user_ids = Ids.of(list(map(int if are_integers else str, self.user_ids)))
        return to_library(frame_lists(self.catalogue, user_ids.values, self.answer), library)

    def _repr_facts_(self) -> Mapping[str, Any]:
        routes = Counter(self.answer.routes.tolist())
        return {"users": len(self), "k": self.answer.items.shape[1], "routes": dict(routes)}


def frame_lists(catalogue: Catalogue, user_ids: pl.Series, answer: Answer) -> pl.DataFrame:
    """Return lists as a data frame with one row per listed item; see `Recommendations.to_frame`.

    `user_ids` has one id per list.
    """
    row, position = np.nonzero(answer.items >= 0)
    items = answer.items[row, position]
    is_ranked = position < answer.n_ranked[row]
    scales = np.where(is_ranked, answer.scales[row], FILLS_UP)
    return pl.DataFrame(
        {
            "user_id": user_ids.gather(pl.Series(row.astype(np.uint32))),
            "rank": (position + 1).astype(np.int32),
            "item_id": catalogue.items.take(items),
            "title": pl.Series(map(catalogue.title_of, items.tolist()), dtype=pl.String),
            "score": answer.scores[row, position],
            "route": answer.routes[row].astype(str),
            "scale": scales.astype(str),
        }
    )


def name_items(
    catalogue: Catalogue, items: np.ndarray, scores: np.ndarray, propensities: np.ndarray
) -> tuple[RecommendedItem, ...]:
    """Return a list in the caller's ids and titles, given arrays of shape (k,); item -1 marks an empty rank."""
    listed = np.flatnonzero(items >= 0)
    items = items[listed]
    titles = map(catalogue.title_of, items.tolist())
    ids = catalogue.items.take(items).to_list()
    return tuple(map(RecommendedItem, ids, titles, scores[listed].tolist(), propensities[listed].tolist()))
