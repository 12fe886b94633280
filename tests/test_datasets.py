"""A package adds a dataset by one file and one entry-point line, and a faulty one is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

READER = """
from pathlib import Path
import polars as pl
from firstday.datasets import Source

def read_tables(path):
    return {"interactions": pl.DataFrame({"user_id": [1, 2], "item_id": [3, 4]})}

SOURCE = Source(read_tables, file="%s", preset=Path(__file__).with_name("shop.toml"))
"""
USE = """
import firstday as fd
from firstday.cli.options import read_settings
print(len(fd.load("my-shop").users), read_settings("my-shop", None).embedding.dimensions)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder of installed packages with one more: a module, its preset, and the line in its metadata."""
    (tmp_path / "shop.py").write_text(READER % "")
    (tmp_path / "shop.toml").write_text("[embedding]\ndimensions = 3\n")
    metadata = tmp_path / "shop-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[firstday.datasets]\nmy-shop = shop:SOURCE\n")
    return tmp_path


def run(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the package installed."""
    paths = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "400"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_package_adds_a_dataset_with_a_preset(package: Path) -> None:
    assert run(package, "-c", USE).stdout == "2 3\n"
    assert "my-shop" in run(package, "-m", "firstday", "evaluate", "my-shp").stderr


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import no_such_module", "my-shop cannot be loaded from shop:SOURCE (ModuleNotFoundError"),
        ("SOURCE = 1", "my-shop cannot be loaded from shop:SOURCE (which is not a Source of this name)"),
        (READER % "shop.zip", "my-shop: is not downloaded by firstday; give the path of shop.zip"),
    ],
)
def test_a_source_that_cannot_be_used_is_one_sentence(package: Path, code: str, sentence: str) -> None:
    (package / "shop.py").write_text(code)
    done = run(package, "-m", "firstday", "check", "my-shop")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
