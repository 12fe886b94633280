"""Reproduction of the paper's Table 1 from its released data, for comparison with the published figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from firstday.cold.cold_model import Epoch
from firstday.config import Config
from firstday.data.splits.split import Cohort
from firstday.display import readable
from firstday.errors import ConfigError
from firstday.evaluation.results import Results
from firstday.evaluation.run import join_runs, score_strategies
from firstday.lab.reproduce.deezer_kdd21 import COUNTED_BLOCKS, NAME, PaperData, Space
from firstday.lab.reproduce.paper_figures import LEARNED_BASELINES, TABLE, TITLES
from firstday.lab.reproduce.paper_model import DAY_ONE_BLOCK, ask_for, fit_paper_model
from firstday.lab.reproduce.released_code import (
    DEPARTURES,
    average_ties,
    recommend_without_fallback,
)
from firstday.methods.blend import choose_blending
from firstday.methods.direct import RANKER
from firstday.methods.vectors import DAY_ONE
from firstday.metrics import METRICS
from firstday.progress import Progress, no_progress
from firstday.recommend.answers import answer_query
from firstday.recommend.fold import Fold
from firstday.recommend.registry import find_strategy, strategy_names
from firstday.recommend.spec import KEPT_USERS
from firstday.recommend.support import describe_absent, with_methods_of
from firstday.sparse import SparseRows
from firstday.training.learn import METHOD_STAGE
from firstday.training.option_search import search_options

PROTOCOL = "kdd21"
PROTOCOL_TEXT = (
    "Warm and cold users are those of the paper. Only the features of day one are known; lists are scored on what "
    "users streamed in their first 30 days, without exclusions."
)
USERS_PER_SEGMENT, MOST_SEGMENTS = 70, 1000
"""Default number of segments: training users / 70, at most 1,000. For the paper's 70,000 users this is its 1,000."""
SIMULATED_NOTE = "The data was simulated, so the results say nothing about the paper's users."


@readable
@dataclass(frozen=True)
class Reproduction:
    """Reproduced table, to be compared with the paper's.

    `summary` has the numbers of items, dimensions, inputs and validation users, `history` is the training history of
    the last seed, and `seconds` the time per stage, summed over seeds. `like_code` names the `DEPARTURES` in which
    training and lists follow the authors' code, and `code` is the table by their code, which follows it in all; None if
    it was not made.
    """

    results: Results
    space: Space
    simulated: bool
    summary: Mapping[str, int]
    history: tuple[Epoch, ...]
    seconds: Mapping[str, float]
    like_code: tuple[str, ...]
    code: Reproduction | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, with figures in %; `paper` is null for strategies that the paper's table lacks."""
        values = self.results.to_json()
        for row in values["results"]:
            name = row["strategy"]
            paper = TABLE[self.space].get(name)
            row["title"], row["paper"] = TITLES.get(name, name), paper
            row["minus_paper"] = paper and {metric: round(row[metric] - paper[metric], 4) for metric in METRICS}
        head = {"dataset": values.pop("dataset"), "space": self.space, "simulated": self.simulated, **self.summary}
        seconds = {stage: round(took, 2) for stage, took in self.seconds.items()}
        kept = next((epoch for epoch in self.history if epoch.kept), None)
        training = {
            "epochs": len(self.history),
            "kept": kept and kept.number,
            "validation_precision": kept and kept.precision,
        }
        return {
            **head,
            **values,
            "like_code": self.like_code,
            "training": training,
            "seconds": seconds,
            "config": self.results.config.model_dump(mode="json"),
            "code": self.code and self.code.to_json(),
        }


_WEIGHTED = {"soft_segments", "neighbors", "blend"}
"""Strategies whose settings are chosen on validation users."""


def _with_needs_of(config: Config, strategies: Sequence[str]) -> Config:
    """Return the configuration that trains and keeps what some strategies need, and nothing else.

    Raise ConfigError for a strategy whose options are searched: the search needs interactions.
    """
    for name in strategies:
        if find_strategy(name).learns_in_search:
            raise ConfigError(
                f"strategy: {name} has options to search, but the released data has no interactions; omit it."
            )
    config = with_methods_of(config, strategies)
    has_blend = "blend" in strategies
    needs = {need for name in strategies for need in find_strategy(name).needs}
    changes = {
        "ranker.enabled": has_blend or RANKER in needs,
        "recommend.item_weights": False,  # the data does not list the items of day one
        "plugins": {**config.plugins, "segment": {"smoothing": 0.0}},  # the paper does not smooth segments
    }
    config = config.override(changes)
    if not (has_blend or KEPT_USERS in needs):
        config = config.override("recommend.warm_users", 0)
    return config


def choose_strategies(named: Sequence[str] = (), *, with_baselines: bool = True) -> tuple[str, ...]:
    """Return the named strategies; if none are named, those of the paper's table, optionally without its baselines."""
    return tuple(named) or tuple(
        name for name in TITLES if name in strategy_names() and (with_baselines or name not in LEARNED_BASELINES)
    )


def configure(config: Config, n_train: int, n_segments: int | None, n_input_clusters: int | None) -> Config:
    """Return the settings for the paper's data.

    Numbers of clusters that are None are those of `config` or, if unset there, follow from the number of training
    users: 1,000 and 100 for the paper's data.
    """
    n_segments = n_segments or config.segments.n_segments or max(1, min(MOST_SEGMENTS, n_train // USERS_PER_SEGMENT))
    n_input_clusters = n_input_clusters or config.recommend.input_clusters
    return config.override({"segments.n_segments": n_segments, "recommend.input_clusters": n_input_clusters})


def reproduce_table(
    data: PaperData,
    config: Config,
    strategies: Sequence[str],
    *,
    like_code: Collection[str] = (),
    n_seeds: int = 1,
    progress: Progress = no_progress,
) -> Reproduction:
    """Train on the paper's training users and evaluate strategies on its test users.

    `like_code` names the `DEPARTURES` in which to follow the authors' code. Clustering and training are repeated with
    `n_seeds` seeds, starting from `config.seed`. No items are excluded from
    lists, since the data has only the mean vector of the songs streamed on day one.

    References
    ----------
    PAPER, table 1 and "Offline protocol".
    """
    config = _with_needs_of(config, strategies)
    for name in like_code:
        config = config.override(DEPARTURES[name].get("settings", {}))
    answers = {name: partial(answer_query, strategy=name) for name in strategies}
    if "no-fallback" in like_code and DAY_ONE.name in answers:
        answers[DAY_ONE.name] = partial(answer_query, strategy=recommend_without_fallback)
    notes = [SIMULATED_NOTE] if data.simulated else []
    notes += [f"Like the authors' code: {', '.join(like_code)}."] if like_code else []
    progress, seconds = _time_stages(progress)
    counts = data.test.counts()
    n_streamed = counts[:, COUNTED_BLOCKS.index(DAY_ONE_BLOCK)]
    rows, columns = np.nonzero(counts)
    used = SparseRows.from_pairs(rows, columns, None, *counts.shape)
    cold = Cohort(np.arange(len(data.test)), {("stream", "block"): used}, data.test.songs, n_streamed)
    runs = []
    for number, seed in enumerate(range(config.seed, config.seed + n_seeds)):
        progress(f"seed {seed}", number, n_seeds)
        began = perf_counter()
        model = fit_paper_model(data, config.override("seed", seed), like_code=like_code, progress=progress)
        if _WEIGHTED & set(strategies):
            folds = [Fold(ask_for(model, data.validation), data.validation.songs)]
            model, folds, _ = search_options(folds, model, progress)
            blending, _ = choose_blending(folds)
            model = model.with_learned(blend=blending)
        fit_seconds = perf_counter() - began
        query = ask_for(model, data.test)
        run = score_strategies(
            query,
            cold,
            data.test.ids,
            answers,
            progress=progress,
            seed=seed,
            fit_seconds=fit_seconds,
            notes=(*notes, *describe_absent(model)),
        )
        runs.append(average_ties(run, query, answers, cold.truth) if "averaged-ties" in like_code else run)
    progress("done", n_seeds, n_seeds)
    name = f"{NAME}, simulated" if data.simulated else NAME
    results = join_runs(runs, dataset=name, protocol=PROTOCOL, config=config)
    summary = {
        "items": len(data.items),
        "dimensions": data.item_vectors.shape[1],
        "inputs": data.train.features.shape[1],
        "n_validation": len(data.validation),
    }
    return Reproduction(results, data.space, data.simulated, summary, model.cold.history, seconds, tuple(like_code))


def _time_stages(report: Progress) -> tuple[Progress, dict[str, float]]:
    """Return a progress that forwards calls, and the time of each stage so far."""
    seconds: dict[str, float] = defaultdict(float)
    last = perf_counter()

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = perf_counter()
        if not stage.startswith(("seed ", METHOD_STAGE)) and stage != "done":
            seconds[stage] += now - last if done else 0.0
        last = now
        report(stage, done, total)

    return progress, seconds
