"""A folder of tables and a model of the small synthetic service, and a way to run the real command."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.__main__ import main
from firstday.config import Config
from firstday.data.events import UTC_MICROSECONDS
from firstday.recommend.recommender import Recommender
from tests.synthetic import COUNTRIES, SEED, THREADS
from tests.timed import BEGIN, make_log

Run = Callable[..., subprocess.CompletedProcess[str]]

SETTINGS = f"""
seed = {SEED}
threads = {THREADS}
[embedding]
dimensions = 12
als_iterations = 4
[segments]
n_segments = 8
top_items = 60
restarts = 1
[cold_model]
hidden = [8]
epochs = 1
[ranker]
enabled = false
[sampled]
min_items = 8
day_ones = 1
[recommend]
k = 20
input_clusters = 6
"""


@pytest.fixture(scope="session")
def run() -> Run:
    """Run `firstday` as a user does, in this process, and expect an exit status."""

    def run_command(*arguments: object, stdin: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
        line = ["firstday", *map(str, arguments)]
        out = io.StringIO()
        err = io.StringIO()
        code: object = None
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", line)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
            patch.setenv("COLUMNS", "160")
            try:
                main()
            except SystemExit as end:
                code = end.code
        assert (code or 0) == status, err.getvalue()
        return subprocess.CompletedProcess(line, status, out.getvalue(), err.getvalue())

    return run_command


@pytest.fixture(scope="session")
def run_process() -> Run:
    """Run `firstday` in a process of its own, where that is the point."""

    def run_command(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "firstday", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)

    return run_command


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service of 400 users as Parquet: each used 20 of 120 items, nine in ten of their own of four tastes."""
    folder = tmp_path_factory.mktemp("world") / "tables"
    folder.mkdir()
    rng = np.random.default_rng(SEED)
    user = np.arange(400)
    taste = user % 4
    rank = rng.permuted(np.tile(np.arange(30), (400, 1)), axis=1)[:, :24]
    item = 4 * rank + np.where(rng.random(rank.shape) < 0.9, taste[:, None], rng.integers(4, size=rank.shape))
    ids = {"user_id": [f"u{ix:03}" for ix in user], "item_id": [f"i{ix:03}" for ix in range(120)]}
    pl.DataFrame(
        {
            "user_id": np.repeat(ids["user_id"], 24),
            "item_id": np.array(ids["item_id"])[item.ravel()],
            "signal": [*["stream"] * 18, "favorite", "favorite", "skip", "skip", "skip", "ban"] * 400,
            "timestamp": pl.Series(rng.permutation(item.size)).cast(pl.Duration("ms")) + BEGIN,
        }
    ).write_parquet(folder / "interactions.parquet")
    groups = {"country": np.array(COUNTRIES)[taste], "gender": rng.choice(["f", "m"], 400)}
    users = {"user_id": ids["user_id"], "age": 18 + 8 * taste + rng.integers(8, size=400), **groups}
    pl.DataFrame(users).write_parquet(folder / "users.parquet")
    artists = [f"a{ix % 24:02}" for ix in range(120)]
    items = {"item_id": ids["item_id"], "title": [f"Item {ix}" for ix in range(120)], "artist_id": artists}
    pl.DataFrame(items).write_parquet(folder / "items.parquet")
    return folder


@pytest.fixture(scope="session")
def timed_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service with a clock as Parquet."""
    log = make_log()
    folder = tmp_path_factory.mktemp("timed")
    events = log.events.whole()
    events.select(
        pl.Series("user_id", log.users.take(events["user_ix"].to_numpy())),
        pl.Series("item_id", log.items.take(events["target_ix"].to_numpy())),
        "signal",
        "timestamp",
    ).write_parquet(folder / "interactions.parquet")
    at = pl.Series("registered_at", log.registered_at).cast(UTC_MICROSECONDS)
    pl.DataFrame({"user_id": log.users.values, "registered_at": at}).write_parquet(folder / "users.parquet")
    return folder


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "firstday.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope="session")
def model(recommender: Recommender, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recommender.save(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="session")
def tiny_model(tiny: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that was made by hand; see `tests.tiny`."""
    return tiny.save(tmp_path_factory.mktemp("tiny") / "model")
