"""What is written: valid tables, the same for one seed, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.engine.engines import check as check_tables
from firstday.errors import ConfigError
from firstday.lab.simulate import tables
from firstday.lab.simulate.behavior import Block, simulate_block
from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.lab.simulate.tables import simulate

SMALL = SimulationSettings(300, 200, days=40, seed=3, block_users=100)
BLOCKS = {
    *((signal, "item") for signal in ("stream", "skip", "favorite", "ban", "search")),
    *((signal, entity) for signal in ("favorite", "ban", "search") for entity in ("artist", "album")),
    ("favorite", "playlist"),
    ("search", "playlist"),
    ("onboarding", "artist"),
}


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("small") / "tables"
    simulate(SMALL, out)
    return out


def test_the_tables_have_no_faults_and_hold_what_was_asked_for(small: Path) -> None:
    checked = check_tables(small)
    assert checked.faults == ()
    assert checked.notes == ()
    assert isinstance(checked.dataset, Dataset)
    assert (len(checked.dataset.users), len(checked.dataset.items)) == (300, 200)
    assert set(checked.dataset.entities) == {"artist", "album", "playlist"}
    assert set(checked.dataset.groups) == {"country", "time_zone"}
    assert checked.dataset.ages is not None
    assert checked.dataset.registered_at is not None
    assert checked.dataset.friends is not None


def test_every_block_of_the_paper_that_is_logged_occurs(events: pl.DataFrame) -> None:
    assert set(events.select("signal", pl.col("entity").fill_null("item")).unique().rows()) == BLOCKS


@pytest.mark.parametrize("settings", [SMALL, replace(SMALL, series=True)])
def test_one_seed_gives_the_same_bytes(settings: SimulationSettings, tmp_path: Path) -> None:
    folder, again = tmp_path / "once", tmp_path / "again"
    again.mkdir()  # an empty folder
    for out in (folder, again):
        simulate(settings, out)
    assert content(folder) == content(again)
    assert [name for name in content(folder) if name.startswith("interactions/")] == [
        f"interactions/part-0000{block}.parquet" for block in range(3)
    ]


def test_another_seed_gives_other_tables(small: Path, tmp_path: Path) -> None:
    simulate(replace(SMALL, seed=4), tmp_path)
    ours = content(small)
    theirs = content(tmp_path)
    assert ours.keys() == theirs.keys()
    assert not ours.items() & theirs.items()


def test_files_are_sorted_by_user_and_time_and_share_no_user(service: Path) -> None:
    last = 0
    for part in sorted((service / "interactions").iterdir()):
        rows = pl.read_parquet(part)
        assert rows.equals(rows.sort("user_id", "timestamp", maintain_order=True))
        assert rows["user_id"].min() > last  # type: ignore[operator]
        last = rows["user_id"].max()  # type: ignore[assignment]


@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize(("n_users", "n_items", "days"), [(20, 20, 2), (50, 30, 5), (20, 1_500, 31), (400, 20, 10)])
def test_tiny_services_work(tmp_path: Path, n_users: int, n_items: int, days: int, series: bool) -> None:
    settings = SimulationSettings(n_users, n_items, days=days, block_users=19, series=series)
    written = simulate(settings, tmp_path / "tables")
    checked = check_tables(tmp_path / "tables")
    assert (checked.faults, checked.notes) == ((), ())
    assert (written["users"], written["items"]) == (n_users, n_items)
    assert written["interactions"] > 0


def test_names_are_invented_for_everything(service: Path) -> None:
    names = pl.read_parquet(service / "names.parquet")
    items = pl.read_parquet(service / "items.parquet")
    assert items["title"].str.len_chars().min() > 0  # type: ignore[operator]
    assert items["title"].n_unique() > 0.5 * items.height
    for entity in ("artist", "playlist"):
        own = names.filter(entity=entity)["name"]
        assert own.n_unique() == len(own) > 0
    for column in ("artist_id", "album_id"):
        ids = names.filter(entity=column.removesuffix("_id"))["entity_id"]
        assert set(items[column]) == set(ids)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(ConfigError, match="exists and is not an empty folder; give a new folder"):
            simulate(SMALL, out)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_when_writing_fails_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: Iterator[int] = iter(range(10))

    def until_the_disk_is_full(block: Block) -> pl.DataFrame:
        if next(blocks) == 1:
            raise OSError(28, "No space left on device")
        return simulate_block(block)

    monkeypatch.setattr(tables, "simulate_block", until_the_disk_is_full)
    with pytest.raises(ConfigError, match=r"cannot be written \(.*No space left on device\)"):
        simulate(SMALL, tmp_path / "tables")
    assert list(tmp_path.iterdir()) == []
