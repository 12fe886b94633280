"""SparseRows: a compressed sparse row (CSR) matrix in plain NumPy, cheap for the few rows of a request.

SciPy's ``csr_array`` has the same operations, but takes 1.7 times as long for a request (1.2 times for a batch of 32
users), and importing it would add 0.1 s to the start of a server process (measured with 50,000 items, 5,000
artists and vectors of 128). Training uses SciPy to multiply large matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from firstday.display import readable

MAX_GATHERED_NUMBERS = 2**22
"""Approximate number of vector elements copied at a time; bounds memory."""


@readable
@dataclass(frozen=True, eq=False)
class SparseRows:
    """A CSR matrix: row `r` holds `columns[starts[r]:starts[r + 1]]` and the corresponding weights.

    Columns are distinct and ascending within each row.

    Parameters
    ----------
    starts
        int64, shape (n_rows + 1,).
    columns
        int32, shape (n_entries,).
    weights
        float32, shape (n_entries,).
    n_columns
        Number of columns of the matrix.
    """

    starts: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    n_columns: int

    @classmethod
    def from_pairs(
        cls, rows: np.ndarray, columns: np.ndarray, weights: np.ndarray | None, n_rows: int, n_columns: int
    ) -> SparseRows:
        """Build from (row, column, weight) triples in any order; weights of duplicates are summed.

        `rows` and `columns` are integers, shape (n,); `weights` has shape (n,), or is None for ones.
        """
        return _add_up(rows.astype(np.int64) * n_columns + columns, weights, n_rows, n_columns)

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[int] | np.ndarray], n_columns: int) -> SparseRows:
        """Build from a list of columns per row, all with weight 1; duplicates are summed."""
        rows = np.repeat(np.arange(len(lists)), [len(x) for x in lists])
        columns = np.concatenate([[], *lists]).astype(np.int64)
        return cls.from_pairs(rows, columns, None, len(lists), n_columns)

    @classmethod
    def empty(cls, n_rows: int, n_columns: int) -> SparseRows:
        """Build a matrix without entries."""
        return cls(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), n_columns)

    @property
    def n_rows(self) -> int:
        """Number of rows of the matrix."""
        return len(self.starts) - 1

    @property
    def n_entries(self) -> int:
        """Number of stored entries."""
        return len(self.columns)

    def lengths(self) -> np.ndarray:
        """Return the number of entries of each row, int64, shape (n_rows,)."""
        return self.starts[1:] - self.starts[:-1]

    def row_of_entry(self) -> np.ndarray:
        """Return the row of each entry, int64, shape (n_entries,)."""
        return np.repeat(np.arange(self.n_rows, dtype=np.int64), self.lengths())

    def row(self, r: int) -> np.ndarray:
        """Return the columns of row `r`, ascending."""
        return self.columns[self.starts[r] : self.starts[r + 1]]

    def row_weights(self, r: int) -> np.ndarray:
        """Return the weights of row `r`, in the order of its columns."""
        return self.weights[self.starts[r] : self.starts[r + 1]]

    def take(self, rows: np.ndarray) -> SparseRows:
        """Select rows, in the given order."""
        rows = np.asarray(rows, dtype=np.int64)
        first = self.starts[rows]
        lengths = self.starts[rows + 1] - first  # lengths of these rows only: the matrix may have far more
        starts = _sum_up(lengths)
        entries = np.repeat(first - starts[:-1], lengths) + np.arange(starts[-1])
        return SparseRows(starts, self.columns[entries], self.weights[entries], self.n_columns)

    def keep(self, mask: np.ndarray) -> SparseRows:
        """Keep the entries for which `mask`, bool, shape (n_entries,), is true."""
        kept = np.flatnonzero(mask)
        starts = np.searchsorted(kept, self.starts)
        return SparseRows(starts, self.columns[kept], self.weights[kept], self.n_columns)

    def keep_columns(self, columns: np.ndarray) -> SparseRows:
        """Select columns, given in ascending order, and renumber them from 0."""
        position = np.searchsorted(columns, self.columns).astype(np.int32)
        is_kept = np.append(columns, -1)[position] == self.columns
        selected = self.keep(is_kept)
        return SparseRows(selected.starts, position[is_kept], selected.weights, len(columns))

    def rank_within_rows(self, *keys: np.ndarray) -> np.ndarray:
        """Return the rank of each entry in its row, from 0, int64, by ascending keys; the last key is primary."""
        row = self.row_of_entry()
        rank = np.empty(self.n_entries, dtype=np.int64)
        rank[np.lexsort((*keys, row))] = np.arange(self.n_entries) - self.starts[row]
        return rank

    def draw(self, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a mask, bool, shape (n_entries,), of up to `sizes[r]` random entries of each row `r`."""
        return self.rank_within_rows(rng.random(self.n_entries)) < np.repeat(sizes, self.lengths())

    def through(self, links: SparseRows) -> SparseRows:
        """Return the matrix product with `links`, shape (n_columns, n_linked), such as the artists of each item."""
        linked = links.take(self.columns)
        rows = np.repeat(self.row_of_entry(), linked.lengths())
        weights = np.repeat(self.weights, linked.lengths()) * linked.weights
        return _add_up(rows * links.n_columns + linked.columns, weights, self.n_rows, links.n_columns)

    def times(self, other: SparseRows) -> np.ndarray:
        """Return the dense product with another matrix, float32; faster than `through` if few cells are 0."""
        product = np.empty((self.n_rows, other.n_columns), dtype=np.float32)
        for row in range(self.n_rows):
            linked = other.take(self.row(row))
            weights = np.repeat(self.row_weights(row), linked.lengths()) * linked.weights
            product[row] = np.bincount(linked.columns, weights, minlength=other.n_columns)
        return product

    def at(self, columns: np.ndarray) -> np.ndarray:
        """Return the weights at some columns of each row, integers, shape (n_rows, m); 0 where there is no entry."""
        position, is_present = self._find(np.arange(self.n_rows)[:, None] * self.n_columns + columns)
        return np.where(is_present, np.append(self.weights, np.float32(0))[position], np.float32(0))

    def has(self, columns: np.ndarray) -> np.ndarray:
        """Return whether each row has an entry at the given columns, bool, shape (n_rows, m); false for column -1."""
        cells = np.arange(self.n_rows)[:, None] * self.n_columns + columns
        return self._find(cells)[1] & (columns >= 0)

    def dense(self, background: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the matrix, added to a background for each column, as an array, float32, shape (n_rows, n_columns)."""
        product = np.empty((self.n_rows, self.n_columns), dtype=np.float32)
        product[:] = background
        product.reshape(-1)[self._cells()] += self.weights
        return product

    def transpose(self) -> SparseRows:
        """Return the transpose."""
        cells = self.columns.astype(np.int64) * self.n_rows + self.row_of_entry()
        return _add_up(cells, self.weights, self.n_columns, self.n_rows)

    def replace_entries(
        self, is_kept: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
    ) -> SparseRows:
        """Return the kept entries and others, all with weight 1, in a matrix of a shape that is no smaller.

        `is_kept` is bool, shape (n_entries,); `rows` and `columns` are the integer indexes of the others.
        """
        n_rows, n_columns = shape
        cells = self.row_of_entry()[is_kept] * n_columns + self.columns[is_kept]
        added = np.unique(rows * n_columns + columns.astype(np.int64))
        cells = np.insert(cells, np.searchsorted(cells, added), added)
        starts = np.searchsorted(cells, np.arange(n_rows + 1, dtype=np.int64) * n_columns)
        return SparseRows(starts, (cells % n_columns).astype(np.int32), np.ones(len(cells), np.float32), n_columns)

    def ones(self) -> SparseRows:
        """Return the matrix with every weight set to 1."""
        return SparseRows(self.starts, self.columns, np.ones_like(self.weights), self.n_columns)

    def column_sums(self) -> np.ndarray:
        """Return the sum of each column, float64, shape (n_columns,)."""
        return np.bincount(self.columns, weights=self.weights, minlength=self.n_columns)

    def mean_vectors(self, vectors: np.ndarray, *, weighted: bool = False) -> np.ndarray:
        """Return the mean vector of each row's columns, float32, shape (n_rows, d); zeros for an empty row.

        `vectors` is float32, shape (n_columns, d); if `weighted`, they are weighted by the entries.
        """
        out = np.zeros((self.n_rows, vectors.shape[1]), dtype=np.float32)
        lengths = self.lengths()
        nonempty = np.flatnonzero(lengths)
        n_parts = min(len(nonempty), 1 + self.n_entries * vectors.shape[1] // MAX_GATHERED_NUMBERS)
        for rows in np.array_split(nonempty, n_parts) if n_parts else ():
            entries = slice(self.starts[rows[0]], self.starts[rows[-1] + 1])
            first = self.starts[rows] - entries.start
            gathered = vectors[self.columns[entries]]
            total = lengths[rows].astype(np.float32)
            if weighted:
                weights = self.weights[entries]
                gathered = gathered * weights[:, None]
                total = np.maximum(np.add.reduceat(weights, first), 1e-12)
            out[rows] = np.add.reduceat(gathered, first, axis=0) / total[:, None]
        return out

    def _cells(self) -> np.ndarray:
        """Return the flat row-major index of each entry, int64, ascending, shape (n_entries,)."""
        return self.row_of_entry() * self.n_columns + self.columns

    def _find(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the insertion point of each flat index among the entries, and whether it is present."""
        entry_cells = self._cells()
        position = np.searchsorted(entry_cells, cells)  # entries ascend
        return position, np.append(entry_cells, -1)[position] == cells


def union_rows(matrices: Sequence[SparseRows]) -> SparseRows:
    """Add matrices of the same shape."""
    first = matrices[0]
    if len(matrices) == 1:
        return first
    cells = np.concatenate([matrix._cells() for matrix in matrices])
    return _add_up(cells, np.concatenate([matrix.weights for matrix in matrices]), first.n_rows, first.n_columns)


def _add_up(cells: np.ndarray, weights: np.ndarray | None, n_rows: int, n_columns: int) -> SparseRows:
    """Build a matrix from flat row-major indexes in any order; weights of duplicates are summed."""
    distinct, entry = np.unique(cells, return_inverse=True)
    added = np.bincount(entry, weights, len(distinct))
    starts = np.searchsorted(distinct, np.arange(n_rows + 1, dtype=np.int64) * n_columns)
    return SparseRows(starts, (distinct % n_columns).astype(np.int32), added.astype(np.float32), n_columns)


def find_support(matrices: Sequence[SparseRows]) -> tuple[SparseRows, list[np.ndarray]]:
    """Return a matrix with an entry of weight 1 wherever one of several matrices has an entry.

    Also returns, for each matrix, the position of its entries among those of the result, int64, shape (n_entries,).
    """
    first = matrices[0]
    cells = [matrix._cells() for matrix in matrices]
    largest = int(np.argmax([len(of_matrix) for of_matrix in cells]))
    most = cells[largest]  # the others' entries are inserted among these
    distinct = np.sort(np.concatenate([most[:0], *cells[:largest], *cells[largest + 1 :]]))
    distinct = distinct[np.append(True, distinct[1:] != distinct[:-1])[: len(distinct)]]  # np.unique hashes: slower
    position = np.searchsorted(most, distinct)
    is_absent = np.append(most, -1)[position] != distinct
    inserted = position[is_absent]
    of_all = np.insert(most, inserted, distinct[is_absent])
    starts = np.searchsorted(of_all, np.arange(first.n_rows + 1, dtype=np.int64) * first.n_columns)
    support = SparseRows(starts, np.zeros(0, np.int32), np.ones(len(of_all), np.float32), first.n_columns)
    support = replace(support, columns=(of_all - support.row_of_entry() * first.n_columns).astype(np.int32))
    n_before = np.cumsum(np.bincount(inserted, minlength=len(most))[: len(most)])
    positions = [np.searchsorted(of_all, of_matrix) for of_matrix in (*cells[:largest], *cells[largest + 1 :])]
    positions.insert(largest, np.arange(len(most)) + n_before)
    return support, positions


def contains(table: SparseRows, entries: SparseRows) -> np.ndarray:
    """Return whether the table has each entry of another matrix, bool, shape (n_entries,)."""
    return table._find(entries._cells())[1]


def stack_rows(matrices: Sequence[SparseRows]) -> SparseRows:
    """Stack matrices with the same columns vertically."""
    return SparseRows(
        _sum_up(np.concatenate([rows.lengths() for rows in matrices])),
        np.concatenate([rows.columns for rows in matrices]),
        np.concatenate([rows.weights for rows in matrices]),
        matrices[0].n_columns,
    )


def _sum_up(lengths: np.ndarray) -> np.ndarray:
    """Return row offsets from row lengths, int64, shape (n + 1,)."""
    starts = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts
