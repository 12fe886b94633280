"""The paper's Table 1 from its released data: the pipeline's stages after the features, and the same strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from firstday.artifact.model import TrainedModel
from firstday.cold.model import ColdModel, Epoch
from firstday.config import Config
from firstday.data.sources.deezer_kdd21 import NAME, PaperData, PaperUsers, Space
from firstday.data.sources.kdd21_columns import COUNTED_BLOCKS
from firstday.data.split import Cohort
from firstday.embed.embeddings import FoldIn
from firstday.evaluate.benchmark import Trial, judge_strategies
from firstday.evaluate.mixing import choose_mixing
from firstday.evaluate.paper_table import PEERS, TITLES, Comparison, compare_with_paper
from firstday.evaluate.results import Results
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import Encoder
from firstday.features.rows import hold_features
from firstday.features.signals import SignalBatch
from firstday.pipeline import Progress, cluster_inputs, no_progress, train_network
from firstday.ranking import unit_rows
from firstday.recommend.query import ComputedDays, Query
from firstday.recommend.recommender import STRATEGIES
from firstday.segment.kmeans import fit_segments
from firstday.segment.segments import count_items

PROTOCOL = "kdd21"
USERS_PER_SEGMENT, MOST_SEGMENTS = 70, 1000
"""Segments by default: training users / 70, which is the paper's 1,000 for its 70,000 users, and 1,000 at most."""
SIMULATED = "The figures are from simulated data, made by firstday simulate: they say nothing of the paper's users."
DAY_ONE_BLOCK = "streamed_songs"
"""The block with the mean vector of the songs streamed on day one."""


@dataclass(frozen=True)
class Reproduction:
    """The table, ours beside the paper's.

    Parameters
    ----------
    results
        Our figures.
    space
        ``svd`` or ``mf``.
    simulated
        Whether the data is invented.
    config
        The settings.
    summary
        Counts of users and items.
    history
        How training went, of the last seed.
    seconds
        Time of each stage, the sum over seeds.
    """

    results: Results
    space: Space
    simulated: bool
    config: Config
    summary: Mapping[str, int]
    history: tuple[Epoch, ...]
    seconds: Mapping[str, float]

    @property
    def n_users(self) -> int:
        """Training, validation and test users."""
        return self.results.n_warm + self.summary["n_validation"] + self.results.n_cold

    def after_reading(self, seconds: float) -> Reproduction:
        """Return the same with the time that reading took, as the first stage."""
        return replace(self, seconds={"reading": seconds, **self.seconds})

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, figures in %; `paper` is null for strategies that are not in its table."""
        values = self.results.to_json()
        compared = {one.row.strategy: one for one in compare_with_paper(self.results, self.space)}
        for row in values["results"]:
            row.update(_beside(compared[row["strategy"]]))
        head = {"dataset": values.pop("dataset"), "space": self.space, "simulated": self.simulated, **self.summary}
        seconds = {stage: round(took, 2) for stage, took in self.seconds.items()}
        return {**head, **values, "seconds": seconds, "config": self.config.model_dump(mode="json")}


def _beside(compared: Comparison) -> dict[str, Any]:
    """Return the paper's figures of a strategy and the differences to them."""
    if compared.paper is None:
        return {"title": compared.title, "paper": None, "minus_paper": None}
    paper: dict[str, float | None] = {}
    for metric, figure in compared.paper.items():
        paper[metric], paper[f"{metric}_deviation"] = figure.mean, figure.deviation
    minus = {metric: round(compared.difference(metric) or 0.0, 4) for metric in compared.paper}
    return {"title": compared.title, "paper": paper, "minus_paper": minus}


def choose_strategies(named: Sequence[str] = (), *, with_peers: bool = True) -> tuple[str, ...]:
    """Return the strategies of the paper's table, with or without the learned baselines, unless some are named."""
    return tuple(named) or tuple(name for name in TITLES if name in STRATEGIES and (with_peers or name not in PEERS))


def configure(
    config: Config, n_train: int, n_segments: int | None, n_input_clusters: int | None, *, as_published: bool
) -> Config:
    """Return the settings for the paper's data.

    Parameters
    ----------
    config
        What is not set here.
    n_train
        Training users.
    n_segments, n_input_clusters
        Numbers of clusters; None: as configured, else by the number of users, 1,000 and 100 for the paper's.
    as_published
        Train as the released code does: Adam at a flat 1e-5 for 130 epochs of batches of 512.
    """
    n_segments = n_segments or config.segments.n_segments or max(1, min(MOST_SEGMENTS, n_train // USERS_PER_SEGMENT))
    changes: dict[str, Any] = {"segments": config.segments.model_copy(update={"n_segments": n_segments})}
    if n_input_clusters is not None:
        changes["recommend"] = config.recommend.model_copy(update={"input_clusters": n_input_clusters})
    if as_published:
        flat = {"schedule": "flat", "learning_rate": 1e-5, "weight_decay": 0.0, "epochs": 130, "batch_size": 512}
        changes["cold_model"] = config.cold_model.model_copy(update={**flat, "patience": 130})
    return config.model_copy(update=changes)


def reproduce_table(
    data: PaperData,
    config: Config,
    strategies: Sequence[str],
    *,
    n_seeds: int = 1,
    progress: Progress = no_progress,
) -> Reproduction:
    """Train on the paper's training users and judge strategies on its test users.

    Parameters
    ----------
    data
        From `read_paper_data`.
    config
        From `configure`.
    strategies
        From `choose_strategies`.
    n_seeds
        How many seeds, from `config.seed` on: each clusters and trains anew.
    progress
        Called as stages advance.

    Returns
    -------
    Reproduction
        Lists leave out nothing: which songs a user streamed on day one is not in the data, only their mean vector.

    References
    ----------
    PAPER, table 1 and "Offline protocol".
    """
    clock = _Clock(progress)
    cold, idle = _as_cohort(data.test), data.test.counts().sum(axis=1) == 0
    histories: list[tuple[Epoch, ...]] = []

    def attempt(seed: int) -> Trial:
        began = perf_counter()
        model = fit_paper_model(data, config.model_copy(update={"seed": seed}), progress=clock.progress)
        if "soft_segments" in strategies:
            mixing = choose_mixing(_ask(model, data.validation), data.validation.songs)
            model = replace(model, mixing=mixing)
        histories.append(model.cold.history)
        query = _ask(model, data.test)
        seconds = perf_counter() - began
        return Trial(query, cold, idle, len(data.train), seconds, (*_warnings(data), *data.notes))

    results = judge_strategies(
        f"{NAME}, simulated" if data.simulated else NAME,
        attempt,
        strategies,
        seeds=range(config.seed, config.seed + n_seeds),
        protocol=PROTOCOL,
        progress=clock.progress,
    )
    summary = {
        "items": len(data.items),
        "dimensions": data.item_vectors.shape[1],
        "inputs": data.train.features.shape[1],
        "n_validation": len(data.validation),
    }
    return Reproduction(results, data.space, data.simulated, config, summary, histories[-1], clock.seconds)


def _warnings(data: PaperData) -> tuple[str, ...]:
    """Say that data is simulated, where it is."""
    return (SIMULATED,) if data.simulated else ()


def fit_paper_model(data: PaperData, config: Config, *, progress: Progress = no_progress) -> TrainedModel:
    """Run the stages after the features on the paper's training users.

    Returns
    -------
    TrainedModel
        It answers queries with computed day ones. Its encoder holds the items' vectors and no statistics, so that it
        cannot make features of signals.
    """
    uses = data.train.songs
    progress("segments", 0, 1)
    users = unit_rows(data.user_vectors)
    segments = fit_segments(users, uses, config.segments.resolve(len(users)), config.segments, seed=config.seed)
    progress("segments", 1, 1)
    features = hold_features([data.train.features])
    progress("input clusters", 0, 1)
    input_clusters = cluster_inputs(features, uses, config)
    progress("input clusters", 1, 1)
    model = TrainedModel(
        config=config,
        catalogue=Catalogue(data.items, {}, {}, has_ages=False, signals=config.signals.known),
        encoder=_hold_vectors(data, config),
        similarity=choose_similarity(data, config),
        cold=ColdModel(b""),
        segments=segments,
        input_clusters=input_clusters,
        everyone=count_items(np.zeros(len(users), dtype=np.int64), uses, 1),
        profile_groups={},
    )
    validation = _ask(model, data.validation)
    cold = train_network(features, users, validation, data.validation.songs, progress=progress)
    return replace(model, cold=cold)


def choose_similarity(data: PaperData, config: Config) -> Any:
    """Return how a vector scores items: as set, or by cosine in the SVD's space and by dot product in that of ALS."""
    if config.embedding.similarity != "auto":
        return config.embedding.similarity
    return "cosine" if data.space == "svd" else "dot"


def _hold_vectors(data: PaperData, config: Config) -> Encoder:
    """Return an encoder that holds the items' vectors and makes no features."""
    fold_in = FoldIn(data.item_vectors, "mean")
    bare = config.features.model_copy(update={"fold_in": False})
    return Encoder((), {}, {}, None, 0.0, 1.0, fold_in, bare, config.signals)


def _ask(model: TrainedModel, users: PaperUsers) -> Query:
    """Ask for lists for users of the paper's data."""
    days = ComputedDays(users.features, users.block(DAY_ONE_BLOCK))
    return Query(
        model, SignalBatch(len(users), model.n_items), min(model.config.recommend.k, model.n_items), computed=days
    )


def _as_cohort(users: PaperUsers) -> Cohort:
    """Return the users to judge; the size of day one is the number of songs streamed."""
    return Cohort(np.arange(len(users)), {}, users.songs, users.counts()[:, COUNTED_BLOCKS.index(DAY_ONE_BLOCK)])


class _Clock:
    """Adds up the time of each stage while passing progress on."""

    def __init__(self, told: Progress) -> None:
        self.told = told
        self.seconds: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def progress(self, stage: str, done: int, total: int) -> None:
        """Note when a stage begins and what it took so far."""
        now = perf_counter()
        if not stage.startswith("seed ") and stage != "done":
            self.seconds[stage] = self.seconds.get(stage, 0.0) + (now - self._began[stage] if done else 0.0)
            self._began[stage] = now
        self.told(stage, done, total)
