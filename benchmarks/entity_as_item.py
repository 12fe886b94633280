"""Compare lists of items with lists of the members of an entity, such as shows, for the same newcomers.

    python benchmarks/entity_as_item.py tables --item show --out docs/results/entity-as-item.json
    python benchmarks/entity_as_item.py x-wines --path ../shared/data --item winery

Models are trained at the cut-offs of `evaluate`, on items and on members, and lists are those of `auto`, with what came
by the end of day one. Scores are precision at 10 in %, against all that a newcomer used in the target window and not on
day one, also what came after the training: of lists of items against items, of lists of members against members, and of
the newest item of each listed member, among those that existed by the end of the newcomer's day one and that the
newcomer had not used, against items.
The users are the newcomers with new items and new members in the target window. Intervals are of paired differences,
over cohorts if there are at least five, else over users.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from result_files import read_results, to_json, write_results

from firstday.config import Config, suit_config
from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.data.splits.registration import collect_newcomers
from firstday.data.splits.snapshot import find_first_seen
from firstday.data.splits.split import Cohort
from firstday.evaluation.arrivals import query_cold_users
from firstday.metrics import HEAD, measure, ratio_intervals
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import index_lists
from firstday.sparse import SparseRows
from firstday.training.fit import fit

LISTS = ("items", "members", "newest items")


def main(
    tables: str,
    item: Annotated[str, typer.Option()],
    path: Path | None = None,
    cut_offs: int = 6,
    out: Path | None = None,
) -> None:
    """Measure a folder of tables or a dataset name, and add the results to those in the file `out`."""
    config = suit_config(tables).override("registration.cut_offs", cut_offs)
    of_items = load(tables, path=path, config=config)
    of_members = load(tables, path=path, config=config.override("item", item))
    membership = load_membership(of_items, of_members, item)
    moments = find_cut_offs(of_items, config)
    if moments is None:
        raise typer.BadParameter("the log has no clock")
    scores = []
    users = []
    cohorts = []
    holdouts = zip(hold_out(of_items, config, 0, moments), hold_out(of_members, config, 0, moments), strict=True)
    for number, (items, members) in enumerate(holdouts):
        common = np.intersect1d(items.cold.users, members.cold.users)
        asked = [collect_newcomers(held.newcomers, config, moments.histories, common) for held in (items, members)]
        listed = [list_newcomers(held, cohort, config) for held, cohort in zip((items, members), asked, strict=True)]
        newest = find_newest(listed[1], asked[0], membership, find_first_seen(of_items), config)
        precision = [
            measure(lists, cohort.truth).precision
            for lists, cohort in ((listed[0], asked[0]), (listed[1], asked[1]), (newest, asked[0]))
        ]
        scores.append(100 * np.stack(precision, axis=1))
        users.append(common)
        cohorts.append(np.full(len(common), number))
        print(number, len(common), dict(zip(LISTS, scores[-1].mean(axis=0).round(2), strict=True)), flush=True)
    result = summarise(np.concatenate(scores), np.concatenate(users), np.concatenate(cohorts))
    sizes = {"n_items": len(of_items.items), "n_members": len(of_members.items)}
    name = f"{of_items.name} by {item}"
    write_results({**(read_results(out) if out else {}), name: {**sizes, **result}}, out)


def load_membership(of_items: Dataset, of_members: Dataset, item: str) -> SparseRows:
    """Return the items of each member, in the indexes of both datasets."""
    entity = of_items.entities[item]
    assert entity.ids.values.equals(of_members.items.values)
    return entity.items


def list_newcomers(holdout: Holdout, cohort: Cohort, config: Config) -> np.ndarray:
    """Train on a holdout; return the list of `auto` for each newcomer, in the indexes of all the data."""
    recommender = fit(holdout.dataset, holdout.split, config).recommender
    assert holdout.all_uses is not None
    query = query_cold_users(recommender, replace(holdout, cold=cohort), holdout.all_uses, HEAD)
    return index_lists(query, holdout.newcomers, answer_query(query, "auto").items)


def find_newest(
    members: np.ndarray, cohort: Cohort, membership: SparseRows, first_seen: np.ndarray, config: Config
) -> np.ndarray:
    """Return the newest unused item of each listed member as of the end of day one, each once; -1 without any."""
    used = [np.zeros(0, dtype=np.int32)] * len(cohort)
    for (signal, entity), rows in cohort.day_one.items():
        if entity == "item" and signal in config.signals.use:
            used = [np.append(before, rows.row(user)) for user, before in enumerate(used)]
    assert cohort.day_end_us is not None
    newest = np.full(members.shape, -1)
    for user, listed in enumerate(members):
        taken = set(used[user].tolist())
        for rank, member in enumerate(listed):
            items = membership.row(member) if member >= 0 else ()
            present = [ix for ix in items if first_seen[ix] < cohort.day_end_us[user] and ix not in taken]
            if present:
                newest[user, rank] = max(present, key=first_seen.__getitem__)
                taken.add(newest[user, rank])
    return newest


def summarise(scores: np.ndarray, users: np.ndarray, cohorts: np.ndarray) -> dict[str, Any]:
    """Return means, and differences to the lists of items, with intervals."""
    columns = np.column_stack([scores, scores[:, 1:] - scores[:, :1]])
    names = [*LISTS, *(f"{name} minus items" for name in LISTS[1:])]
    intervals = ratio_intervals(columns, np.ones(len(columns)), users, cohorts)
    figures = {name: to_json("precision_at_10", interval) for name, interval in zip(names, intervals, strict=True)}
    return {"newcomers": len(users), "cut_offs": len(np.unique(cohorts)), **figures}


if __name__ == "__main__":
    typer.run(main)
