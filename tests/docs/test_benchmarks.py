"""Every benchmark is in the table of docs/for-maintainers.md, and every page and result it is for exists."""

from __future__ import annotations

import re

from tests.docs.examples import ROOT

PAGE = (ROOT / "docs" / "for-maintainers.md").read_text(encoding="utf-8")
_, _, SECTION = PAGE.partition("\n## Benchmarks\n")
ROWS = re.findall(r"^\| `(\S+\.py)` \|.*\| \[.*\]\((\S+)\) \|$", SECTION, re.MULTILINE)
FOLDER = ROOT / "benchmarks"
FILES = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.py")}
DOCUMENTED = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def test_every_benchmark_is_in_the_table_or_shared() -> None:
    shared = set(re.findall(r"`(\w+\.py)`", SECTION.rpartition("|\n")[2]))
    listed = [name for name, _ in ROWS]
    assert sorted([*listed, *shared]) == sorted(FILES)
    sources = {path: path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py")}
    for name in shared:
        stem = name.removesuffix(".py")
        assert any(stem in text for path, text in sources.items() if path.name != name), name


def test_every_result_is_used() -> None:
    makers = sorted((ROOT / "docs" / "table_makers").glob("*.py"))
    texts = "\n".join(path.read_text(encoding="utf-8") for path in (*makers, *DOCUMENTED))
    for path in (ROOT / "docs" / "results").glob("*.json"):
        name = path.stem.removeprefix("replay-")
        assert re.search(rf"\b{re.escape(name)}\b", texts), path.name
