"""Contribution of each component of `blend`, and the defaults that leave-one-dataset-out selection would choose.

python benchmarks/components.py --data data                          all sets
python benchmarks/components.py --data data --only online-retail --only movielens-100k

Renews docs/results/components.json and blend-defaults.json. Networks are trained once per cut-off or seed; the weights
of `blend` are refitted without each component in turn, and with other values of each default. Prints P@10 and P@50 of
`blend`, and the loss without each component, with 95 % intervals over users. Then prints, for each default and dataset,
the value that is best on all other datasets, and its difference to the current one on this dataset. Datasets that are
not requested keep their rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import typer
from real_data import find_sets, open_set
from result_files import RESULTS, read_results, write_results

from firstday.config import Config
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.methods import blend, ease
from firstday.metrics import bootstrap_means, measure
from firstday.progress import Progress, no_progress, open_progress
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_query
from firstday.recommend.registry import components_of, strategy_names
from firstday.recommend.spec import LearningData
from firstday.sparse import SparseRows
from firstday.training import fit as training
from firstday.training import weights
from firstday.training.learn import learn_methods
from firstday.training.validation import Fold

LENGTHS = (10, 50)
DEFAULTS: dict[str, tuple[ModuleType, str, tuple[float, ...]]] = {
    "ridge": (weights, "RIDGE", (0.01, 0.05, 0.25)),
    "best candidates": (weights, "N_BEST", (75, 150, 300)),
    "candidates": (blend, "N_CANDIDATES", (300, 600, 1200)),
    "penalty of edlae": (ease, "REGULARIZATION", (100.0, 300.0, 1000.0)),
}
"""Module and name of each default, and the values to try, including the current one."""


def main(data: list[Path] = [], only: list[str] = [], seeds: int = 3) -> None:
    """Measure datasets, by default all in `data`, and merge the results with earlier ones."""
    path = RESULTS / "components.json"
    content = read_results(path)
    for name, copy in find_sets(only, data).items():
        content[name] = measure_set(name, copy, seeds)
        write_results(content, path)
    write_results(choose_without(content), RESULTS / "blend-defaults.json")


def choose_without(content: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Return, by default and dataset, the value best on the other datasets, and its gain in P@10 and P@50 on this one.

    Best is the highest mean, over datasets, of precision relative to the current value, at 10 and 50 alike.
    """
    chosen: dict[str, dict[str, list[float]]] = {}
    content = {of: found for of, found in content.items() if "defaults" in found}
    for default, (module, name, values) in DEFAULTS.items():
        measured = {of: found["defaults"].get(default) for of, found in content.items()}
        tried = {of: np.array(precision) for of, precision in measured.items() if precision}  # (n_values, 2)
        today = values.index(getattr(module, name))
        for of, precision in tried.items():
            others = [other / other[today] for it, other in tried.items() if it != of]
            best = int(np.argmax(np.mean(others, axis=(0, 2)))) if others else today
            off = (precision[best] - precision[today]).round(2).tolist()
            chosen.setdefault(default, {})[of] = [values[best], *off]
    return chosen


def measure_set(name: str, copy: Path | None, n_seeds: int) -> dict[str, Any]:
    """Return precision of `blend` in %, its loss without each component, and its precision with other defaults."""
    dataset, config = open_set(name, copy)
    cut_offs = find_cut_offs(dataset, config)
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(config.seed, config.seed + (n_seeds if cut_offs is None else 1)):
        of_seed = config.override("seed", seed)
        for holdout in hold_out(dataset, of_seed, seed, cut_offs):
            with open_progress() as progress:
                trained = train(holdout, of_seed, progress)

            def note(what: str, lists: np.ndarray, truth: SparseRows = holdout.cold.truth) -> None:
                precision = [100 * measure(lists[:, :k], truth).precision for k in LENGTHS]
                found.setdefault(what, []).append(np.stack(precision, axis=1))

            for left_out in ("", *components_of(trained.query.model)):
                note(left_out, trained.answer(left_out))
            for default, (module, constant, values) in DEFAULTS.items():
                for value in values:
                    with patch.object(module, constant, value):
                        fresh = trained.renew(module)
                        note(f"{default} {value}", fresh.answer())
    whole = np.concatenate(found.pop(""))
    mean = {what: np.concatenate(parts).mean(axis=0).round(3).tolist() for what, parts in found.items()}
    users = np.arange(len(whole))
    components = [name for name in found if name in strategy_names()]
    lost = {name: bootstrap_means(whole - np.concatenate(found[name]), users) for name in components}
    return {
        "users": len(whole),
        "precision": [round(float(mean), 2) for mean in whole.mean(axis=0)],
        "lost": {name: [[round(x, 2) for x in (i.mean, i.low, i.high)] for i in pair] for name, pair in lost.items()},
        "defaults": {
            default: [mean[f"{default} {value}"] for value in values] for default, (_, _, values) in DEFAULTS.items()
        },
    }


@dataclass(frozen=True, eq=False)
class Trained:
    """Validation and cold users with their models, and what each model learned from."""

    folds: list[Fold]
    query: Query
    learned_from: list[LearningData]

    def answer(self, left_out: str = "") -> np.ndarray:
        """Return the lists of `blend` with refitted weights, without one component."""
        names = tuple(name for name in components_of(self.query.model) if name != left_out)
        query = with_learned(self.query, blend=weights.fit_blending(self.folds, names))
        return answer_query(query, "blend").items

    def renew(self, module: ModuleType) -> Trained:
        """Relearn what depends on a module's constants."""
        return self.learn_links() if module is ease else self

    def learn_links(self) -> Trained:
        """Relearn `edlae` for all models."""
        links = [ease.fit_links(data, lambda _lists: 0.0, no_progress) for data in self.learned_from]
        folds = [fold.with_learned(edlae=of) for fold, of in zip(self.folds, links, strict=False)]
        return replace(self, folds=folds, query=with_learned(self.query, edlae=links[-1]))


def with_learned(query: Query, **learned: Any) -> Query:
    """Return the query to a model with other learned values of methods."""
    return query.ask(model=replace(query.model, learned={**query.model.learned, **learned}))


def train(holdout: Holdout, config: Config, progress: Progress) -> Trained:
    """Train a model; also keep the folds of validation users."""
    learned_from: list[LearningData] = []
    folds: list[Fold] = []

    def keep_data(data: LearningData, *others: Any) -> dict[str, Any]:
        learned_from.append(data)
        return learn_methods(data, *others)

    def keep_folds(validation: Sequence[Fold]) -> Any:
        folds.extend(validation)
        return weights.choose_blending(validation)

    with (
        patch.object(training, "learn_methods", keep_data),
        patch.object(training, "choose_blending", keep_folds),
    ):
        recommender = training.fit(holdout.dataset, holdout.split, config, progress=progress).recommender
    query = training.cohort_query(recommender, holdout.newcomers, holdout.cold, max(LENGTHS))
    return Trained(folds, query, learned_from)


if __name__ == "__main__":
    typer.run(main)
