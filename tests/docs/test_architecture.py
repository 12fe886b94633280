"""The page on the architecture is true."""

from __future__ import annotations

from pathlib import Path

import write_paths

SOURCES = Path(__file__).parents[2] / "src" / "firstday"


def test_the_paths_of_a_request_and_of_a_training_are_as_they_stand() -> None:
    page = write_paths.PAGE.read_text(encoding="utf-8")
    paths = write_paths.trace_both()
    assert write_paths.fill_in(page, paths) == page, "run: python docs/write_paths.py"
    assert len(paths["request"]) <= 27


def test_file_names_that_stand_twice_are_told() -> None:
    names = [path.name for path in SOURCES.rglob("*.py") if path.name != "__init__.py"]
    twice = {name for name in names if names.count(name) > 1}
    page = write_paths.PAGE.read_text(encoding="utf-8")
    assert twice == {
        "export.py",
        "impressions.py",
        "models.py",
        "newcomers.py",
        "onboarding.py",
        "people.py",
        "replay.py",
        "segments.py",
    }
    assert all(f"`{name}`" in page for name in twice)
