"""Engines are found by entry points."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import firstday as fd
from firstday.engine import local
from firstday.engine.engines import find_engine
from firstday.errors import ConfigError

CODE = """
from dataclasses import replace
from firstday.engine import local
from firstday.engine.local import *

def check_tables(tables, **settings):
    dataset, findings = local.check_tables(tables, **settings)
    return replace(dataset, name="theirs"), findings
"""
BROKEN = "from firstday.engine.local import check_tables"


def test_an_engine_is_one_file_and_one_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id\na,i1\n")
    with pytest.raises(ConfigError, match=r"^engine: is 'theirs'; give one of local, "):
        fd.load(tmp_path, engine="theirs")
    metadata = tmp_path / "site" / "their_engine-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata.parent / "their_engine.py").write_text(CODE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their_engine\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[firstday.engines]\ntheirs = their_engine\n")
    monkeypatch.syspath_prepend(metadata.parent)
    assert fd.load(tmp_path, engine="theirs").name == "theirs"
    assert fd.load(tmp_path, engine="local").name == tmp_path.name
    (metadata.parent / "their_engine.py").write_text(BROKEN)
    monkeypatch.delitem(sys.modules, "their_engine")
    with pytest.raises(ConfigError, match=r"^engines: theirs cannot be loaded from their_engine "):
        fd.load(tmp_path, engine="theirs")


def test_the_engine_of_this_machine_is_the_default() -> None:
    assert find_engine() is find_engine("local") is local
