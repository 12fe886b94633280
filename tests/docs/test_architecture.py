"""The page on the architecture names the files whose names occur twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_duplicate_file_names_are_documented() -> None:
    files = (ROOT / "src" / "firstday").rglob("*.py")
    counts = Counter(path.name for path in files if path.name != "__init__.py")
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [name for name, count in counts.items() if count > 1 and f"`{name}`" not in page] == []
