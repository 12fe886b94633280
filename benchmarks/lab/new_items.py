"""Compare lists with some items new to the model with lists of a model that knows them, for docs/motion.md.

export PYTHONPATH=benchmarks
python benchmarks/lab/new_items.py --data data
python benchmarks/lab/new_items.py --data data --only series

A tenth of the items that exist at the first cut-off are hidden: one model is trained without them, and lists them as
new items; another one knows them. Renews the datasets' parts of docs/results/new-items.json: by the number of the day's
items that share a member of an entity with a hidden item, the share of newcomers' lists that have it among the first
ten, and its median rank; of all hidden items that came before the end of day one, and of those that the newcomer went
on to use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import typer
from real_data import DOCS, SERIES, find_sets, open_set
from result_files import read_results, write_results

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out, split_for_training
from firstday.data.splits.snapshot import find_first_seen
from firstday.evaluation.arrivals import tabulate_items
from firstday.model.trained_model import TrainedModel
from firstday.progress import no_progress
from firstday.ranking import NO_ITEM
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query, index_lists
from firstday.recommend.recommender import Recommender
from firstday.training.fit import fit

ENTITIES = {SERIES: "show", "ciao-dvd": "genre", "movietweetings": "genre"}
"""The entity that items share, by dataset."""
HIDDEN_SHARE = 10
"""One in so many items is hidden."""
COUNTS = ((0, 0), (1, 1), (2, 2), (3, 5), (6, 9), (10, 10**6))
"""First and last number of the day's items that share the entity."""
K = 1_000
"""Length of the lists; items outside have this rank."""


def main(data: list[Path] = [], only: list[str] = [], cut_offs: int = 2, out: Path = DOCS / "results") -> None:
    """Measure datasets, by default all of `ENTITIES`."""
    for name, copy in find_sets(only or tuple(ENTITIES), data).items():
        dataset, config = open_set(name, copy)
        config = config.override("registration.cut_offs", cut_offs)
        holdout = next(iter(hold_out(dataset, config, config.seed, find_cut_offs(dataset, config))))
        target = out / "new-items.json"
        write_results({**read_results(target), name: measure_set(holdout, config, ENTITIES[name])}, target)


def measure_set(holdout: Holdout, config: Config, entity: str) -> dict[str, Any]:
    """Return figures by the number of shared items, for hidden items and for the same items known to the model."""
    snapshot = holdout.dataset
    hidden = np.random.default_rng(0).permutation(len(snapshot.items))[: len(snapshot.items) // HIDDEN_SHARE]
    ranks = {kind: measure_ranks(holdout, trained, hidden) for kind, trained in train_both(holdout, config, hidden)}
    links = snapshot.entities[entity].items.transposed
    day_one = holdout.cold.day_one
    uses = [rows for (signal, of), rows in day_one.items() if of == "item" and signal in config.signals.use]
    of_snapshot = snapshot.items.lookup(holdout.newcomers.items.values)
    liked = [
        np.unique(of_snapshot[np.concatenate([rows.row(user) for rows in uses])]) for user in range(len(holdout.cold))
    ]
    counts = np.stack([count_shared(links, items[items >= 0], hidden) for items in liked])
    ends = holdout.cold.day_end_us
    assert ends is not None
    first_seen = find_first_seen(snapshot)[hidden]
    own = np.stack([np.isin(hidden, items) for items in liked])
    is_open = (first_seen < ends[:, None]) & ~own
    is_used = holdout.cold.truth.has(np.tile(hidden, (len(holdout.cold), 1)))
    rows = []
    for first, last in COUNTS:
        is_of_count = is_open & (counts >= first) & (counts <= last)
        for label, chosen in (("all", is_of_count), ("used", is_of_count & is_used)):
            pairs = int(chosen.sum())
            users = int(chosen.any(axis=1).sum())
            row = {"shared": first, "items": label, "pairs": pairs, "users": users}
            for kind, of_kind in ranks.items():
                of_pairs = of_kind[chosen]
                if pairs:
                    is_first = of_pairs < 10
                    share = is_first.mean()
                    error = cluster_error(of_kind < 10, chosen)
                    row[kind] = {
                        "first_ten": round(100 * float(share), 2),
                        "half_width": round(196 * error, 2),
                        "median_rank": int(np.median(of_pairs)) + 1,
                    }
            rows.append(row)
    return {"entity": entity, "newcomers": len(holdout.cold), "hidden": len(hidden), "by_shared": rows}


def cluster_error(values: np.ndarray, chosen: np.ndarray) -> float:
    """Return the standard error of the mean of chosen values, shape (n_users, n_items), drawn over users."""
    sums = (values * chosen).sum(axis=1)
    sizes = chosen.sum(axis=1)
    mean = sums.sum() / sizes.sum()
    return float(np.sqrt(((sums - mean * sizes) ** 2).sum()) / sizes.sum())


def count_shared(links: Any, items: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Return the largest number of a user's items that share a member with each hidden item, shape (n_hidden,)."""
    of_members = links.take(items).column_sums()
    of_hidden = links.take(hidden)
    most = np.zeros(len(hidden))
    np.maximum.at(most, of_hidden.row_of_entry(), of_members[of_hidden.columns])
    return most


def train_both(holdout: Holdout, config: Config, hidden: np.ndarray) -> Iterator[tuple[str, Recommender]]:
    """Yield a model that knows all items, and one to which some are new."""
    snapshot = holdout.dataset
    yield "known", train(snapshot, config, holdout.cut_off).recommender
    rest = snapshot.keep_items(np.setdiff1d(np.arange(len(snapshot.items)), hidden))
    recommender = train(rest, config, holdout.cut_off).recommender
    yield "new", recommender.with_items(tabulate_items(snapshot, hidden))


def train(dataset: Dataset, config: Config, cut_off: int | None) -> Any:
    """Train on a snapshot as of a cut-off."""
    split = split_for_training(dataset, config, config.seed, end=cut_off)
    return fit(dataset, split, config, progress=no_progress)


def measure_ranks(holdout: Holdout, recommender: Recommender, hidden: np.ndarray) -> np.ndarray:
    """Return the rank of each hidden item in each newcomer's list, from 0, shape (n_users, n_hidden)."""
    snapshot = holdout.dataset
    model: TrainedModel = recommender.model
    query = cohort_query(recommender, holdout.newcomers, holdout.cold, min(K, model.n_items))
    lists = index_lists(query, snapshot, answer_query(query, "auto").items)
    ranks = np.full((len(lists), len(snapshot.items) + 1), K)
    np.put_along_axis(
        ranks, np.where(lists == NO_ITEM, len(snapshot.items), lists), np.arange(lists.shape[1])[None], axis=1
    )
    return ranks[:, hidden]


if __name__ == "__main__":
    typer.run(main)
