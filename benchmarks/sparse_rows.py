"""Time SparseRows against SciPy's csr_array on the operations of one request; renew docs/results/sparse-rows.json.

OMP_NUM_THREADS=1 python benchmarks/sparse_rows.py          50,000 items, 5,000 artists, vectors of 128, 10 items a user

Both run the same operations, alternating in one process; their results are compared first. Times are processor times on
one core, medians of many rounds; a ratio is the median over rounds of SciPy's time divided by that of SparseRows.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
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
LOADED = (
    "numpy",
    "scipy.sparse",
    "firstday.recommend.recommender",
    "scipy.sparse after firstday.recommend.recommender",
)


def build_csr(pairs: tuple[np.ndarray, np.ndarray], n_rows: int, n_columns: int) -> Any:
    """Build SciPy's count matrix."""
    return csr_array((np.ones(len(pairs[0]), np.float32), pairs), shape=(n_rows, n_columns))


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


def make_operations(n_users: int, rng: np.random.Generator) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Return each operation of a request of some users with random actions, by SparseRows and by SciPy."""
    rows = np.repeat(np.arange(n_users), ITEMS_EACH)
    cells = [(rows, rng.integers(N_ITEMS, size=len(rows))) for _ in SIGNALS]
    artists = np.arange(N_ITEMS), rng.integers(N_ARTISTS, size=N_ITEMS)
    order = rng.permutation(n_users)
    vectors = rng.normal(size=(N_ITEMS, DIMENSIONS)).astype(np.float32)
    ours = [SparseRows.from_pairs(*pairs, None, n_users, N_ITEMS) for pairs in cells]
    our_artists = SparseRows.from_pairs(*artists, None, N_ITEMS, N_ARTISTS)
    scipys = [build_csr(pairs, n_users, N_ITEMS) for pairs in cells]
    scipy_artists = build_csr(artists, N_ITEMS, N_ARTISTS)
    actions = {(signal, "item"): matrix for signal, matrix in zip(SIGNALS, ours, strict=True)}
    config = SignalConfig()
    return {
        "build": (
            lambda: SparseRows.from_pairs(*cells[0], None, n_users, N_ITEMS),
            lambda: build_csr(cells[0], n_users, N_ITEMS),
        ),
        "take rows": (lambda: ours[0].take(order), lambda: scipys[0][order]),
        "lengths": (ours[0].lengths, lambda: np.diff(scipys[0].indptr)),
        "union of 3": (lambda: union_rows(ours), lambda: reduce(add, scipys)),
        "through": (lambda: ours[0].through(our_artists), lambda: scipys[0] @ scipy_artists),
        "mean vectors": (lambda: ours[0].mean_vectors(vectors), lambda: average_csr(scipys[0], vectors)),
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
    for name, works in make_operations(n_users, rng).items():
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
    times = defaultdict[str, list[float]](list)
    for _ in range(rounds):
        for name in LOADED:
            loaded, _, before = name.partition(" after ")
            code = (
                f"import time\n{before and f'import {before}'}\nbegan = time.process_time()\nimport {loaded}\n"
                "print(time.process_time() - began)"
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
