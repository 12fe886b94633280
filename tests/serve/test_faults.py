"""Killed processes, broken disks, a store gone, models swapped under load: short runs of benchmarks/serve_*.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifecycle import run
from serve_export import export_across_merges
from serve_faults import (
    delete_during_merges,
    full_disk,
    kill_during_merges,
    kill_during_puts,
    kill_under_load,
    read_only_disk,
    store_gone,
)
from serve_fuzz import fuzz
from serve_reload import reload_under_load
from store_servers import STORE_SERVERS, store_settings

SERVERS = [
    pytest.param(kind, marks=pytest.mark.skipif(not server.is_installed(), reason=f"{kind} is not installed"))
    for kind, server in STORE_SERVERS.items()
]
each_server = pytest.mark.parametrize("kind", SERVERS)
each_store = pytest.mark.parametrize("kind", ["sqlite", *SERVERS])


@each_store
def test_no_acknowledged_event_is_lost_by_a_killed_process(model: Path, tmp_path: Path, kind: str) -> None:
    with store_settings(kind) as settings:
        done = kill_under_load(model, tmp_path, 1, seed=2, settings=settings)
    assert done["acknowledged"] > 0


@each_store
def test_a_process_killed_during_merges_gives_nobody_what_others_did(model: Path, tmp_path: Path, kind: str) -> None:
    with store_settings(kind) as settings:
        done = kill_during_merges(model, tmp_path, 2, seed=3, settings=settings)
    assert done["merges"] > 0
    assert done["acknowledged"] > 0


@each_store
def test_nothing_of_a_user_deleted_during_a_merge_is_left(model: Path, tmp_path: Path, kind: str) -> None:
    with store_settings(kind) as settings:
        done = delete_during_merges(model, tmp_path, 60, seed=5, settings=settings)
    assert done["deletions"] == 60


@each_store
def test_a_process_killed_during_puts_of_items_loses_none(model: Path, tmp_path: Path, kind: str) -> None:
    with store_settings(kind) as settings:
        done = kill_during_puts(model, tmp_path, 2, seed=4, settings=settings)
    assert done["acknowledged"] > 0


def test_exports_across_merges_lose_and_double_nothing(model: Path, tmp_path: Path) -> None:
    done = export_across_merges(model, tmp_path, 3)
    assert done["merges"] > 0


def test_a_service_of_two_days_loses_nothing_and_counts_nothing_twice(model: Path, tmp_path: Path) -> None:
    done = run(model, tmp_path / "days", 24, 2, 2, seed=1)
    assert done["kills"] == 2
    assert done["impressions_of_recorded_lists"] > 100


@each_server
def test_a_service_of_two_days_with_a_store_server(model: Path, tmp_path: Path, kind: str) -> None:
    with STORE_SERVERS[kind]() as store:
        done = run(model, tmp_path / "days", 24, 2, 2, seed=2, kind=kind, url=store.url)
    assert done["kills"] == 2
    assert done["assignments"] == 24


def test_a_full_disk_is_told_and_got_over(model: Path, tmp_path: Path) -> None:
    done = full_disk(model, tmp_path)
    assert done["acknowledged"] > 1
    assert done["recovered_s"] < 5


def test_a_read_only_disk_is_told_and_got_over(model: Path, tmp_path: Path) -> None:
    done = read_only_disk(model, tmp_path)
    if done is None:
        pytest.skip("needs root and a file system that knows chattr +i")
    assert done["recovered_s"] < 5


@each_server
@pytest.mark.parametrize("frozen", [False, True])
def test_without_its_store_lists_come_from_the_request_alone(
    model: Path, tmp_path: Path, kind: str, frozen: bool
) -> None:
    done = store_gone(model, tmp_path, 1.5, kind, frozen=frozen)
    assert done["lists_meanwhile"] >= 2
    assert done["recovered_s"] < 5


def test_versions_are_rolled_back_under_load_without_a_failed_request(model: Path, tmp_path: Path) -> None:
    done = reload_under_load(model, tmp_path, 6)
    assert done["refused"] == 1
    assert done["answers"] > 0


@pytest.mark.slow
def test_made_requests_get_no_5xx_and_answers_as_described(model: Path, tmp_path: Path) -> None:
    assert fuzz(model, tmp_path, 60, seed=1)["cases"] >= 60
