"""Many discrete distributions in one array, sampled all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Choices:
    """Discrete distributions over targets, one per row.

    Parameters
    ----------
    targets
        int32, shape (n_entries,): targets, concatenated by row.
    starts
        int64, shape (n_rows + 1,): start of each row in `targets`.
    ladder
        float64, shape (n_entries,): row number plus cumulative probability within the row. It is sorted, so that one
        binary search serves every row.
    """

    targets: np.ndarray
    starts: np.ndarray
    ladder: np.ndarray

    @classmethod
    def of_entries(cls, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray, n_rows: int) -> Choices:
        """Build from (row, target, weight) entries in any order; every row needs at least one."""
        order = np.argsort(rows, kind="stable")
        rows, targets, weights = rows[order], targets[order], weights[order].astype(np.float64)
        starts = np.searchsorted(rows, np.arange(n_rows + 1))
        total = np.cumsum(weights)
        before = np.concatenate([[0.0], total])[starts]
        ladder = rows + (total - before[rows]) / (before[1:] - before[:-1])[rows]
        ladder[starts[1:] - 1] = np.arange(1, n_rows + 1)
        return cls(targets.astype(np.int32), starts, ladder)

    @classmethod
    def of_table(cls, weights: np.ndarray) -> Choices:
        """Build from a dense matrix of weights, shape (n_rows, n_targets)."""
        n_rows, n_targets = weights.shape
        rows = np.repeat(np.arange(n_rows), n_targets)
        return cls.of_entries(rows, np.tile(np.arange(n_targets), n_rows), weights.ravel(), n_rows)

    @property
    def n_rows(self) -> int:
        """Number of distributions."""
        return len(self.starts) - 1

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw one target from each given row: int32, shape (n,)."""
        entry = np.searchsorted(self.ladder, rows + rng.random(len(rows)), side="right")
        # Rounding can push a draw just past its row.
        targets: np.ndarray = self.targets[np.minimum(entry, self.starts[rows + 1] - 1)]
        return targets
