"""Time SparseRows against SciPy's csr_array on the operations of one request; renew docs/results/sparse-rows.json.

OMP_NUM_THREADS=1 python benchmarks/sparse_rows.py          50,000 items, 5,000 artists, vectors of 128, 10 items a user

Both run the same operations, alternating in one process; their results are compared first. Times are processor times on
one core, medians of many rounds; a ratio is the median over rounds of SciPy's time divided by that of SparseRows.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add
from time import process_time
from typing import Any

import numpy as np
import typer
from result_files import RESULTS, write_results
from scipy.sparse import csr_array

from firstday.config import SignalConfig
from firstday.embed.embeddings import compute_affinity
from firstday.sparse import SparseRows, union_rows

N_ITEMS = 50_000
N_ARTISTS = 5_000
DIMENSIONS = 128
ITEMS_EACH = 10
SIGNALS = ("stream", "favorite", "skip")
LOADS = ("scipy.sparse", "firstday.recommend.recommender")


@dataclass(frozen=True)
class Requests:
    """User actions by signal, as cells and as matrices of both kinds.

    Parameters
    ----------
    cells
        Rows and columns of each signal.
    ours, scipys
        A matrix per signal, shape (n_users, N_ITEMS).
    order
        A permutation of the users.
    artists
        The artist of each item, as SparseRows and as csr_array, shape (N_ITEMS, N_ARTISTS).
    vectors
        float32, shape (N_ITEMS, DIMENSIONS).
    """

    n_users: int
    cells: list[tuple[np.ndarray, np.ndarray]]
    ours: list[SparseRows]
    scipys: list[Any]
    order: np.ndarray
    artists: tuple[SparseRows, Any]
    vectors: np.ndarray


def make_requests(n_users: int, rng: np.random.Generator) -> Requests:
    """Draw user actions."""
    rows = np.repeat(np.arange(n_users), ITEMS_EACH)
    cells = [(rows, rng.integers(N_ITEMS, size=len(rows))) for _ in SIGNALS]
    of_items = np.arange(N_ITEMS), rng.integers(N_ARTISTS, size=N_ITEMS)
    return Requests(
        n_users,
        cells,
        [SparseRows.from_pairs(*pairs, None, n_users, N_ITEMS) for pairs in cells],
        [build_csr(pairs, n_users) for pairs in cells],
        rng.permutation(n_users),
        (
            SparseRows.from_pairs(*of_items, None, N_ITEMS, N_ARTISTS),
            csr_array((np.ones(N_ITEMS, np.float32), of_items), shape=(N_ITEMS, N_ARTISTS)),
        ),
        rng.normal(size=(N_ITEMS, DIMENSIONS)).astype(np.float32),
    )


def build_csr(pairs: tuple[np.ndarray, np.ndarray], n_users: int) -> Any:
    """Build SciPy's count matrix."""
    return csr_array((np.ones(len(pairs[0]), np.float32), pairs), shape=(n_users, N_ITEMS))


def average_csr(matrix: Any, vectors: np.ndarray) -> np.ndarray:
    """Return each row's mean vector over its columns."""
    lengths = np.diff(matrix.indptr)
    ones = csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    means: np.ndarray = (ones @ vectors) / np.maximum(lengths, 1)[:, None].astype(np.float32)
    return means


def affinity_csr(matrices: list[Any], config: SignalConfig) -> Any:
    """Equivalent of `compute_affinity`."""
    parts = []
    for signal, matrix in zip(SIGNALS, matrices, strict=True):
        weights = (config.affinity[signal] * np.log2(1 + matrix.data)).astype(np.float32)
        parts.append(csr_array((weights, matrix.indices, matrix.indptr), shape=matrix.shape))
    total: Any = reduce(add, parts)
    total.data[total.data < 0] = 0
    total.eliminate_zeros()
    return total


def works_of(requests: Requests) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Return each operation of a request, by SparseRows and by SciPy."""
    ours = requests.ours
    scipys = requests.scipys
    n_users = requests.n_users
    actions = {(signal, "item"): rows for signal, rows in zip(SIGNALS, ours, strict=True)}
    config = SignalConfig()
    return {
        "build": (
            lambda: SparseRows.from_pairs(*requests.cells[0], None, n_users, N_ITEMS),
            lambda: build_csr(requests.cells[0], n_users),
        ),
        "take rows": (lambda: ours[0].take(requests.order), lambda: scipys[0][requests.order]),
        "lengths": (ours[0].lengths, lambda: np.diff(scipys[0].indptr)),
        "union of 3": (lambda: union_rows(ours), lambda: reduce(add, scipys)),
        "through": (lambda: ours[0].through(requests.artists[0]), lambda: scipys[0] @ requests.artists[1]),
        "mean vectors": (
            lambda: ours[0].mean_vectors(requests.vectors),
            lambda: average_csr(scipys[0], requests.vectors),
        ),
        "affinity": (
            lambda: compute_affinity(actions, config, n_users, N_ITEMS),
            lambda: affinity_csr(scipys, config),
        ),
    }


def check_equal(ours: Any, scipys: Any) -> None:
    """Raise unless both results are equal."""
    if isinstance(ours, SparseRows):
        ours = csr_array((ours.weights, ours.columns, ours.starts), shape=(ours.n_rows, ours.n_columns)).toarray()
        scipys = scipys.toarray()
    np.testing.assert_allclose(ours, scipys, rtol=1e-5, atol=1e-6)


def time_of(work: Callable[[], Any], times: int) -> float:
    """Return the processor time of an operation, in microseconds."""
    began = process_time()
    for _ in range(times):
        work()
    return 1e6 * (process_time() - began) / times


def compare(n_users: int, rounds: int, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """Time every operation for a batch of users."""
    compared = {}
    sums = np.zeros((rounds, 2))
    for name, works in works_of(make_requests(n_users, rng)).items():
        check_equal(*(work() for work in works))
        times = np.array([[time_of(work, 50) for work in works] for _ in range(rounds)])
        sums += times
        compared[name] = describe(times)
    return {**compared, "all": describe(sums)}


def describe(times: np.ndarray) -> dict[str, float]:
    """Summarise the times of rounds, in microseconds, SparseRows first."""
    ours_us, scipy_us = np.median(times, axis=0)
    ratio = np.median(times[:, 1] / times[:, 0])
    return {
        "sparse_rows_us": round(ours_us, 1),
        "scipy_us": round(scipy_us, 1),
        "scipy_by_sparse_rows": round(ratio, 2),
    }


def time_loading(rounds: int) -> dict[str, float]:
    """Time imports in fresh, alternating processes, in processor ms: each alone, and SciPy after recommending."""
    programs = {
        "numpy": ("", "numpy"),
        **{name: ("", name) for name in LOADS},
        "scipy.sparse after firstday.recommend.recommender": (f"import {LOADS[1]}", LOADS[0]),
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (before, loaded) in programs.items():
            code = (
                f"from time import process_time as now\n{before}\nbegan = now()\nimport {loaded}\nprint(now() - began)"
            )
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            times[name].append(1000 * float(done.stdout))
    return {name: round(float(np.median(values)), 1) for name, values in times.items()}


def main(rounds: int = 40) -> None:
    """Run all timings, and write the figures."""
    rng = np.random.default_rng(0)
    found = {
        "items": N_ITEMS,
        "artists": N_ARTISTS,
        "dimensions": DIMENSIONS,
        "items_each": ITEMS_EACH,
        "by_users": {str(n_users): compare(n_users, rounds, rng) for n_users in (1, 32)},
        "loading_cpu_ms": time_loading(max(3, rounds // 4)),
    }
    write_results(found, RESULTS / "sparse-rows.json")


if __name__ == "__main__":
    typer.run(main)
