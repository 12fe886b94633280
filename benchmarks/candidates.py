"""Candidates of `blend` compared with ranking the promise of every item, for many users under many rules.

    python benchmarks/candidates.py [--items 50000] [--users 10000] [--rules 20]

Models are those of `paper_size.py`, with a clock. Every batch of users is asked under every set of rules; the output is
the number of candidate sets, and of those that differ. It exits with status 1 if any differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import typer
from list_growth import draw_users
from paper_size import make_model

from firstday.methods.blend import MAX_LIFT, find_candidates
from firstday.model.clock import Clock
from firstday.model.trained_model import TrainedModel
from firstday.ranking import greatest
from firstday.recommend.component import LEAST_SHARE, Lift, Part, Shares
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.list_rules import Rules, compile_rules
from firstday.sparse import SparseRows

K = 50


def main(items: int = 50_000, users: int = 10_000, rules: int = 20) -> None:
    """Compare, and print how many sets of candidates differ."""
    model = make_model(items)
    model = replace(model, catalogue=replace(model.catalogue, columns={"hundredth": pl.Series(range(items)) % 100}))
    terms = np.random.default_rng(2).normal(size=items).astype(np.float32)
    model = model.with_clock(Clock(7.0, 1.0, True, terms, 2.0, 1.0, 0.1, 100, 10))
    compiled = [compile_rules(model, [one], {}) for one in draw_rules(rules)]
    names = tuple(model.learned["blend"].names)
    n_sets = n_different = 0
    for batch in draw_users(Recommender(model), users):
        query = Query(model, model.read_signals(batch)[0], K)
        for one in compiled:
            under = query.ask(rules=one)
            rows = np.arange(len(batch))
            parts, chosen, _ = find_candidates(under, rows, names)
            expected = rank_everything(under, list(parts.values()), under.excluded, chosen.shape[1])
            n_sets += len(batch)
            n_different += int((chosen != expected).any(axis=1).sum())
    typer.echo(f"{n_sets:,} sets of candidates among {items:,} items, {n_different:,} different")
    raise typer.Exit(int(n_different > 0))


def draw_rules(n: int) -> Iterator[Rules]:
    """Yield no rules, then filters of 4 % to all items, half of them with boosts."""
    yield Rules()
    for number in range(1, n):
        boosts = {f"hundredth == {number}": 30.0, f"hundredth > {100 - number}": 0.3} if number % 2 else {}
        yield Rules(filter=f"hundredth < {5 * number}", boost=boosts)


def rank_everything(query: Query, parts: Sequence[Part], excluded: SparseRows, n: int) -> np.ndarray:
    """Return the n most promising items by the promise of every item, ascending, shape (n_rows, n)."""
    model: TrainedModel = query.model
    rules = query.item_rules
    promise = np.full((excluded.n_rows, model.n_items), LEAST_SHARE, dtype=np.float32)
    for part in parts:
        if isinstance(part, Shares):
            promise += part.rows.dense(part.background)
    if model.clock_terms is not None:
        promise *= model.clock_factors
    promise *= rules.allowed
    for part in parts:
        if isinstance(part, Lift):
            promise[part.rows.row_of_entry(), part.rows.columns] *= np.exp(np.minimum(part.rows.weights, MAX_LIFT))
    if rules.factors is not None:
        promise *= rules.factors
    promise[excluded.row_of_entry(), excluded.columns] = -1
    return greatest(promise, n)


if __name__ == "__main__":
    typer.run(main)
