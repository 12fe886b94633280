"""Killed processes, broken disks, a store gone, models swapped under load: short runs of benchmarks/serve_*.py."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from lifecycle import run
from serve_export import export_across_merges
from serve_faults import (
    delete_during_merges,
    full_disk,
    kill_during_merges,
    kill_during_puts,
    run_workers,
    store_gone,
)
from serve_fuzz import fuzz
from serve_reload import reload_under_load
from store_servers import STORE_SERVERS, PostgresProcess, RedisProcess

DATABASES = count(1)
"""Numbers of databases of Redis; the tests of stores use database 0."""


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of a store for the test alone, without any for SQLite."""
    if request.param == "sqlite":
        return {}
    if request.param == "postgres":
        postgres: PostgresProcess = request.getfixturevalue("postgres")
        return {"store": postgres.make_schema()}
    redis: RedisProcess = request.getfixturevalue("redis")
    return {"store": f"{redis.url.removesuffix('0')}{next(DATABASES)}"}


def test_a_process_killed_during_merges_and_puts_loses_nothing_and_gives_nobody_what_others_did(
    model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Nor is a batch there in part, or anything left of a user who is deleted during a merge."""
    with run_workers(model, tmp_path, settings) as servers:
        done = kill_during_merges(servers, 1, seed=3)
        assert min(done["merges"], done["acknowledged"]) > 0
        assert delete_during_merges(servers, 32, seed=5)["deletions"] == 32
        assert kill_during_puts(servers, 1, seed=4)["acknowledged"] > 0


@pytest.mark.parametrize("settings", ["sqlite", "postgres"], indirect=True)
def test_a_service_of_two_days_loses_nothing_and_counts_nothing_twice(
    model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    done = run(model, tmp_path / "days", 24, 2, 1, seed=1, url=settings.get("store", ""))
    assert (done["kills"], done["assignments"]) == (1, 24)
    assert done["impressions_of_recorded_lists"] > 100


def test_exports_across_merges_lose_and_double_nothing(model: Path, tmp_path: Path) -> None:
    assert export_across_merges(model, tmp_path, 2)["merges"] > 0


def test_a_full_disk_is_told_and_got_over(model: Path, tmp_path: Path) -> None:
    assert full_disk(model, tmp_path)["acknowledged"] > 1


@pytest.mark.parametrize("kind", STORE_SERVERS)
def test_without_its_store_lists_come_from_the_request_alone(
    model: Path, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    store_gone(model, tmp_path, 0.2, request.getfixturevalue(kind))


def test_versions_are_rolled_back_under_load_without_a_failed_request(model: Path, tmp_path: Path) -> None:
    done = reload_under_load(model, tmp_path, 2)
    assert done["refused"] == 1
    assert done["answers"] > 0


@pytest.mark.slow
def test_made_requests_get_no_5xx_and_answers_as_described(model: Path, tmp_path: Path) -> None:
    assert fuzz(model, tmp_path, 60, seed=1)["cases"] >= 60
