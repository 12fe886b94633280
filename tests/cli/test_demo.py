"""firstday demo, on the real MovieLens 100K."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from firstday.recommend.recommender import open_model
from tests.cli.conftest import Run


@pytest.mark.slow
def test_the_demo_shows_that_the_method_beats_popularity(run: Run, tmp_path: Path) -> None:
    done = run("demo", "--out", tmp_path / "demo", "--seeds", 1)
    assert done.returncode == 0, done.stderr
    found = re.search(r"beats popularity by (\d+) %", done.stdout)
    assert found is not None
    assert int(found[1]) > 0
    assert "Toy Story (1995)" in done.stdout
    assert "most of them watch: " in done.stdout
    assert "firstday inspect" in done.stdout
    assert re.search(r"firstday serve \S+/model\n  then open http://127\.0\.0\.1:8000/ in a browser\n$", done.stdout)
    assert len(open_model(tmp_path / "demo" / "model").model.segments) == 30
    report = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    # strategies, day-one size, four profile columns, popularity, segments, training
    assert report.count("<svg") == 9
    assert "segments of the model that is kept" in report
    assert "Monty Python and the Holy Grail (1974)" in report
