"""Judging what a leaderboard lacks: the methods that are not in it yet, on the users of its split."""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import firstday
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import find_cut_offs, hold_out, protocol_of
from firstday.errors import ConfigError
from firstday.evaluation.results import Results, mean_fit_seconds
from firstday.evaluation.run import evaluate
from firstday.evaluation.slices import REFERENCE
from firstday.leaderboard.standings import Row, Run, Standings, check_split
from firstday.progress import Progress, no_progress
from firstday.recommend.registry import (
    baseline_names,
    check_judged,
    cold_model_names,
    find_learner,
    find_strategy,
    is_learner,
    strategies_with,
    strategy_names,
    with_methods,
)
from firstday.recommend.spec import BUILT_IN, PAPER_SEGMENT, Method
from firstday.training.networks import METHOD
from firstday.training.option_search import with_options


def choose_methods(config: Config, named: Sequence[str] = (), without: Sequence[str] = ()) -> list[str]:
    """Return the methods to judge, `segment` first.

    Parameters
    ----------
    config
        Of the set.
    named
        These alone; all strategies and cold models if empty.
    without
        Not these.

    Raises
    ------
    ConfigError
        There is no method of such a name.
    """
    check_judged((*named, *without))
    learners = (*cold_model_names(), *filter(is_learner, strategy_names()))
    every = (*strategies_with(with_methods(config, learners)), PAPER_SEGMENT)
    return list(dict.fromkeys([REFERENCE, *(name for name in named or every if name not in without)]))


def judge_methods(
    standings: Standings | None,
    dataset: Dataset,
    config: Config,
    methods: Sequence[str],
    *,
    name: str,
    n_seeds: int,
    progress: Progress = no_progress,
) -> Standings:
    """Judge those methods that the standings do not have by these versions; `segment` is judged with them.

    Parameters
    ----------
    standings
        What is there already; None for nothing.
    dataset, config, methods, name
        The set, its settings, what to judge, and its name, for options on record and for messages.
    n_seeds
        How many seeds.
    progress
        Called as work advances.

    Raises
    ------
    ConfigError
        The standings are of other users.
    """
    seeds = tuple(range(config.seed, config.seed + n_seeds))
    split = checksum_split(dataset, config, seeds)
    if standings is not None:
        check_split(name, standings, split, seeds, "leaderboard")
    versions = {**_versions(), "settings": _shorten(config.model_dump_json().encode())}
    present = set() if standings is None else {
        row.strategy
        for row in standings.rows
        if standings.runs[row.run].versions == versions and row.source == find_source(row.strategy)
    }  # fmt: skip
    missing_names = [method for method in methods if method not in present]
    if standings is not None and not missing_names:
        return standings
    record = _options_on_record().get(name, {})
    earlier = () if standings is None else standings.rows
    chosen = {row.strategy: row.options for row in earlier if row.options and row.source == find_source(row.strategy)}
    clock = _MethodClock(progress)
    results = evaluate(
        dataset,
        with_options(config, {**chosen, **record}),
        strategies=list(dict.fromkeys([REFERENCE, *missing_names])),
        tune_once=True,
        n_seeds=n_seeds,
        progress=clock.progress,
    )
    taken = {method: seconds / n_seeds for method, seconds in clock.seconds.items()}
    model_seconds = results.fit_seconds - sum(taken.values())
    segment = results.get(REFERENCE, "ms_per_user").mean
    precision = results.get(REFERENCE, "precision").mean
    run = Run(
        versions=versions,
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        precision=round(precision, 4),
        fit_seconds=round(model_seconds, 3),
        ms_per_user=round(segment, 6),
    )
    rows = [
        _make_row(values, results, model_seconds, taken, record)
        for values in results.to_json()["results"]
        if values["strategy"] in missing_names
    ]
    if standings is None:
        standings = Standings(
            split=split,
            seeds=seeds,
            k=results.k,
            protocol=results.protocol,
            n_users=len(dataset.users),
            n_items=len(dataset.items),
            n_warm=results.n_warm,
            n_cold=results.n_cold,
            precomputed=results.precomputed,
            runs=(),
            rows=(),
        )
    return standings.with_rows(run, rows)


def checksum_split(dataset: Dataset, config: Config, seeds: Sequence[int]) -> str:
    """Return the SHA-256 of the users of all seeds, what was known of the cold ones, and what their lists have to find.

    Parameters
    ----------
    dataset, config, seeds
        See `judge_methods`; of the configuration, the protocol and the length of lists.
    """
    digest = hashlib.sha256(f"{protocol_of(dataset, config)} {config.recommend.k}".encode())
    for ids in (dataset.users, dataset.items):
        digest.update("\n".join(map(str, ids.values.to_list())).encode())
    cut_offs = find_cut_offs(dataset, config)
    for seed in seeds:
        for holdout in hold_out(dataset, config, seed, cut_offs):
            split, cold = holdout.split, holdout.cold
            rows = [cold.truth, split.validation.truth, *(cold.day_one[pair] for pair in sorted(cold.day_one))]
            arrays = [split.warm, split.validation.users, cold.users]
            for numbers in (*arrays, *(array for of in rows for array in (of.starts, of.columns))):
                digest.update(np.ascontiguousarray(numbers, dtype="<i8").tobytes())
    return digest.hexdigest()


def find_source(name: str) -> str:
    """Return the first figures of the checksum of the file that a method from outside stands in; "" for ours."""
    spec = _spec_of(name)
    if spec is None or spec.is_ours:
        return ""
    for value in vars(spec).values():
        if inspect.isfunction(value) and not value.__module__.startswith("firstday."):
            file = inspect.getsourcefile(value)
            return "" if file is None else _shorten(Path(file).read_bytes())
    return ""


def _spec_of(name: str) -> Method | None:
    """Return what a name stands for: a strategy, or the cold model that gives it; None for neither."""
    if name == PAPER_SEGMENT:
        return None
    try:
        strategy = find_strategy(name)
    except ConfigError:  # of a row that somebody else added
        return None
    return find_learner(strategy.method) if strategy.method is not None else strategy


def _make_row(
    values: Mapping[str, Any],
    results: Results,
    model_seconds: float,
    taken: Mapping[str, float],
    record: Mapping[str, Any],
) -> Row:
    """Make the row of one method of what an evaluation says of it."""
    name = values["strategy"]
    tunings, spec = results.tunings.get(name), _spec_of(name)
    learned_by = None if tunings else find_strategy(name).learns_by
    seconds = mean_fit_seconds(tunings) if tunings else model_seconds + taken.get(learned_by or "", 0.0)
    is_tuned = name in baseline_names() and tunings is not None
    is_built_in = spec is None or any(spec.name in methods for methods in BUILT_IN.values())
    is_ours = spec is not None and spec.name in BUILT_IN["strategies"] and not is_tuned
    return Row.model_validate(
        {
            **values,
            "kind": "firstday" if is_ours else "baseline" if is_built_in else "plug-in",
            "about": "the paper's system as published" if spec is None else spec.describe,
            "run": 0,
            "source": find_source(name),
            "fit_seconds": round(seconds, 3),
            "options": dict(tunings[0].options) if is_tuned and tunings else None,
            "options_from": ("record" if name in record else "first seed") if is_tuned else None,
        }
    )


class _MethodClock:
    """Adds up how long each method takes to learn, while passing progress on."""

    def __init__(self, progress: Progress) -> None:
        self._report, self._began = progress, 0.0
        self.seconds: dict[str, float] = {}

    def progress(self, stage: str, done: int, total: int) -> None:
        """Note when a method begins and ends."""
        if stage.startswith(METHOD):
            name = stage.removeprefix(METHOD)
            if done == 0:
                self._began = perf_counter()
            else:
                self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - self._began
        self._report(stage, done, total)


@cache
def _options_on_record() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the options of baselines that are on record, by set and baseline."""
    text = (resources.files("firstday.leaderboard") / "options.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _versions() -> dict[str, str]:
    """Return the versions of what figures depend on."""
    return {
        "firstday": firstday.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "torch")},
    }


def _shorten(content: bytes) -> str:
    """Return the first figures of a checksum."""
    return hashlib.sha256(content).hexdigest()[:12]
