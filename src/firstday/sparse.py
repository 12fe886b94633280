"""SparseRows: a compressed sparse row matrix in plain NumPy, cheap for the few rows of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GATHERED_NUMBERS = 2**22
"""How many numbers of vectors are copied at once, about: bounds memory."""


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A sparse matrix by rows: row `r` holds `columns[starts[r]:starts[r + 1]]` with the weights beside them.

    Within a row, columns ascend and are distinct.

    Parameters
    ----------
    starts
        int64, shape (n_rows + 1,).
    columns
        int32, shape (n_entries,).
    weights
        float32, shape (n_entries,).
    n_columns
        How many columns the matrix has.
    """

    starts: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    n_columns: int

    @classmethod
    def from_pairs(
        cls, rows: np.ndarray, columns: np.ndarray, weights: np.ndarray | None, n_rows: int, n_columns: int
    ) -> SparseRows:
        """Build from (row, column, weight) triples in any order; weights of equal pairs are added up.

        Parameters
        ----------
        rows, columns
            Integers, shape (n,).
        weights
            Shape (n,), or None for ones.

        Raises
        ------
        IndexError
            A row or a column is outside the matrix.
        """
        for what, index, n in (("row", rows, n_rows), ("column", columns, n_columns)):
            if len(index) and not 0 <= index.min() <= index.max() < n:
                raise IndexError(f"{what} outside 0 to {n - 1}")
        return _add_up(rows.astype(np.int64) * n_columns + columns, weights, n_rows, n_columns)

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[int]], n_columns: int) -> SparseRows:
        """Build from one list of columns for each row, all with weight 1 (repeats add up)."""
        rows = np.repeat(np.arange(len(lists)), [len(x) for x in lists])
        columns = np.asarray([c for x in lists for c in x], dtype=np.int64)
        return cls.from_pairs(rows, columns, None, len(lists), n_columns)

    @classmethod
    def empty(cls, n_rows: int, n_columns: int) -> SparseRows:
        """Build a matrix without entries."""
        return cls(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), n_columns)

    @property
    def n_rows(self) -> int:
        """How many rows the matrix has."""
        return len(self.starts) - 1

    @property
    def n_entries(self) -> int:
        """How many entries are stored."""
        return len(self.columns)

    def lengths(self) -> np.ndarray:
        """Return the number of entries of each row, int64, shape (n_rows,)."""
        return np.diff(self.starts)

    def row_of_entry(self) -> np.ndarray:
        """Return the row of each entry, int64, shape (n_entries,)."""
        return np.repeat(np.arange(self.n_rows, dtype=np.int64), self.lengths())

    def row(self, r: int) -> np.ndarray:
        """Return the columns of row `r`, ascending."""
        return self.columns[self.starts[r] : self.starts[r + 1]]

    def row_weights(self, r: int) -> np.ndarray:
        """Return the weights of row `r`, beside its columns."""
        return self.weights[self.starts[r] : self.starts[r + 1]]

    def head(self, n: int) -> SparseRows:
        """Return the first n rows, as a view."""
        end = self.starts[n]
        return SparseRows(self.starts[: n + 1], self.columns[:end], self.weights[:end], self.n_columns)

    def take(self, rows: np.ndarray) -> SparseRows:
        """Return the matrix of the given rows, in the order given."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths()[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        entries = np.repeat(self.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return SparseRows(starts, self.columns[entries], self.weights[entries], self.n_columns)

    def keep(self, mask: np.ndarray) -> SparseRows:
        """Return the matrix with only the entries where `mask`, shape (n_entries,), is true."""
        kept = np.concatenate([[0], np.cumsum(mask)])[self.starts]
        return SparseRows(kept.astype(np.int64), self.columns[mask], self.weights[mask], self.n_columns)

    def keep_columns(self, columns: np.ndarray) -> SparseRows:
        """Return the matrix of the given columns, which ascend, numbered by their place among these."""
        place = np.full(self.n_columns, -1, dtype=np.int32)
        place[columns] = np.arange(len(columns))
        kept = self.keep(place[self.columns] >= 0)
        return SparseRows(kept.starts, place[kept.columns], kept.weights, len(columns))

    def draw(self, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a mask, bool, shape (n_entries,), of up to `sizes[r]` entries of row `r` drawn at random."""
        order = np.lexsort((rng.random(self.n_entries), self.row_of_entry()))
        place = np.empty(self.n_entries, dtype=np.int64)
        place[order] = np.arange(self.n_entries) - np.repeat(self.starts[:-1], self.lengths())
        return place < np.repeat(np.asarray(sizes), self.lengths())

    def through(self, links: SparseRows) -> SparseRows:
        """Follow each entry's links: an entry (r, c) becomes (r, l) for each link (c, l), weights added up.

        Parameters
        ----------
        links
            Shape (n_columns, n_linked), such as the artists of each item.
        """
        reached = links.take(self.columns)
        rows = np.repeat(self.row_of_entry(), reached.lengths())
        weights = np.repeat(self.weights, reached.lengths())
        return SparseRows.from_pairs(rows, reached.columns, weights, self.n_rows, links.n_columns)

    def transpose(self) -> SparseRows:
        """Return the matrix with rows and columns exchanged."""
        return SparseRows.from_pairs(self.columns, self.row_of_entry(), self.weights, self.n_columns, self.n_rows)

    def ones(self) -> SparseRows:
        """Return the matrix with every weight set to 1."""
        return SparseRows(self.starts, self.columns, np.ones_like(self.weights), self.n_columns)

    def column_sums(self) -> np.ndarray:
        """Return the sum of each column, float64, shape (n_columns,)."""
        return np.bincount(self.columns, weights=self.weights, minlength=self.n_columns)

    def mean_vectors(self, vectors: np.ndarray, *, weighted: bool = False) -> np.ndarray:
        """Return each row's mean of the vectors of its columns, zeros for an empty row.

        Parameters
        ----------
        vectors
            float32, shape (n_columns, d).
        weighted
            Weigh each column by its entry instead of once.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_rows, d).
        """
        out = np.zeros((self.n_rows, vectors.shape[1]), dtype=np.float32)
        lengths = self.lengths()
        filled = np.flatnonzero(lengths)
        if not len(filled):
            return out
        weights = self.weights if weighted else np.ones_like(self.weights)
        chunk = max(1, GATHERED_NUMBERS // max(1, vectors.shape[1]))  # entries
        bounds = np.searchsorted(self.starts[filled], np.arange(0, self.n_entries, chunk))
        for rows in np.split(filled, np.unique(bounds[(bounds > 0) & (bounds < len(filled))])):
            lo, hi = self.starts[rows[0]], self.starts[rows[-1] + 1]
            gathered = vectors[self.columns[lo:hi]] * weights[lo:hi, None]
            out[rows] = np.add.reduceat(gathered, self.starts[rows] - lo, axis=0)
            out[rows] /= np.maximum(np.add.reduceat(weights[lo:hi], self.starts[rows] - lo), 1e-12)[:, None]
        return out


def union_rows(matrices: Sequence[SparseRows]) -> SparseRows:
    """Add matrices of the same shape: an entry wherever any of them has one, weights added up."""
    first = matrices[0]
    if len(matrices) == 1:
        return first
    cells = np.concatenate([m.row_of_entry() * first.n_columns + m.columns for m in matrices])
    return _add_up(cells, np.concatenate([m.weights for m in matrices]), first.n_rows, first.n_columns)


def _add_up(cells: np.ndarray, weights: np.ndarray | None, n_rows: int, n_columns: int) -> SparseRows:
    """Build a matrix of cells, row x n_columns + column, in any order; weights of equal cells are added up."""
    if not len(cells):
        return SparseRows.empty(n_rows, n_columns)
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    first = np.flatnonzero(np.concatenate([[True], cells[1:] != cells[:-1]]))
    if weights is None:
        added = np.diff(first, append=len(cells))
    else:
        added = np.add.reduceat(weights[order].astype(np.float64), first)
    distinct = cells[first]
    starts = np.searchsorted(distinct, np.arange(n_rows + 1, dtype=np.int64) * n_columns)
    return SparseRows(starts, (distinct % n_columns).astype(np.int32), added.astype(np.float32), n_columns)


def contains(table: SparseRows, entries: SparseRows) -> np.ndarray:
    """Tell for each entry of a matrix whether the table has it too, bool, shape (n_entries,)."""
    keys = table.row_of_entry() * table.n_columns + table.columns
    asked = entries.row_of_entry() * entries.n_columns + entries.columns
    if not len(keys):
        return np.zeros(len(asked), dtype=bool)
    at = np.searchsorted(keys, asked)  # both ascend
    found: np.ndarray = keys[np.minimum(at, len(keys) - 1)] == asked
    return found


def stack_rows(matrices: Sequence[SparseRows]) -> SparseRows:
    """Put the rows of matrices with the same columns under each other."""
    if len(matrices) == 1:
        return matrices[0]
    starts, n_entries = [np.zeros(1, dtype=np.int64)], 0
    for rows in matrices:
        starts.append(rows.starts[1:] + n_entries)
        n_entries += rows.n_entries
    return SparseRows(
        np.concatenate(starts),
        np.concatenate([rows.columns for rows in matrices]),
        np.concatenate([rows.weights for rows in matrices]),
        matrices[0].n_columns,
    )
