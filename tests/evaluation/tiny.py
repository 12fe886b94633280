"""An evaluation made by hand: five users, two strategies, two seeds, and the lists that each strategy gave."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.data.splits.split import Cohort
from firstday.evaluation.figures import Scores, measure_diversity, measure_lists, measure_novelty
from firstday.evaluation.results import Results
from firstday.evaluation.run import Run, join_runs
from firstday.recommend.segment_description import SegmentRow
from firstday.segment.segments import count_items
from firstday.sparse import SparseRows
from firstday.training.option_search import Tuning

N_ITEMS = 6
USERS = np.array([10, 11, 12, 13, 14])
DAY_ONE_SIZE = np.array([0, 0, 2, 3, 5])
DID_NOTHING = np.array([True, True, False, False, False])
KNOWLEDGE = ["profile", "profile", "1-3", "1-3", "4+"]
HAS_FRIENDS = np.array([True, False, True, False, False])
PROFILES = {
    "age": np.array([10, 30, -1, 30, -1]),
    "country": np.array(["FR", "FR", "FR", "not known", "not known"], dtype=object),
    "plan": np.array(["free", "paid", "free", "free", "paid"], dtype=object),
}
TRUTH = {
    0: [[0, 1, 4], [2], [3, 4, 5], [1, 5], [0, 3]],
    1: [[0, 4], [2, 3], [3, 5], [0, 1, 2, 5], [4]],
}
LISTS = {
    "popular": {0: [[0, 1, 2]] * 5, 1: [[0, 1, 2]] * 5},
    "segment": {
        0: [[0, 4, 1], [2, 0, 1], [3, 0, 1], [5, 1, -1], [2, 1, 0]],
        1: [[0, 1, 2], [3, 2, 0], [5, 4, 3], [0, 1, 5], [0, 1, 2]],
    },
}
ROUTES = {
    "popular": {0: ["popular"] * 5, 1: ["popular"] * 5},
    "segment": {0: ["segment"] * 5, 1: ["segment", "segment", "segment", "segment", "popular"]},
}
SECONDS = {"popular": 0.001, "segment": 0.0045}
WARM_USES = [[0, 1], [0, 1, 2], [0, 2, 3], [0, 4]]
VECTORS = np.array([[1, 0], [1, 0], [0, 1], [0, 2], [-3, 0], [0, 0]], dtype=np.float32)


def evaluate_tiny(
    against: tuple[str, ...] = ("segment", "popular"), copies: int = 1, truth_of: Mapping[int, list[list[int]]] = TRUTH
) -> Results:
    """Return the results of the lists above, the five users taken `copies` times."""
    everyone = count_items(np.zeros(4, dtype=np.int64), SparseRows.from_lists(WARM_USES, N_ITEMS), 1)
    runs = []
    for seed, truth in truth_of.items():
        users = np.arange(len(USERS) * copies) + USERS[0]
        cohort = Cohort(users, {}, SparseRows.from_lists(truth * copies, N_ITEMS), np.tile(DAY_ONE_SIZE, copies))
        scores = {}
        for name in LISTS:
            lists = np.array(LISTS[name][seed] * copies)
            scores[name] = Scores(
                {
                    **measure_lists(lists, cohort.truth),
                    "novelty_bits": measure_novelty(lists, everyone),
                    "diversity": measure_diversity(lists, VECTORS),
                    "first_item": np.where(lists[:, 0] == 5, np.nan, lists[:, 0]),
                },
                np.array(ROUTES[name][seed] * copies),
                SECONDS[name],
                lists,
            )
        run = Run(
            seed=seed,
            scores=scores,
            users=pl.DataFrame(
                {
                    "user_id": [f"u{user}" for user in users],
                    "knowledge": np.tile(KNOWLEDGE, copies),
                    "day_one_size": cohort.day_one_size,
                    "did_nothing": np.tile(DID_NOTHING, copies),
                    "has_friends": np.tile(HAS_FRIENDS, copies),
                    "model_age": np.nan,
                }
            ),
            n_warm=4,
            k=3,
            fit_seconds=1.5 + seed,
            profiles={name: np.tile(values, copies) for name, values in PROFILES.items()},
            items=Ids.of([f"i{item}" for item in range(N_ITEMS)]),
            segments=(SegmentRow(seed, 4, 0.25, (), ()),),
            notes=("2 users were left out.",),
            tunings={"popular": Tuning({"shrinkage": (0.0, 10.0)}, {"shrinkage": 10.0}, 51.25, 7, 0.25, 2.0)},
        )
        runs.append(run)
    return join_runs(runs, against, dataset="tiny", protocol="sampled", own_metrics=("first_item",))
