"""Many discrete distributions in one array, sampled all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl


@dataclass(frozen=True, eq=False)
class Choices:
    """Discrete distributions over targets, one per row.

    Parameters
    ----------
    targets
        int64, shape (n_entries,): targets, concatenated by row.
    ladder
        float64, shape (n_entries,): row number plus cumulative probability within the row. It is sorted, so that one
        binary search serves every row.
    """

    targets: np.ndarray
    ladder: np.ndarray

    @classmethod
    def of_entries(cls, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Choices:
        """Build from (row, target, weight) entries in any order; every row needs at least one."""
        entries = pl.DataFrame({"row": rows, "target": targets, "weight": weights}).sort("row", maintain_order=True)
        total = pl.col("weight").cum_sum()
        chance = (total / total.last()).over("row")
        ladder = entries.select(pl.col("row") + chance).to_series()
        return cls(entries["target"].to_numpy(), ladder.to_numpy())

    @classmethod
    def of_table(cls, weights: np.ndarray) -> Choices:
        """Build from a dense matrix of weights, shape (n_rows, n_targets)."""
        rows, targets = np.indices(weights.shape).reshape(2, -1)
        return cls.of_entries(rows, targets, weights.ravel())

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw one target from each given row: int64, shape (n,)."""
        # Rounding could push a draw just past its row.
        end = np.nextafter(rows + 1.0, 0)
        chance = np.minimum(rows + rng.random(len(rows)), end)
        entry = np.searchsorted(self.ladder, chance, side="right")
        return self.targets.take(entry)
