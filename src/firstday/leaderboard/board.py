"""Leaderboard: every method on the same cold users of the same datasets; existing results are not recomputed."""

from __future__ import annotations

import base64
import hashlib
import inspect
import os
import platform
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import firstday
from firstday.config import Config, suit_config
from firstday.data.dataset import Dataset
from firstday.data.load import BUILT_IN, COPIES, FETCHED, load
from firstday.data.sources import deezer_europe, movietweetings, online_retail
from firstday.data.splits.holdout import find_cut_offs, hold_out, protocol_of
from firstday.errors import ConfigError
from firstday.evaluation.comparison_tables import Table, write_signed
from firstday.evaluation.report.render import fill_template
from firstday.evaluation.results import UNKNOWN_VECTORS, Results, mean_fit_seconds
from firstday.evaluation.run import evaluate
from firstday.evaluation.slices import REFERENCE
from firstday.files import write_file
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
from firstday.recommend.spec import BUILT_IN as OURS
from firstday.recommend.spec import PAPER_SEGMENT, Method
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import simulate
from firstday.training.networks import METHOD
from firstday.training.option_search import with_options

Ends = tuple[float, float]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Run(_Value):
    """One run of the command on one set, and what `segment` did in it, which every ratio and difference refers to.

    Parameters
    ----------
    versions
        Of firstday, Python, NumPy and PyTorch, and the checksum of the settings.
    machine
        Processor and cores: times are of this machine.
    precision, fit_seconds, ms_per_user
        Of `segment`; both times are above 0, and the second is None where it was not measured well.
    origin
        The file that it was added from; "" for a run of one's own.
    """

    versions: dict[str, str]
    machine: str
    precision: float
    fit_seconds: float = Field(gt=0)
    ms_per_user: float | None = Field(default=None, gt=0)
    origin: str = ""


class Row(_Value):
    """What one method reached on one set, in % unless said otherwise.

    Parameters
    ----------
    strategy, kind, about
        Name, whose method it is, and what it does.
    run
        Which of the set's runs it comes from.
    source
        The first figures of the checksum of the file that has a method from outside, so that a changed method is run
        again.
    precision, recall, ndcg, user_coverage, catalogue_coverage, novelty_bits, by_day_one_size, precision_by_seed
        See `firstday.evaluation.results.Figure`.
    minus_segment
        Difference of precision to `segment` in the same run, user by user; None for itself.
    fit_seconds, ms_per_user
        Time to fit with the options as they are, and to answer; None where that was not measured well.
    options, options_from
        Of a baseline, and where they come from: on record, or chosen on the validation users of the first seed.
    """

    strategy: str
    kind: Literal["firstday", "baseline", "plug-in"]
    about: str
    run: int
    source: str = ""
    precision: float
    precision_ci: Ends
    minus_segment: float | None = None
    minus_segment_ci: Ends | None = None
    recall: float
    ndcg: float
    by_day_one_size: dict[str, float | None]
    precision_by_seed: list[float]
    user_coverage: float
    catalogue_coverage: float
    novelty_bits: float
    fit_seconds: float
    ms_per_user: float | None = None
    options: dict[str, Any] | None = None
    options_from: Literal["record", "first seed"] | None = None


class Standings(_Value):
    """The methods on one set.

    Parameters
    ----------
    split
        SHA-256 of who is warm, who is cold, what was known of them and what they used afterwards, of all seeds.
    seeds, k, protocol, n_users, n_items, n_warm, n_cold
        How it was judged; warm and cold users of one seed.
    precomputed
        Whether vectors are precomputed, so that the data they were trained on is unknown.
    runs, rows
        What was run, and one row for each method.
    """

    split: str
    seeds: tuple[int, ...]
    k: int
    protocol: str
    n_users: int
    n_items: int
    n_warm: int
    n_cold: int
    precomputed: bool = False
    runs: tuple[Run, ...]
    rows: tuple[Row, ...]

    @model_validator(mode="after")
    def _check_runs(self) -> Standings:
        if any(not 0 <= row.run < len(self.runs) for row in self.rows):
            raise ValueError("a row names a run that is not there")
        return self

    @property
    def best_first(self) -> tuple[Row, ...]:
        """The rows, best precision first."""
        return tuple(sorted(self.rows, key=lambda row: -row.precision))

    @property
    def sizes(self) -> tuple[str, ...]:
        """Day-one size classes that contain users."""
        return tuple(size for size, mean in self.rows[0].by_day_one_size.items() if mean is not None)

    def compare_times(self, row: Row) -> tuple[float, float | None]:
        """Return fit and answer time relative to `segment` in the same run."""
        run = self.runs[row.run]
        answer = None if row.ms_per_user is None or run.ms_per_user is None else row.ms_per_user / run.ms_per_user
        return row.fit_seconds / run.fit_seconds, answer

    def with_rows(self, run: Run, rows: Iterable[Row]) -> Standings:
        """Return the standings with the rows of a run merged in, by method; runs without rows are dropped."""
        added = {row.strategy: row.model_copy(update={"run": len(self.runs)}) for row in rows}
        kept = [row for row in self.rows if row.strategy not in added]
        runs, every = (*self.runs, run), (*kept, *added.values())
        used = sorted({row.run for row in every})
        numbers = {old: new for new, old in enumerate(used)}
        renumbered = (row.model_copy(update={"run": numbers[row.run]}) for row in every)
        return self.model_copy(update={"runs": tuple(runs[old] for old in used), "rows": tuple(renumbered)})


class Leaderboard(_Value):
    """Standings by the name of the set."""

    sets: dict[str, Standings] = {}


def read_leaderboard(path: Path) -> Leaderboard:
    """Read a leaderboard file.

    Raises
    ------
    ConfigError
        The file cannot be read, or is not a leaderboard.
    """
    try:
        board = Leaderboard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a file that leaderboard wrote.") from None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise ConfigError(
            f"{path}: is no leaderboard ({place}: {fault['msg'][:1].lower()}{fault['msg'][1:]}); give a file that "
            "firstday leaderboard --json wrote."
        ) from None
    if not board.sets:
        raise ConfigError(f"{path}: is no leaderboard (it has no sets); give a file that leaderboard wrote.")
    return board


def read_published(*names: str) -> Leaderboard:
    """Return the published standings shipped with firstday, optionally of some datasets only."""
    content = (resources.files("firstday.leaderboard") / "published.json").read_bytes()
    sets = Leaderboard.model_validate_json(content).sets
    return Leaderboard(sets={name: standings for name, standings in sets.items() if name in names or not names})


def write_multiple(multiple: float | None) -> str:
    """Format a time ratio with two significant digits; a dash for None."""
    if multiple is None:
        return "\N{EN DASH}"
    return "<0.01" if multiple < 0.01 else f"{float(f'{multiple:.2g}'):g}"


def check_split(name: str, ours: Standings, split: str, seeds: tuple[int, ...], where: str) -> None:
    """Raise unless the standings were judged on the same users.

    Raises
    ------
    ConfigError
        The checksums of the splits differ.
    """
    if split != ours.split:
        raise ConfigError(
            f"{where}: {name}: the users are others (split {split[:12]} of {len(seeds)} seeds, in the "
            f"leaderboard {ours.split[:12]} of {len(ours.seeds)}); take the same data, --seeds "
            f"{len(ours.seeds)} and -k {ours.k}, or write another file."
        )


def add_leaderboard(board: Leaderboard, theirs: Leaderboard, origin: str) -> tuple[Leaderboard, tuple[str, ...]]:
    """Merge another leaderboard: datasets that ours lacks, and methods that ours lacks on datasets with the same users.

    Return the merged leaderboard, and notes on what was added and how much `segment` differs between the two. Of a
    method in both, our row is kept. `origin` is recorded with the added runs.

    Raises
    ------
    ConfigError
        A dataset in both was judged on other users.
    """
    notes = []
    for name, standings in theirs.sets.items():
        ours = board.sets.get(name) or standings.model_copy(update={"runs": (), "rows": ()})
        check_split(name, ours, standings.split, standings.seeds, origin)
        present = {row.strategy for row in ours.rows}
        for number, run in enumerate(standings.runs):
            rows = [row for row in standings.rows if row.run == number and row.strategy not in present]
            if not rows:
                continue
            ours = ours.with_rows(run.model_copy(update={"origin": run.origin or origin}), rows)
            notes.append(
                f"{name}: {', '.join(row.strategy for row in rows)} added of {origin}; there segment has "
                f"{run.precision:.2f} %, in the first run here {ours.runs[0].precision:.2f} %."
            )
        board = Leaderboard(sets={**board.sets, name: ours})
    return board, tuple(notes) or (f"{origin}: has no method that the leaderboard lacks; nothing was added.",)


SIMULATED = "simulated"
SERVICE = SimulationSettings(n_users=10_000, n_items=4_000, days=60)
"""Settings of the simulated service, the same for everyone."""
MARKS = {
    deezer_europe.NAME: (f"{deezer_europe.FOLDER}.zip", deezer_europe.FEATURES, deezer_europe.FOLDER),
    online_retail.NAME: (online_retail.FILE,),
    movietweetings.NAME: (f"{movietweetings.FOLDER}.zip", movietweetings.RATINGS, movietweetings.FOLDER),
}
"""Files and folders that identify a local copy of a built-in dataset."""


def find_sets(names: Sequence[str], data: Sequence[Path]) -> dict[str, Path | None]:
    """Return the datasets to run, with the path of their local copy; None if they need none.

    Parameters
    ----------
    names
        Built-in names, `SIMULATED`, or folders of tables. If empty: MovieLens 100K, the simulated service, and every
        built-in dataset found in `data`.
    data
        Folders with local copies.

    Raises
    ------
    ConfigError
        A named dataset was not found.
    """
    for folder in data:
        if not folder.exists():
            raise ConfigError(f"--data: {folder} does not exist; give a folder with local copies.")
    copies = {
        name: folder
        for name, marks in MARKS.items()
        for folder in reversed(data)
        if any((folder / mark).exists() for mark in marks)
    }
    names = names or (*FETCHED[:1], SIMULATED, *copies)
    for name in names:
        if name in MARKS and name not in copies:
            raise ConfigError(
                f"{name}: is not fetched by firstday; give the folder that holds {COPIES[name]} as --data."
            )
        if name not in (*BUILT_IN, SIMULATED) and not Path(name).is_dir():
            raise ConfigError(
                f"{name}: is no set; choose of {', '.join(BUILT_IN)} and {SIMULATED}, or give a folder of tables."
            )
    return {name: copies.get(name) for name in names}


def open_set(name: str, copy: Path | None, *, drop_bad_rows: float = 0.0) -> tuple[Dataset, Config]:
    """Load a dataset and its settings: the preset of a built-in name, else the defaults."""
    if name == SIMULATED:
        with tempfile.TemporaryDirectory() as folder:
            simulate(SERVICE, Path(folder) / SIMULATED)
            return load(Path(folder) / SIMULATED), Config()
    config = suit_config(name)
    return load(name, path=copy, config=config, drop_bad_rows=drop_bad_rows), config


def choose_methods(config: Config, named: Sequence[str] = (), without: Sequence[str] = ()) -> list[str]:
    """Return the methods to judge, `segment` first: the named or all ones, except those in `without`.

    Raises
    ------
    ConfigError
        A method is unknown.
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
    """Judge the methods whose results are missing or come from other versions, and `segment` with them.

    `name` is the dataset's, for recorded options and messages.

    Raises
    ------
    ConfigError
        The standings were judged on other users.
    """
    seeds = tuple(range(config.seed, config.seed + n_seeds))
    split = checksum_split(dataset, config, seeds)
    if standings is None:
        standings = Standings(
            split=split,
            seeds=seeds,
            k=config.recommend.k,
            protocol=protocol_of(dataset, config),
            n_users=len(dataset.users),
            n_items=len(dataset.items),
            n_warm=0,
            n_cold=0,
            precomputed=dataset.precomputed is not None,
            runs=(),
            rows=(),
        )
    check_split(name, standings, split, seeds, "leaderboard")
    versions = {**_versions(), "settings": _shorten(config.model_dump_json().encode())}
    unchanged = [row for row in standings.rows if row.source == find_source(row.strategy)]
    present = {row.strategy for row in unchanged if standings.runs[row.run].versions == versions}
    missing_names = [method for method in methods if method not in present]
    if not missing_names:
        return standings
    record = _options_on_record().get(name, {})
    chosen = {row.strategy: row.options for row in unchanged if row.options}
    taken: dict[str, float] = defaultdict(float)

    def watch(stage: str, done: int, total: int) -> None:
        if stage.startswith(METHOD):  # each method reports its begin and its end
            taken[stage.removeprefix(METHOD)] += (perf_counter() if done else -perf_counter()) / n_seeds
        progress(stage, done, total)

    results = evaluate(
        dataset,
        with_options(config, {**chosen, **record}),
        strategies=list(dict.fromkeys([REFERENCE, *missing_names])),
        tune_once=True,
        n_seeds=n_seeds,
        progress=watch,
    )
    model_seconds = results.fit_seconds - sum(taken.values())
    run = Run(
        versions=versions,
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        precision=round(results.get(REFERENCE, "precision").mean, 4),
        fit_seconds=round(model_seconds, 3),
        ms_per_user=round(results.get(REFERENCE, "ms_per_user").mean, 6),
    )
    rows = [
        _make_row(values, results, model_seconds, taken, record)
        for values in results.to_json()["results"]
        if values["strategy"] in missing_names
    ]
    counts = {"n_warm": results.n_warm, "n_cold": results.n_cold}
    return standings.model_copy(update=counts).with_rows(run, rows)


def checksum_split(dataset: Dataset, config: Config, seeds: Sequence[int]) -> str:
    """Return the SHA-256, over all seeds, of the users, the input about cold users, and their relevant items.

    Of the configuration, only the protocol and the list length matter.
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
    """Return the shortened checksum of a plug-in's source file; "" for built-in methods."""
    spec = _spec_of(name)
    if spec is None or spec.is_ours:
        return ""
    for value in map(inspect.unwrap, vars(spec).values()):
        if inspect.isfunction(value) and not value.__module__.startswith("firstday."):
            file = inspect.getsourcefile(value)
            return "" if file is None else _shorten(Path(file).read_bytes())
    return ""


def _spec_of(name: str) -> Method | None:
    """Return the spec of a strategy, or of the cold model behind it; None if there is neither."""
    if name == PAPER_SEGMENT:
        return None
    try:
        strategy = find_strategy(name)
    except ConfigError:  # the row comes from another installation
        return None
    return find_learner(strategy.method) if strategy.method is not None else strategy


def _make_row(
    values: Mapping[str, Any],
    results: Results,
    model_seconds: float,
    taken: Mapping[str, float],
    record: Mapping[str, Any],
) -> Row:
    """Convert the evaluation results of one method to a row."""
    name = values["strategy"]
    tunings, spec = results.tunings.get(name), _spec_of(name)
    learned_by = None if tunings else find_strategy(name).learns_by
    seconds = mean_fit_seconds(tunings) if tunings else model_seconds + taken.get(learned_by or "", 0.0)
    is_tuned = name in baseline_names() and tunings is not None
    is_built_in = spec is None or any(spec.name in methods for methods in OURS.values())
    is_ours = spec is not None and spec.name in OURS["strategies"] and not is_tuned
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


@cache
def _options_on_record() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the recorded options of baselines, by dataset and baseline."""
    text = (resources.files("firstday.leaderboard") / "options.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _versions() -> dict[str, str]:
    """Return the versions that results depend on."""
    return {
        "firstday": firstday.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "torch")},
    }


def _shorten(content: bytes) -> str:
    """Return a shortened checksum."""
    return hashlib.sha256(content).hexdigest()[:12]


def tabulate_standings(name: str, standings: Standings) -> Table:
    """Tabulate the methods on a dataset, best first; times are relative to `segment` in the same run."""
    rows = []
    for row in standings.best_first:
        times = map(write_multiple, standings.compare_times(row))
        by_size = [row.by_day_one_size.get(size) or 0.0 for size in standings.sizes]
        figures = (row.recall, row.ndcg, *by_size, row.user_coverage, row.catalogue_coverage)
        rows.append(
            (
                (row.strategy,),
                (f"{row.precision:.1f}", *(f"{end:.1f}" for end in row.precision_ci)),
                tuple(write_signed(value) for value in (row.minus_segment or 0.0, *(row.minus_segment_ci or ()))),
                *((time,) for time in times),
                *((f"{value:.1f}",) for value in figures),
                (f"{row.novelty_bits:.2f}",),
                (str(row.run + 1),),
                (row.kind,),
            )
        )
    k = standings.k
    sizes = [f"P: {size} used" for size in standings.sizes]
    first = ("method", f"P@{k}", f"P@{k} - {REFERENCE}'s", "fit", "answer", f"R@{k}", f"NDCG@{k}")
    columns = (*first, *sizes, "own list, %", "items, %", "novelty, bits", "run", "kind")
    title = f"{name}: cold users, lists of {k}, in %; times as multiples of those of {REFERENCE}"
    return Table(title, columns, tuple(rows), REFERENCE, ("kind",))


def write_leaderboard(board: Leaderboard, path: Path) -> None:
    """Write the leaderboard as one self-contained HTML page with sortable columns.

    Raises
    ------
    MissingExtraError
        Jinja2 is not installed.
    ConfigError
        The file cannot be written.
    """
    script = (resources.files("firstday.leaderboard") / "templates" / "sort.js").read_text(encoding="utf-8")
    content = {
        "sets": board.sets,
        "tables": {name: tabulate_standings(name, standings) for name, standings in board.sets.items()},
        "reference": REFERENCE,
        "unknown_vectors": UNKNOWN_VECTORS,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    write_file(path, fill_template("leaderboard.html", content, {"script": script}, package="firstday.leaderboard"))
