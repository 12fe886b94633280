"""Compare lists with some items new to the model with lists of a model that knows them, for docs/motion.md.

export PYTHONPATH=benchmarks
python benchmarks/lab/new_items.py --data data
python benchmarks/lab/new_items.py --data data --only series

A tenth of the items that exist at the first cut-off are hidden: one model is trained without them, and lists them as
new items, with their use until the end of day one; another one knows them. Renews the datasets' parts of
docs/results/new-items.json: by the number of the day's items that share a member of an entity with a hidden item, the
share of newcomers' lists that have it among the first ten, and its median rank; of all hidden items that came before
the end of day one, and of those that the newcomer went on to use. And at all cut-offs, the precision over all later
uses of lists with and without the items that came since.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer
from real_data import DOCS, SERIES, find_sets, open_set
from result_files import read_results, write_results

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out, split_for_training
from firstday.data.splits.snapshot import find_first_seen
from firstday.evaluation.arrivals import query_cold_users
from firstday.evaluation.figures import measure_all_uses
from firstday.features.signals import Signals
from firstday.progress import no_progress
from firstday.ranking import NO_ITEM
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query, index_lists
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from firstday.training.fit import fit

TIMED = ("online-retail", "movietweetings", "complete-journey", "x-wines", "ciao-dvd", SERIES)
"""Datasets with a clock to which items are added."""
ENTITIES = {SERIES: "show", "ciao-dvd": "genre"}
"""The entity that items share, by dataset."""
HIDDEN_SHARE = 10
"""One in so many items is hidden."""
COUNTS = ((0, 0), (1, 1), (2, 2), (3, 5), (6, 9), (10, 10**6))
"""First and last number of the day's items that share the entity."""
GROWN = (1, 2, 3, 6, 10)
"""Numbers of items of a show used on day one."""
WEEK_US = 7 * DAY_US
K = 1_000
"""Length of the lists; items outside have this rank."""


def main(data: list[Path] = [], only: list[str] = [], cut_offs: int = 2, out: Path = DOCS / "results") -> None:
    """Measure datasets, by default all with a clock to which items are added."""
    for name, copy in find_sets(only or TIMED, data).items():
        dataset, config = open_set(name, copy)
        config = config.override("registration.cut_offs", cut_offs)
        holdouts = list(hold_out(dataset, config, config.seed, find_cut_offs(dataset, config)))
        recommenders = [train(holdout.dataset, config, holdout.cut_off).recommender for holdout in holdouts]
        record: dict[str, Any] = {"gain": measure_gain(holdouts, recommenders)}
        if name in ENTITIES:
            record |= measure_set(holdouts[0], config, ENTITIES[name], recommenders[0])
        if name == SERIES:
            record["grown"] = measure_growth(holdouts[0], ENTITIES[name], recommenders[0])
        target = out / "new-items.json"
        write_results({**read_results(target), name: record}, target)


def measure_gain(holdouts: Sequence[Holdout], recommenders: Sequence[Recommender]) -> dict[str, Any]:
    """Return the precision over all uses of lists without and with new items, and the paired difference, by length."""
    pairs = list(zip(holdouts, recommenders, strict=True))
    lengths = {}
    for k in (10, 50):
        without, with_new = (
            np.concatenate([measure_precision(*pair, k, with_new=with_new) for pair in pairs])
            for with_new in (False, True)
        )
        is_evaluated = ~np.isnan(without)
        gain = (with_new - without)[is_evaluated]
        lengths[str(k)] = {
            "without": round(float(without[is_evaluated].mean()), 4),
            "with": round(float(with_new[is_evaluated].mean()), 4),
            "half_width": round(1.96 * float(gain.std()) / len(gain) ** 0.5, 4),
        }
    return {"newcomers": len(gain), "cut_offs": len(holdouts), "precision_all": lengths}


def measure_precision(holdout: Holdout, recommender: Recommender, k: int, *, with_new: bool) -> np.ndarray:
    """Return each newcomer's precision over all uses by lists of `auto`, in %."""
    assert holdout.all_uses is not None
    query = query_cold_users(recommender, holdout, holdout.all_uses, k)
    if not with_new:
        query = cohort_query(recommender, holdout.newcomers, holdout.cold, k)
    lists = index_lists(query, holdout.newcomers, answer_query(query, "auto").items)
    return measure_all_uses(lists, holdout.all_uses.truth)["precision_all"]


def measure_set(holdout: Holdout, config: Config, entity: str, recommender: Recommender) -> dict[str, Any]:
    """Return figures by the number of shared items, for hidden items and for the same items known to the model."""
    snapshot = holdout.dataset
    hidden = np.random.default_rng(0).permutation(len(snapshot.items))[: len(snapshot.items) // HIDDEN_SHARE]
    rest = snapshot.keep_items(np.setdiff1d(np.arange(len(snapshot.items)), hidden))
    without = train(rest, config, holdout.cut_off).recommender
    recommenders = {"known": recommender, "new": without}
    ranks = {kind: measure_ranks(holdout, recommenders[kind], hidden) for kind in recommenders}
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


def measure_growth(holdout: Holdout, entity: str, recommender: Recommender) -> dict[str, Any]:
    """Return the places of each member's newest item that came in a week, by the number of its items used on day one.

    Members have ten items that the model knows, of which the newest are used.
    """
    assert holdout.all_uses is not None
    assert holdout.cut_off is not None
    items = holdout.newcomers.items
    moment = holdout.cut_off + WEEK_US
    first_seen = holdout.all_uses.first_seen
    model = recommender.model
    current = query_cold_users(recommender, holdout, holdout.all_uses, K).current_items
    assert current is not None
    assert current.new.history is not None
    absent = current.new.index[current.new.history.added >= moment]
    is_known = model.catalogue.items.lookup(items.values) >= 0
    newest: list[str] = []
    known: list[list[str]] = []
    of_members = holdout.newcomers.entities[entity].items
    for member in range(of_members.n_rows):
        own = of_members.row(member)
        own = own[np.argsort(-first_seen[own], kind="stable")]
        came = own[~is_known[own] & (first_seen[own] < moment)]
        own = own[is_known[own]]
        if len(came) and len(own) >= GROWN[-1]:
            newest.append(items.take(came[:1])[0])
            known.append(items.take(own[: GROWN[-1]]).to_list())
    rows = {}
    for n in GROWN:
        users = [Signals(interactions=[("stream", "item", item) for item in of_member[:n]]) for of_member in known]
        signals, of_current = (catalogue.read(users)[0] for catalogue in (model.catalogue, current.catalogue))
        query = Query(model, signals, K).with_current_items(current, of_current)
        query = query.without(SparseRows.from_lists([absent] * len(users), len(current.listed)))
        lists = answer_query(query.ask(moments=np.full(len(users), moment)), "auto").items
        is_newest = lists == current.catalogue.items.lookup(pl.Series(newest))[:, None]
        ranks = np.where(is_newest.any(axis=1), is_newest.argmax(axis=1), K)
        is_first = ranks < 10
        rows[str(n)] = {
            "members": len(ranks),
            "first_ten": round(100 * float(is_first.mean()), 2),
            "half_width": round(196 * float(is_first.std()) / len(ranks) ** 0.5, 2),
            "median_rank": int(np.median(ranks)) + 1,
        }
    return rows


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


def train(dataset: Dataset, config: Config, cut_off: int | None) -> Any:
    """Train on a snapshot as of a cut-off."""
    split = split_for_training(dataset, config, config.seed, end=cut_off)
    return fit(dataset, split, config, progress=no_progress)


def measure_ranks(holdout: Holdout, recommender: Recommender, hidden: np.ndarray) -> np.ndarray:
    """Return the rank of each hidden item in each newcomer's list, from 0, shape (n_users, n_hidden)."""
    assert holdout.all_uses is not None
    items = holdout.newcomers.items
    query = query_cold_users(recommender, holdout, holdout.all_uses, K)
    lists = index_lists(query, holdout.newcomers, answer_query(query, "auto").items)
    ranks = np.full((len(lists), len(items) + 1), K)
    places = np.arange(lists.shape[1])[None]
    np.put_along_axis(ranks, np.where(lists == NO_ITEM, len(items), lists), places, axis=1)
    return ranks[:, items.lookup(holdout.dataset.items.take(hidden))]


if __name__ == "__main__":
    typer.run(main)
