from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from firstday.data.load import load
from firstday.errors import DataError
from tests.data.same import assert_equal, assert_same
from tests.environments import SHARED

COPY = SHARED / "deezer_europe.zip"
needs_copy = pytest.mark.skipif(not COPY.exists(), reason="no local copy of deezer_europe.zip in ../shared/data")


@needs_copy
def test_the_zip_becomes_a_dataset() -> None:
    dataset = load("deezer-europe", path=COPY)
    assert dataset.name == "deezer-europe"
    assert dataset.summary() == {
        "users": 28_281,
        "items": 30_978,
        "interactions": 958_475,
        "pairs": {"favorite x item": 958_475},
        "entities": {},
        "groups": {"gender": 2},
        "friends": 2 * 92_752,
    }
    assert dataset.notes == ()
    assert dataset.friends is not None
    assert_same(dataset.friends.transpose(), dataset.friends)


def a_copy(folder: Path, likes: str = '{"0": [1, 2], "1": []}', edges: str = "node_1,node_2\n0,1\n") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "deezer_europe_features.json").write_text(likes)
    (folder / "deezer_europe_edges.csv").write_text(edges)
    (folder / "deezer_europe_target.csv").write_text("id,target\n0,0\n1,1\n")
    return folder


def fault(path: Path | None) -> str:
    with pytest.raises(DataError) as caught:
        load("deezer-europe", path=path)
    assert len(caught.value.faults) == 1
    return str(caught.value)


def test_zip_and_folders_give_the_same(tmp_path: Path) -> None:
    folder = a_copy(tmp_path / "deezer_europe")
    with zipfile.ZipFile(tmp_path / "deezer_europe.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"deezer_europe/{file.name}")
    dataset = load("deezer-europe", path=folder)
    assert (len(dataset.users), len(dataset.items), len(dataset.events)) == (2, 2, 2)
    for place in (tmp_path, tmp_path / "deezer_europe.zip"):
        assert_equal(load("deezer-europe", path=place), dataset)


@pytest.mark.parametrize(
    ("likes", "edges"),
    [
        ("{", "node_1,node_2\n0,1\n"),
        (json.dumps({"0": 5}), "node_1,node_2\n0,1\n"),
        (json.dumps({"0": ["x"]}), "node_1,node_2\n0,1\n"),
        (json.dumps({"0": [1]}), "from,to\n0,1\n"),
    ],
)
def test_damaged_files_give_one_sentence(likes: str, edges: str, tmp_path: Path) -> None:
    said = fault(a_copy(tmp_path, likes, edges))
    assert said.startswith(f"{tmp_path}: cannot be read as deezer-europe (")
    assert said.endswith("); give the published file, or a folder with its contents (--path).")
    assert "\n" not in said


def test_a_path_is_needed_and_has_to_hold_the_data(tmp_path: Path) -> None:
    assert fault(None) == ("deezer-europe: is not downloaded by firstday; give the path of deezer_europe.zip (--path).")
    for place in (tmp_path / "no", tmp_path):
        assert fault(place).startswith(f"{place}: cannot be read as deezer-europe ([Errno 2] No such file")
    archive = tmp_path / "deezer_europe.zip"
    archive.write_bytes(b"PK\x03\x04 and nothing more")
    assert fault(tmp_path).startswith(f"{tmp_path}: cannot be read as deezer-europe (File is not a zip file)")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("deezer_europe/deezer_europe_features.json", "{}")
    assert "There is no item named 'deezer_europe_edges.csv' in the archive" in fault(archive)
