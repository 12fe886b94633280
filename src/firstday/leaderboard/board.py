"""Leaderboard: all methods on the same cold users of the same datasets; existing results are not recomputed."""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata, resources
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

import firstday
from firstday.config import Config, suit_config
from firstday.data.dataset import Dataset
from firstday.data.load import BUILT_IN, LOCAL_FILES, load
from firstday.data.sources import movielens
from firstday.data.splits.holdout import find_cut_offs, hold_out, protocol_of
from firstday.errors import ConfigError
from firstday.evaluation.report.render import fill_template
from firstday.evaluation.results import UNKNOWN_VECTORS, Results, mean_fit_seconds
from firstday.evaluation.run import evaluate
from firstday.evaluation.slices import REFERENCE
from firstday.evaluation.text_table import Table, write_cell, write_signed
from firstday.files import write_file
from firstday.progress import Progress, no_progress
from firstday.recommend.registry import (
    check_evaluable,
    find_learner,
    find_strategy,
    is_plugin,
    optional_names,
    searched_names,
    strategies_with,
    strategy_names,
    with_methods,
)
from firstday.recommend.spec import BUILT_IN_METHODS, PAPER_SEGMENT, Method
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import simulate
from firstday.training.learn import METHOD_STAGE


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Results of one method on one dataset, in %; see `firstday.evaluation.results.Figure`.

    `source` is the shortened checksum of a plug-in's file, so that a changed method is evaluated again.
    `minus_segment` is the difference from the precision of `segment` in the same run, paired by user. `fit_seconds` is
    the time to fit with these `options`, which are recorded or chosen on the first seed's validation users.
    """

    strategy: str
    kind: Literal["firstday", "baseline", "plug-in"]
    about: str
    source: str = ""
    precision: float
    precision_ci: tuple[float, float]
    minus_segment: float = 0.0
    minus_segment_ci: tuple[float, ...] = ()
    recall: float
    ndcg: float
    by_day_one_size: dict[str, float | None]
    user_coverage: float
    catalogue_coverage: float
    novelty_bits: float
    fit_seconds: float
    ms_per_user: float
    options: dict[str, Any] | None = None
    options_from: Literal["record", "first seed"] | None = None


@dataclass(frozen=True, kw_only=True)
class LeaderboardRun:
    """A run of the command on one dataset, with the results of `segment` as the reference.

    `versions` are those of firstday, Python, NumPy and PyTorch, and the checksum of the settings. `origin` is the file
    from which the run was added, "" for a run of this leaderboard.
    """

    versions: dict[str, str]
    machine: str
    precision: float
    fit_seconds: float
    ms_per_user: float
    origin: str = ""
    rows: tuple[Standing, ...]


@dataclass(frozen=True, kw_only=True)
class Standings:
    """Results of methods on one dataset; each method is in one of the runs.

    `split` is the SHA-256 of warm users, cold users, day ones and truth, over all seeds; `n_warm` and `n_cold` are
    numbers of users of one seed.
    """

    split: str
    seeds: tuple[int, ...]
    k: int
    protocol: str
    n_users: int
    n_items: int
    n_warm: int = 0
    n_cold: int = 0
    precomputed: bool = False
    runs: tuple[LeaderboardRun, ...] = ()

    @property
    def best_first(self) -> list[tuple[int, Standing]]:
        """Rows by descending precision, each with the number of its run, from 1."""
        rows = [(number, row) for number, run in enumerate(self.runs, 1) for row in run.rows]
        return sorted(rows, key=lambda row: -row[1].precision)

    def add_run(self, run: LeaderboardRun) -> Standings:
        """Add a run; remove its methods from the other runs, and drop runs without methods."""
        names = {row.strategy for row in run.rows}
        others = [replace(other, rows=tuple(r for r in other.rows if r.strategy not in names)) for other in self.runs]
        return replace(self, runs=(*(other for other in others if other.rows), run))


Leaderboard = dict[str, Standings]
"""Standings by the name of the dataset."""
RESOURCES = resources.files("firstday.leaderboard")
LEADERBOARD_FILE = TypeAdapter(Leaderboard)
"""Type of a leaderboard file."""


def read_leaderboard(path: Path) -> Leaderboard:
    """Read a leaderboard file; raise ConfigError if it is not one."""
    try:
        return LEADERBOARD_FILE.validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        location = ".".join(map(str, fault["loc"])) or "the file"
        raise ConfigError(
            f"{path}: is not a leaderboard ({location}: {fault['msg']}); give a file written by firstday leaderboard "
            "--json."
        ) from None


def to_json(board: Leaderboard) -> str:
    """Return the content of a leaderboard file."""
    return LEADERBOARD_FILE.dump_json(board, indent=1).decode() + "\n"


def read_published(*names: str) -> Leaderboard:
    """Return the published standings that are part of firstday, of all or of the named datasets."""
    board = LEADERBOARD_FILE.validate_json((RESOURCES / "published.json").read_bytes())
    return {name: standings for name, standings in board.items() if name in names or not names}


def check_split(name: str, standings: Standings, other: Standings, origin: str) -> None:
    """Raise ConfigError unless both standings are results on the same users."""
    if other.split != standings.split:
        raise ConfigError(
            f"{origin}: {name}: the users differ (split {other.split[:12]} with {len(other.seeds)} seeds, in the "
            f"leaderboard {standings.split[:12]} with {len(standings.seeds)}); use the same data and "
            f"--seeds {len(standings.seeds)}, or another file."
        )


def add_leaderboard(board: Leaderboard, other: Leaderboard, origin: str) -> tuple[Leaderboard, list[str]]:
    """Return a leaderboard with the datasets and methods that only another one has, and notes on them.

    `origin` is recorded with the added runs. Raise ConfigError if a dataset has different users in the two.
    """
    notes = []
    for name, standings in other.items():
        ours = board.get(name) or replace(standings, runs=())
        check_split(name, ours, standings, origin)
        present = {row.strategy for _, row in ours.best_first}
        for run in standings.runs:
            rows = tuple(row for row in run.rows if row.strategy not in present)
            if rows:
                ours = ours.add_run(replace(run, rows=rows, origin=run.origin or origin))
                notes.append(
                    f"{name}: {len(rows)} method(s) added from {origin}; segment has {run.precision:.2f} % there and "
                    f"{ours.runs[0].precision:.2f} % in the first run here."
                )
        board = {**board, name: ours}
    return board, notes or [f"{origin}: contains no additional methods; nothing was added."]


SIMULATED = "simulated"
SIMULATED_SERVICE = SimulationSettings(n_users=10_000, n_items=4_000, days=60)
"""Settings of the simulated service."""


def find_sets(names: Sequence[str], data: Sequence[Path]) -> dict[str, Path | None]:
    """Return the datasets to evaluate, each with the folder in `data` that has its local copy, or None without one.

    `names` are built-in names, `SIMULATED`, or folders of tables. If empty: MovieLens 100K, the simulated service, and
    every built-in dataset found in `data`.
    """
    copies = {name: folder for folder in data for name, file in LOCAL_FILES.items() if (folder / file).exists()}
    names = names or (movielens.NAME, SIMULATED, *copies)
    for name in names:
        if name in LOCAL_FILES and name not in copies:
            raise ConfigError(
                f"{name}: is not downloaded by firstday; give the folder that contains {LOCAL_FILES[name]} with --data."
            )
        if name not in (*BUILT_IN, SIMULATED) and not Path(name).is_dir():
            available_names = ", ".join((*BUILT_IN, SIMULATED))
            raise ConfigError(f"{name}: is not a dataset; choose one of {available_names}, or give a folder of tables.")
    return {name: copies.get(name) for name in names}


def open_set(name: str, copy: Path | None, *, drop_bad_rows: float = 0.0) -> tuple[Dataset, Config]:
    """Load a dataset and its settings: the preset of a built-in name, else the defaults."""
    if name == SIMULATED:
        with tempfile.TemporaryDirectory() as folder:
            simulate(SIMULATED_SERVICE, Path(folder) / SIMULATED)
            return load(Path(folder) / SIMULATED), Config()
    config = suit_config(name)
    return load(name, path=copy, config=config, drop_bad_rows=drop_bad_rows), config


def choose_methods(config: Config, named: Sequence[str] = (), without: Sequence[str] = ()) -> list[str]:
    """Return the methods to evaluate, `segment` first: those named, or all, except those in `without`."""
    check_evaluable((*named, *without))
    every = (*strategies_with(with_methods(config, optional_names())), PAPER_SEGMENT)
    return list(dict.fromkeys([REFERENCE, *(name for name in named or every if name not in without)]))


def evaluate_methods(
    standings: Standings | None,
    dataset: Dataset,
    config: Config,
    methods: Sequence[str],
    *,
    n_seeds: int,
    progress: Progress = no_progress,
) -> Standings:
    """Evaluate `segment` and the methods whose results are missing or come from other versions.

    Raise ConfigError if the standings are results on other users.
    """
    seeds = tuple(range(config.seed, config.seed + n_seeds))
    fresh = Standings(
        split=checksum_split(dataset, config, seeds),
        seeds=seeds,
        k=config.recommend.k,
        protocol=protocol_of(dataset, config),
        n_users=len(dataset.users),
        n_items=len(dataset.items),
        precomputed=dataset.precomputed is not None,
    )
    standings = standings or fresh
    check_split(dataset.name, standings, fresh, "leaderboard")
    versions = {"firstday": firstday.__version__, "python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in ("numpy", "torch")}
    versions["settings"] = _shorten(config.model_dump_json().encode())
    current = [row for run in standings.runs if run.versions == versions for row in run.rows]
    present = {row.strategy for row in current if row.source == find_source(row.strategy)}
    missing = [method for method in methods if method not in present]
    if not missing:
        return standings
    record = tomllib.loads((RESOURCES / "options.toml").read_text(encoding="utf-8")).get(dataset.name, {})
    seconds_of: dict[str | None, float] = defaultdict(float)

    def watch(stage: str, done: int, total: int) -> None:
        if stage.startswith(METHOD_STAGE):  # each method reports its start and its end
            seconds_of[stage.removeprefix(METHOD_STAGE)] += (perf_counter() if done else -perf_counter()) / n_seeds
        progress(stage, done, total)

    results = evaluate(
        dataset,
        config.override("plugins", {**config.plugins, **record}),
        strategies=list(dict.fromkeys([REFERENCE, *missing])),
        tune_once=True,
        n_seeds=n_seeds,
        progress=watch,
    )
    seconds_of[None] = results.fit_seconds - sum(seconds_of.values())
    run = LeaderboardRun(
        versions=versions,
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        precision=round(results.get(REFERENCE, "precision").mean, 4),
        fit_seconds=round(seconds_of[None], 3),
        ms_per_user=round(results.get(REFERENCE, "ms_per_user").mean, 6),
        rows=tuple(
            _make_row(values, results, seconds_of, record)
            for values in results.to_json()["results"]
            if values["strategy"] in missing
        ),
    )
    return replace(standings, n_warm=results.n_warm, n_cold=results.n_cold).add_run(run)


def checksum_split(dataset: Dataset, config: Config, seeds: Sequence[int]) -> str:
    """Return the SHA-256, over all seeds, of the users, the input about cold users, and their relevant items."""
    digest = hashlib.sha256(f"{protocol_of(dataset, config)} {config.recommend.k}".encode())
    for ids in (dataset.users, dataset.items):
        digest.update("\n".join(map(str, ids.values.to_list())).encode())
    cut_offs = find_cut_offs(dataset, config)
    for seed in seeds:
        for holdout in hold_out(dataset, config, seed, cut_offs):
            split = holdout.split
            cold = holdout.cold
            rows = [cold.truth, split.validation.truth, *(cold.day_one[pair] for pair in sorted(cold.day_one))]
            arrays = [array for matrix in rows for array in (matrix.starts, matrix.columns)]
            for numbers in (split.warm, split.validation.users, cold.users, *arrays):
                digest.update(numbers.astype("<i8").tobytes())
    return digest.hexdigest()


def find_source(name: str) -> str:
    """Return the shortened checksum of a plug-in's source file; "" for built-in methods."""
    spec = _find_spec(name)
    if spec is None or not is_plugin(name):
        return ""
    for value in map(inspect.unwrap, vars(spec).values()):
        if inspect.isfunction(value) and not value.__module__.startswith("firstday."):
            return _shorten(Path(inspect.getfile(value)).read_bytes())
    return ""


def _find_spec(name: str) -> Method | None:
    """Return the spec of a strategy, or of the method whose learned value it needs; None if neither exists."""
    if name not in strategy_names():  # the paper's system, or a method that is not installed here
        return None
    strategy = find_strategy(name)
    return find_learner(strategy.learned_by) if strategy.learned_by is not None else strategy


def _make_row(
    values: Mapping[str, Any], results: Results, seconds_of: Mapping[str | None, float], record: Mapping[str, Any]
) -> Standing:
    """Convert the results of one method to a row; `seconds_of` is the time to fit each method, and the model (None)."""
    name = values["strategy"]
    tunings = results.tunings.get(name, ())
    spec = _find_spec(name)
    is_tuned = name in searched_names()
    if tunings:
        seconds = mean_fit_seconds(tunings)
    else:
        seconds = sum(seconds_of.get(part, 0.0) for part in {None, find_strategy(name).required_method})
    is_ours = name in BUILT_IN_METHODS and not is_tuned
    return TypeAdapter(Standing).validate_python(
        {
            **values,
            "kind": "plug-in" if is_plugin(name) else "firstday" if is_ours else "baseline",
            "about": "the paper's system as published" if spec is None else spec.describe,
            "source": find_source(name),
            "fit_seconds": round(seconds, 3),
            "options": tunings[0].options if is_tuned else None,
            "options_from": ("record" if name in record else "first seed") if is_tuned else None,
        }
    )


def _shorten(content: bytes) -> str:
    """Return the shortened SHA-256 of some content."""
    return hashlib.sha256(content).hexdigest()[:12]


def tabulate_standings(name: str, standings: Standings) -> Table:
    """Tabulate the methods on a dataset, best first; times are multiples of those of `segment` in the same run."""
    k = standings.k
    rows = []
    one_digit = "{:.1f}".format
    for number, row in standings.best_first:
        run = standings.runs[number - 1]
        figures = {
            "fit": row.fit_seconds / run.fit_seconds,
            "answer": row.ms_per_user / run.ms_per_user,
            f"R@{k}": row.recall,
            f"NDCG@{k}": row.ndcg,
            **{f"P: {size} used": mean for size, mean in row.by_day_one_size.items() if mean is not None},
            "own list, %": row.user_coverage,
            "items, %": row.catalogue_coverage,
            "novelty, bits": row.novelty_bits,
        }
        rows.append(
            {
                "method": row.strategy,
                f"P@{k}": write_cell(one_digit, row.precision, *row.precision_ci),
                f"P@{k} minus {REFERENCE}": write_cell(write_signed, row.minus_segment, *row.minus_segment_ci),
                **{heading: f"{figure:.2f}" for heading, figure in figures.items()},
                "run": str(number),
                "kind": row.kind,
            }
        )
    title = f"{name}: cold users, lists of {k}, in %; times as multiples of those of {REFERENCE}"
    return Table(title, rows, REFERENCE, ("kind",))


def write_leaderboard(board: Leaderboard, path: Path) -> None:
    """Write the leaderboard as one self-contained HTML page with sortable columns."""
    content = {
        "sets": board,
        "tables": {name: tabulate_standings(name, standings) for name, standings in board.items()},
        "reference": REFERENCE,
        "unknown_vectors": UNKNOWN_VECTORS,
    }
    write_file(path, fill_template("leaderboard.html", content, {}, package="firstday.leaderboard"))
