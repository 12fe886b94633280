"""Hide a tenth of the items from training, give them back by words and entities, and count what is used of them.

python benchmarks/new_items.py --data data --only movielens-100k --only x-wines

Renews docs/results/new-items.json. Two models are trained per dataset: with all items, and without any use of the
hidden ones. Lists of the second model get them back as new items, with the ages that they had. For the cold users, it
counts the places of hidden items in lists of `K`, and the share of these items that the user went on to use; next to
it, the share that random hidden items would have had in the same places, and the places and share of the same items in
lists of the first model. For every second user it also compares the lists before and after the others' impressions and
uses are known. Day ones are without hidden items for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer
from real_data import find_sets, open_set
from result_files import RESULTS, read_results, write_results

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Events
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.data.splits.snapshot import find_first_seen
from firstday.data.splits.split import Actions, Cohort
from firstday.data.user_rows import UserRows
from firstday.metrics import bootstrap_means
from firstday.recommend.added_items import AddedItems
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import answer_query
from firstday.sparse import SparseRows
from firstday.training.fit import cohort_query, fit

K = 50
HIDDEN_SHARE = 0.1
STRATEGIES = ("auto", "segment", "explore")


def main(data: list[Path] = [], only: list[str] = [], seeds: int = 1) -> None:
    """Measure datasets, and merge the results with earlier ones."""
    path = RESULTS / "new-items.json"
    content = read_results(path)
    for name, copy in find_sets(only, data).items():
        dataset, config = open_set(name, copy)
        content[name] = measure_set(dataset, config, seeds)
        write_results(content, path)


def measure_set(dataset: Dataset, config: Config, seeds: int) -> dict[str, Any]:
    """Train with and without hidden items at the last cut-off, or once per seed, and count places and uses."""
    counts: dict[str, list[Mapping[str, np.ndarray]]] = {}
    evidence = {}
    for seed in range(config.seed, config.seed + seeds):
        *_, holdout = hold_out(dataset, config, seed, find_cut_offs(dataset, config))
        seeded = config.override("seed", seed)
        items = holdout.dataset
        hidden = np.zeros(len(items.items), dtype=bool)
        rng = np.random.default_rng([seed, 4])
        hidden[rng.choice(len(hidden), round(HIDDEN_SHARE * len(hidden)), replace=False)] = True
        warm = fit(items, holdout.split, seeded).recommender
        without = hide(holdout, hidden)
        cold = fit(without.dataset, without.split, seeded).recommender
        assert cold.model.content is not None
        content = cold.model.content
        evidence = {name: getattr(content, name) for name in ("n_hidden", "cosine", "freshness")}
        of_newcomers = (
            hidden
            if holdout.newcomers is items
            else np.isin(holdout.newcomers.items.values.to_numpy(), items.items.take(np.flatnonzero(hidden)).to_numpy())
        )
        stripped = replace(holdout.cold, day_one=strip(holdout.cold.day_one, of_newcomers))
        used = cohort_query(warm, holdout.newcomers, holdout.cold, K).excluded
        now = datetime.now(UTC) if holdout.cut_off is None else datetime.fromtimestamp(holdout.cut_off / 1e6, UTC)
        added = AddedItems.of(cold.model, describe_items(items, hidden, now))
        queries = {
            "warm": cohort_query(warm, holdout.newcomers, stripped, K).ask(excluded_override=used),
            "without": cohort_query(cold, holdout.newcomers, stripped, K).ask(excluded_override=used),
        }
        empty = SparseRows.empty(queries["without"].n_users, len(added.listed))
        queries["new"] = queries["without"].ask(added=added, added_excluded=empty)
        halves = np.arange(queries["new"].n_users) % 2 == 0
        for strategy in STRATEGIES:
            for kind, query in queries.items():
                found = count_places(answer_query(query, strategy), query, holdout.cold, hidden)
                counts.setdefault(f"{strategy} {kind}", []).append(found)
            told = tell(added, answer_query(queries["new"], strategy), holdout.cold, np.flatnonzero(halves))
            rest = np.flatnonzero(~halves)
            for kind, seen in (("before", added), ("told", told)):
                query = queries["new"].take(rest).ask(added=seen, added_excluded=empty.take(rest))
                answer = answer_query(query, strategy)
                truth = replace(holdout.cold, truth=holdout.cold.truth.take(rest))
                counts.setdefault(f"{strategy} {kind}", []).append(count_places(answer, query, truth, hidden))
    joined = {
        name: {key: np.concatenate([one[key] for one in of_seeds]) for key in of_seeds[0]}
        for name, of_seeds in counts.items()
    }
    users = {"users": len(next(iter(joined.values()))["places"]), "k": K, "seeds": seeds, "learned": evidence}
    return {**users, **{name: summarise(found) for name, found in joined.items()}}


def hide(holdout: Holdout, hidden: np.ndarray) -> Holdout:
    """Return the training data of a holdout without any interaction with hidden items, a mask of shape (n_items,)."""
    dataset = holdout.dataset
    codes = dataset.events.codes_of(ITEM)
    rows = pl.concat(list(dataset.events.frames()))
    is_hidden = pl.Series(hidden[np.minimum(rows["target_ix"].to_numpy(), len(hidden) - 1)])
    rows = rows.filter(~(is_hidden & rows["pair"].is_in(codes)))
    events = Events.of_rows(dataset.events.pairs, UserRows((rows,)))
    split = holdout.split
    split = replace(
        split,
        warm_actions=strip(split.warm_actions, hidden),
        warm_day_one=tuple(strip(day_one, hidden) for day_one in split.warm_day_one),
        validation=strip_cohort(split.validation, hidden),
        newest=split.newest and strip_cohort(split.newest, hidden),
    )
    return replace(holdout, dataset=replace(dataset, events=events), split=split)


def strip(actions: Actions, hidden: np.ndarray) -> Actions:
    """Drop the interactions with hidden items."""
    return {pair: rows.keep(~hidden[rows.columns]) if pair[1] == ITEM else rows for pair, rows in actions.items()}


def strip_cohort(cohort: Cohort, hidden: np.ndarray) -> Cohort:
    """Drop hidden items from day ones and truth."""
    truth = cohort.truth.keep(~hidden[cohort.truth.columns])
    return replace(cohort, day_one=strip(cohort.day_one, hidden), truth=truth)


def describe_items(dataset: Dataset, hidden: np.ndarray, now: datetime) -> pl.DataFrame:
    """Return the table `items` of the hidden items, with the time when each was first used."""
    rows = np.flatnonzero(hidden)
    columns = {name: column.gather(rows) for name, column in dataset.columns.items() if name != "added_at"}
    first = np.minimum(find_first_seen(dataset)[rows], int(now.timestamp() * 1e6))
    return pl.DataFrame(
        {
            "item_id": dataset.items.take(rows),
            "title": [dataset.titles[row] for row in rows.tolist()] if dataset.titles else [""] * len(rows),
            **columns,
            "added_at": pl.Series(first).cast(pl.Datetime("us", "UTC")),
        }
    )


def tell(added: AddedItems, answer: Answer, cold: Cohort, users: np.ndarray) -> AddedItems:
    """Return the items with the impressions in the lists of some users, given by row, and the uses that followed."""
    items = answer.items[users]
    is_used = cold.truth.take(users).has(items)
    n_items = len(added.listed)
    shown = np.bincount(items[items >= 0], minlength=n_items)
    used = np.bincount(items[is_used], minlength=n_items)
    return replace(added, shown=shown[added.index], used=used[added.index])


def count_places(answer: Answer, query: Query, cold: Cohort, hidden: np.ndarray) -> dict[str, np.ndarray]:
    """Return, for each user, the places of hidden items, the uses there, those of random ones, and all uses."""
    is_used = cold.truth.has(answer.items)
    is_hidden = hidden[answer.items] & (answer.items >= 0)
    places = is_hidden.sum(axis=1)
    n_open = hidden.sum() - hidden[query.excluded.columns].astype(int).sum() / max(1, query.n_users)
    n_relevant = np.bincount(cold.truth.row_of_entry(), hidden[cold.truth.columns], cold.truth.n_rows)
    return {
        "places": places,
        "used": (is_hidden & is_used).sum(axis=1),
        "used_if_random": places * n_relevant / max(1, n_open),
        "all_used": is_used.sum(axis=1),
        "all_used_10": is_used[:, :10].sum(axis=1),
    }


def summarise(found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return places and uses per user, and shares of places used, in %, with bootstrap intervals."""
    n = len(found["places"])
    shares = np.column_stack([found["used"], found["used_if_random"]]).astype(float)
    total = max(1, int(found["places"].sum()))
    means = bootstrap_means(shares * n / total, np.arange(n))
    used, random = ([round(100 * float(x), 2) for x in (one.mean, one.low, one.high)] for one in means)
    return {
        "places": round(float(found["places"].mean()), 3),
        "used": used,
        "used_if_random": random,
        "all_used": round(float(found["all_used"].mean()), 3),
        "all_used_10": round(float(found["all_used_10"].mean()), 3),
    }


if __name__ == "__main__":
    typer.run(main)
