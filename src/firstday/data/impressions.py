"""Impressions: which items were shown to whom, kept apart from what users did, in parts that are small enough."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from firstday.config import SHOWN
from firstday.data.event_writer import DAY_US, RowsByUser, note_future
from firstday.data.events import UTC_MICROSECONDS, renumber_users
from firstday.data.ids import INDEX
from firstday.display import readable
from firstday.tables.faults import Findings

IMPRESSION_TYPES: dict[str, pl.DataType] = {
    "user_ix": pl.Int32(),
    "item_ix": pl.Int32(),
    "timestamp": UTC_MICROSECONDS,
    "list_id": pl.String(),
    "position": pl.Int32(),
    "propensity": pl.Float32(),
    "policy": pl.String(),
    "is_used": pl.Boolean(),
    "used_at": UTC_MICROSECONDS,
}
WRITTEN_TYPES: dict[str, pl.DataType] = {
    **{name: kind for name, kind in IMPRESSION_TYPES.items() if name not in ("is_used", "used_at")},
    "is_shown": pl.Boolean(),
}
"""Rows while they are read: impressions, and uses that carry a list's id."""
SORT_ORDER = ("user_ix", "timestamp", "list_id", "position", "item_ix", "propensity", "policy")
"""How the rows of a part are sorted: whatever the order in which they came."""
ONE_PLACE = ("user_ix", "item_ix", "list_id")
"""What is the same in one list's item: it is counted once."""
IN_THE_SAME_LIST = (
    "repeat another impression (same user, list and item; without a list: same moment); each is counted once"
)


@readable
@dataclass(frozen=True, eq=False)
class Impressions:
    """All impressions, one row each: an item that was shown to a user.

    Parameters
    ----------
    parts
        Tables in memory, or Parquet files, of the same users, part by part, as the interactions of the dataset;
        columns as in `IMPRESSION_TYPES`, rows sorted by `SORT_ORDER`:

        - `timestamp`, when it was shown, null where unknown
        - `list_id`, null where it was shown alone; `position`, from 1, 0 where unknown
        - `propensity`, how likely the policy was to show it there, NaN where unknown; `policy`, null where unknown
        - `is_used`, whether the user's use of the item carries the list's id, and `used_at`, when it first does, null
          where such a use has no time
    n_rows
        How many impressions there are.
    spool
        The folder of the parts; it is removed with the last reference to it.
    """

    parts: tuple[pl.DataFrame | Path, ...]
    n_rows: int
    spool: TemporaryDirectory[str] | None = None

    def __len__(self) -> int:
        return self.n_rows

    def frames(self) -> Iterator[pl.DataFrame]:
        """Return the parts one after the other."""
        for part in self.parts:
            yield part if isinstance(part, pl.DataFrame) else pl.read_parquet(part, glob=False)

    def whole(self) -> pl.DataFrame:
        """Return all rows in memory."""
        return pl.concat([pl.DataFrame(schema=IMPRESSION_TYPES), *self.frames()])

    def keep_users(self, place: np.ndarray) -> Impressions | None:
        """Return the impressions of some users in one part in memory; None where they have none.

        Parameters
        ----------
        place
            The new `user_ix` of each user, ascending, int32, shape (n_users,); -1 for those who are left out.
        """
        rows = pl.concat([pl.DataFrame(schema=IMPRESSION_TYPES), *renumber_users(self.frames(), place)])
        return Impressions((rows,), rows.height) if rows.height else None


def count_lists(impressions: Impressions) -> tuple[int, int]:
    """Return how many lists were shown, and to how many users anything was; an item alone is no list."""
    n_lists, n_users = 0, 0
    for frame in impressions.frames():
        n_lists += frame.filter(pl.col("list_id").is_not_null()).select("user_ix", "list_id").unique().height
        n_users += frame["user_ix"].n_unique()
    return n_lists, n_users


def take_impressions(rows: pl.DataFrame, use: Collection[str]) -> pl.DataFrame | None:
    """Index the impressions among interactions without faults, and the uses that carry a list's id.

    Parameters
    ----------
    rows
        Interactions in their final types, with the indexes of users and items, -1 where a row is about an entity.
    use
        Signals that mean use.

    Returns
    -------
    polars.DataFrame
        Columns as in `WRITTEN_TYPES`; None where there are no such rows.
    """
    item_ix, signal, weight = f"{INDEX}item_id", pl.col("signal"), pl.col("weight").fill_null(1.0)
    if item_ix not in rows.columns:
        return None
    is_use = signal.is_in(use) & pl.col("list_id").is_not_null() & (weight > 0)
    taken = rows.filter((pl.col(item_ix) >= 0) & ((signal == SHOWN) | is_use))
    if taken.is_empty():
        return None
    return taken.with_columns(
        pl.col("position").fill_null(0),
        pl.col("propensity").cast(pl.Float32).fill_null(float("nan")),
        user_ix=f"{INDEX}user_id",
        item_ix=item_ix,
        is_shown=signal == SHOWN,
    ).select(pl.col(name).cast(kind) for name, kind in WRITTEN_TYPES.items())


class ImpressionWriter:
    """Takes batches of `take_impressions`, and makes Impressions without repeats and without any in the future.

    Parameters
    ----------
    n_users, n_rows, now
        See `firstday.data.event_writer.EventWriter`; the same as there, so that parts have the same users.
    """

    def __init__(self, n_users: int, n_rows: int, now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC)
        self._rows = RowsByUser(WRITTEN_TYPES, n_users, n_rows)

    def add(self, rows: pl.DataFrame | None) -> None:
        """Take a batch, None without rows."""
        if rows is not None:
            self._rows.add(rows)

    def finish(self, findings: Findings) -> Impressions | None:
        """Sort every part, and note in the findings what was left out; None where nothing was shown."""
        parts: list[pl.DataFrame | Path] = []
        n_read, n_kept, n_repeats = 0, 0, 0
        late: list[pl.Series] = []
        for number, rows in self._rows.parts():
            n_read += int(rows["is_shown"].sum())
            future = (rows["timestamp"] > self._now).fill_null(value=False)
            late.append(rows["timestamp"].filter(future & rows["is_shown"]))
            rows = rows.filter(~future)
            shown = rows.filter("is_shown").drop("is_shown").sort(SORT_ORDER)
            distinct = shown.filter(~_repeats(shown))
            n_repeats += shown.height - distinct.height
            n_kept += distinct.height
            parts.append(self._rows.keep(_mark_used(distinct, rows.filter(~pl.col("is_shown"))), number))
        findings.note_rows("interactions", n_repeats, n_read, IN_THE_SAME_LIST)
        note_future(findings, pl.concat(late), n_read)
        return Impressions(tuple(parts), n_kept, self._rows.spool) if n_kept else None


def join_impressions(frames: Iterable[pl.DataFrame], n_users: int, n_rows: int) -> Impressions | None:
    """Put impressions of several parts together, on disk where interactions are many; None where there are none.

    Parameters
    ----------
    frames
        Columns as in `IMPRESSION_TYPES`, with the `user_ix` of the result.
    n_users, n_rows
        See `ImpressionWriter`.
    """
    rows, n = RowsByUser(IMPRESSION_TYPES, n_users, n_rows), 0
    for frame in frames:
        rows.add(frame)
        n += frame.height
    if not n:
        return None
    return Impressions(tuple(rows.keep(part.sort(SORT_ORDER), number) for number, part in rows.parts()), n, rows.spool)


def _repeats(shown: pl.DataFrame) -> pl.Series:
    """Tell which sorted rows repeat an earlier one, bool, shape (n_rows,).

    A list shows an item once. An item that was shown alone repeats at the same moment; midnight gives the day at most.
    """
    in_list = shown.select(pl.struct(ONE_PLACE).is_first_distinct()).to_series()
    moment = shown["timestamp"].to_physical()
    alone = shown.select(pl.struct("user_ix", "item_ix", "timestamp").is_first_distinct()).to_series()
    alone = alone | moment.is_null() | (moment % DAY_US == 0)
    repeats: pl.Series = ~in_list.zip_with(shown["list_id"].is_not_null(), alone)
    return repeats


def _mark_used(shown: pl.DataFrame, uses: pl.DataFrame) -> pl.DataFrame:
    """Say of each impression whether a use of its item carries its list's id, and when it first does."""
    first_uses = uses.group_by(ONE_PLACE).agg(used_at=pl.col("timestamp").min(), is_used=pl.lit(value=True))
    marked = shown.join(first_uses, on=ONE_PLACE, how="left", maintain_order="left")
    marked = marked.with_columns(pl.col("is_used").fill_null(value=False))
    return marked.select(pl.col(name).cast(kind) for name, kind in IMPRESSION_TYPES.items())
