"""Links of items: what the same people use, most of all on the same day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.split import Split
from firstday.embed.kept_users import draw_rows
from firstday.methods.item_scores import to_matrix
from firstday.recommend.fold import TrainingRun
from firstday.recommend.spec import Choice, SharedValueSpec
from firstday.sparse import SparseRows, stack_rows

MAX_LINKS = 50
"""Maximum number of links per item: those with the greatest weights."""
MAX_SET_ITEMS = 100
"""Maximum number of items of one day or user; random ones are drawn from longer sets."""
MAX_USES = 20_000_000
"""Maximum number of uses that are counted, about; beyond, days and users are drawn at random."""
SMOOTHING = 30.0
"""Weight of popularity in the share of an item's sets with another item, in sets."""
RARITY = 0.1
"""Exponent of popularity by which shares are divided, so that not everything goes with the most used items."""
ITEMS_AT_ONCE = 1_000


def learn_links(run: TrainingRun) -> Choice:
    """Link the items that the users of the training use together."""
    return link_items(run.dataset, run.split, run.uses, run.model.config), {}


def link_items(dataset: Dataset, split: Split, uses: SparseRows, config: Config) -> SparseRows:
    """Return the items that go with each item, shape (n_items, n_items).

    What a user uses on one day is a set, and so is everything that they use: `uses`, shape (n_warm, n_items). The
    weight of a link is the share of the first item's sets that have the second, smoothed, over a power of popularity.
    """
    sets = stack_rows([_collect_days(dataset, split, config), uses])
    sets = sets.take(draw_rows(sets.n_rows, int(sets.n_rows * MAX_USES / max(1, sets.n_entries)), seed=config.seed))
    sets = sets.keep(sets.draw(np.full(sets.n_rows, MAX_SET_ITEMS), np.random.default_rng(config.seed)))
    n_sets = sets.column_sums()
    popularity = n_sets / max(1, sets.n_rows)
    matrix = to_matrix(sets)
    sets_of_items = matrix.T.tocsr()
    parts = []
    for items in np.array_split(np.arange(sets.n_columns), sets.n_columns // ITEMS_AT_ONCE + 1):
        counts = sets_of_items[items] @ matrix
        counts.sort_indices()
        together = SparseRows(counts.indptr.astype(np.int64), counts.indices, counts.data, sets.n_columns)
        first = items[together.row_of_entry()]
        popularity_of_second = popularity[together.columns]
        shares = (together.weights + SMOOTHING * popularity_of_second) / (n_sets[first] + SMOOTHING)
        weights = (shares / popularity_of_second**RARITY).astype(np.float32)
        links = replace(together, weights=weights).keep(together.columns != first)
        parts.append(links.keep(links.rank_within_rows(-links.weights) < MAX_LINKS))
    return stack_rows(parts)


def _collect_days(dataset: Dataset, split: Split, config: Config) -> SparseRows:
    """Return the items that each warm user uses on each day (UTC), shape (n_days, n_items)."""
    codes = dataset.events.codes_of(ITEM, config.signals.use)
    is_counted = pl.col("pair").is_in(codes) & pl.col("user_ix").is_in(pl.Series(split.warm).implode())
    days = [SparseRows.empty(0, len(dataset.items))]
    for frame in dataset.events.frames():
        rows = frame if split.warm_window is None else split.warm_window.select(frame)
        rows = rows.filter(is_counted).drop_nulls("timestamp")
        day = rows.select(pl.struct("user_ix", pl.col("timestamp").dt.date()).rle_id()).to_series()  # rows are sorted
        items = rows["target_ix"].to_numpy()
        days.append(SparseRows.from_pairs(day.to_numpy(), items, None, day.n_unique(), len(dataset.items)))
    return stack_rows(days).ones()


LINKS = SharedValueSpec(
    name="links",
    describe="Items that go with each item.",
    choose=learn_links,
    value=SparseRows,
    always_trained=True,
)
