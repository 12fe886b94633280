"""Judge one trained model on splits that tests give, since training is not what they look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.evaluate.results import Results
from firstday.evaluate.run import join_seeds, judge_seed
from firstday.metrics import PrecisionRule
from firstday.recommend.recommender import Recommender
from firstday.training.fit import cohort_query


def judge(
    recommender: Recommender,
    dataset: Dataset,
    splits: Mapping[int, Split],
    strategies: Sequence[str],
    k: int,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = ("segment",),
) -> Results:
    """Judge strategies on the cold users of each seed's split."""
    runs = [
        judge_seed(
            cohort_query(recommender, dataset, split.cold, k),
            split.cold,
            strategies,
            seed=seed,
            n_warm=len(split.warm),
            fit_seconds=0.0,
            describe_model=number == 0,
            divide_by=divide_by,
        )
        for number, (seed, split) in enumerate(splits.items())
    ]
    return join_seeds(dataset.name, runs, protocol="sampled", divide_by=divide_by, against=against)
