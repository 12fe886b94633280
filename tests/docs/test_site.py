"""The site builds without warnings, contains every page, and loads nothing from other hosts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import firstday

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_public_name_is_documented() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    missing = [name for name in firstday.__all__[1:] if not re.search(rf":: (firstday\.)?{name}\b", page)]
    assert missing == [], "add `.. autofunction:: NAME` or `.. autoclass:: NAME` to docs/api.md"


def test_the_site_builds(tmp_path: Path) -> None:
    options = ["--fail-on-warning", "--keep-going", "-q", "-c", "docs", "-d", str(tmp_path / "parsed")]
    options += ["-D", "nb_execution_mode=off"]  # tests/test_notebooks.py runs them
    command = [sys.executable, "-m", "sphinx", *options, ".", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = {path.relative_to(tmp_path / "site").as_posix(): path.read_text() for path in tmp_path.rglob("*.html")}
    assert 'id="firstday.Recommender.recommend"' in pages["docs/api.html"]
    unlinked = r'(?<!">)<code class="xref py py-obj[^"]*"><span class="pre">(firstday\.[\w.]+)<'
    assert re.findall(unlinked, pages["docs/api.html"]) == [], "describe it in place, or add it to the page"
    assert "docs/index.html" in pages["index.html"]
    for name, page in pages.items():
        fetched = re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"((?:https?:)?//[^\"]+)", page)
        assert fetched == [], name
