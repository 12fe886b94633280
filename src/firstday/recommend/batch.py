"""Lists for a folder of cold users, written as Parquet."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from firstday.data.newcomers import load_newcomers
from firstday.errors import DataError
from firstday.recommend.recommender import Recommender

USERS_AT_ONCE = 20_000


@dataclass(frozen=True)
class BatchSummary:
    """What was written.

    Parameters
    ----------
    n_users, n_rows
        Users answered and rows written.
    routes
        How many users each route answered.
    unknown
        How many interactions, by entity, and profile values, by column, the model does not know.
    notes
        What was decided while reading.
    """

    n_users: int
    n_rows: int
    routes: Mapping[str, int]
    unknown: Mapping[str, int]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return asdict(self)


def recommend_tables(
    recommender: Recommender,
    folder: Path,
    out: Path,
    k: int | None = None,
    strategy: str | None = None,
    *,
    keep_used: bool = False,
) -> BatchSummary:
    """Recommend to all users of a folder.

    Parameters
    ----------
    recommender
        The model.
    folder
        Tables of cold users, see `firstday.data.newcomers.load_newcomers`.
    out
        The Parquet file to write, in one step: `user_id`, `rank` (from 1), `item_id`, `score`, `route`.
    k, strategy, keep_used
        See `Recommender.recommend`.

    Raises
    ------
    DataError
        The tables cannot be read, or the place to write to does not exist.
    """
    if not out.resolve().parent.is_dir():
        raise DataError(f"{out}: its folder does not exist; make it first.")
    dataset = load_newcomers(folder)
    catalogue = recommender.model.catalogue
    actions = dataset.all_actions()
    users = np.arange(len(dataset.users))
    batch, unknown = catalogue.translate(dataset, users, actions)
    routes: Counter[str] = Counter()
    frames = []
    for at in range(0, max(1, len(users)), USERS_AT_ONCE):
        part = users[at : at + USERS_AT_ONCE]
        answer = recommender.recommend_batch(batch.take(part), k, strategy, keep_used=keep_used)
        routes.update(answer.routes.tolist())
        row, place = np.nonzero(answer.items >= 0)
        frames.append(
            pl.DataFrame(
                {
                    "user_id": dataset.users.take(part[row]),
                    "rank": (place + 1).astype(np.int32),
                    "item_id": catalogue.items.take(answer.items[row, place]),
                    "score": answer.scores[row, place],
                    "route": answer.routes[row].astype(str),
                }
            )
        )
    lists = pl.concat(frames)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.resolve().parent) as staging:
        staged = Path(staging) / out.name
        lists.write_parquet(staged)
        staged.replace(out)
    return BatchSummary(len(users), lists.height, dict(routes), unknown, dataset.notes)
