"""Calibration of the probabilities of use on test users: the source of a table of docs/quality.md.

python benchmarks/calibration.py movielens-100k --seeds 5
python benchmarks/calibration.py deezer-europe --path deezer_europe.zip --seeds 3

For each seed, a model is trained, which calibrates the probability at each rank on its validation users; it is then
evaluated on the lists of test users. The expected calibration error (ECE) is the mean distance between predicted and
actual share over ten equal-sized bins by prediction. It is compared with two alternatives fitted on the same users:
isotonic regression on the strategy's score, and on the rank alone. Results go to docs/results/calibration-NAME.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer
from result_files import RESULTS, write_results

from firstday.cli.options import open_tables
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.data.splits.split import Cohort
from firstday.recommend.query import Answer
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy
from firstday.training.calibrate import MAX_CALIBRATION_USERS
from firstday.training.fit import cohort_query, fit

N_PARTS = 10
WAYS = ("logistic", "isotonic on scores", "isotonic on places")


def main(tables: str, path: Path | None = None, seeds: int = 5) -> None:
    """Train for every seed; write the calibration of each strategy, averaged over seeds."""
    dataset, preset = open_tables(tables, path, None)
    by_seed = [score_seed(dataset, preset, seed) for seed in range(seeds)]
    rows = [
        {"strategy": name}
        | {key: round(float(np.mean([of_seed[name][key] for of_seed in by_seed])), 4) for key in by_seed[0][name]}
        for name in by_seed[0]
    ]
    content = {"dataset": dataset.name, "k": preset.recommend.k, "seeds": seeds, "rows": rows}
    write_results(content, RESULTS / f"calibration-{dataset.name}.json")


def score_seed(dataset: Dataset, preset: Config, seed: int) -> dict[str, dict[str, float]]:
    """Train for one seed and evaluate each strategy's probabilities on test users, in %."""
    preset = preset.override({"seed": seed, "registration.cut_offs": 1})
    (part,) = hold_out(dataset, preset, seed, find_cut_offs(dataset, preset))
    recommender = fit(part.dataset, part.split, preset).recommender
    found: dict[str, dict[str, float]] = {}
    for name, calibration in recommender.model.calibrations.items():
        answer, hits = lists_of(recommender, part.newcomers, part.cold, name)
        listed = answer.items >= 0
        used = hits[answer.items >= 0].astype(np.float64)
        others = fit_others(
            *lists_of(recommender, part.dataset, part.split.validation, name, MAX_CALIBRATION_USERS), answer
        )
        said = {"logistic": calibration.probabilities(answer.scores), **others}
        row = {"users": float(len(hits)), "fitted to": float(calibration.n_users), "used": 100 * float(used.mean())}
        for way in WAYS:
            likely = said[way][listed].astype(np.float64)
            row[f"{way}: said"] = 100 * float(likely.mean())
            row[f"{way}: error"] = 100 * calibration_error(likely, used)
            row[f"{way}: log loss"] = log_loss(likely, used)
        found[name] = row
    return found


def lists_of(
    recommender: Recommender, dataset: Dataset, cohort: Cohort, strategy: str, most: int | None = None
) -> tuple[Answer, np.ndarray]:
    """Return a strategy's lists for the users it answers, and their hits."""
    query = cohort_query(recommender, dataset, cohort, recommender.model.config.recommend.k)
    rows = np.arange(query.n_users)[:most]
    answer = find_strategy(strategy).recommend(query.take(rows))
    answered = np.flatnonzero(answer.routes == strategy)
    answer = replace(
        answer, items=answer.items[answered], scores=answer.scores[answered], routes=answer.routes[answered]
    )
    return answer, cohort.truth.take(rows[answered]).has(answer.items)


def fit_others(answer: Answer, hits: np.ndarray, scored: Answer) -> Mapping[str, np.ndarray]:
    """Fit the alternatives on validation users; return their predictions for the evaluated lists."""
    from sklearn.isotonic import IsotonicRegression

    listed = answer.items >= 0
    places = np.broadcast_to(np.arange(listed.shape[1]), listed.shape)
    of_scored = np.broadcast_to(np.arange(listed.shape[1]), scored.items.shape)
    on_scores = IsotonicRegression(out_of_bounds="clip").fit(answer.scores[listed], hits[listed])
    on_places = IsotonicRegression(increasing=False, out_of_bounds="clip").fit(places[listed], hits[listed])
    return {
        "isotonic on scores": on_scores.predict(scored.scores.ravel()).reshape(scored.scores.shape),
        "isotonic on places": on_places.predict(of_scored.ravel()).reshape(of_scored.shape),
    }


def calibration_error(likely: np.ndarray, used: np.ndarray) -> float:
    """Return the expected calibration error over equal-sized bins by prediction."""
    parts = np.array_split(np.argsort(likely, kind="stable"), N_PARTS)
    return sum(len(part) * abs(float(likely[part].mean() - used[part].mean())) for part in parts) / len(likely)


def log_loss(likely: np.ndarray, used: np.ndarray) -> float:
    """Return the mean negative log-likelihood; lower is better."""
    likely = np.clip(likely, 1e-4, 1 - 1e-4)
    return -float(np.mean(used * np.log(likely) + (1 - used) * np.log(1 - likely)))


if __name__ == "__main__":
    typer.run(main)
