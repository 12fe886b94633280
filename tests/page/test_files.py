"""The page's files: nothing inline, nothing from elsewhere, small modules, headers that hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from firstday.recommend.recommender import Recommender
from tests.serve.in_process import running_app

FOLDER = Path(str(files("firstday.serve") / "page"))
FILES = sorted(FOLDER.iterdir())


@pytest.fixture(scope="module")
def http(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("small")
    with running_app(recommender.save(folder / "model"), folder) as app, app.open_client() as client:
        yield client


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == [""]
    for path in FILES:
        found = set(re.findall(r"\w+://[^\"'\s)]+", path.read_text(encoding="utf-8")))
        assert found <= {"http://www.w3.org/2000/svg"}, path.name


def test_the_page_stays_small() -> None:
    assert sum(path.stat().st_size for path in FILES) <= 70_000


def test_no_text_becomes_markup() -> None:
    for path in FOLDER.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text), (
            path
        )


def test_every_part_is_loaded_and_every_loaded_part_is_there() -> None:
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:href|src)=\"page/([^\"]+)\"", page))
    assert named == {path.name for path in FILES} - {"index.html"}


def test_headers_keep_the_page_safe(http: httpx.Client) -> None:
    for path, kind in (("/", "text/html"), ("/page/main.js", "text/javascript"), ("/page/theme.css", "text/css")):
        answer = http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", ["nope.js", "..%2fsettings.py", "%2e%2e/settings.py", "index.html"])
def test_no_other_file_is_served(http: httpx.Client, name: str) -> None:
    assert http.get(f"/page/{name}").status_code == 404


def test_the_page_is_no_part_of_the_described_api(http: httpx.Client) -> None:
    paths = http.get("/v1/openapi.json").json()["paths"]
    assert not [path for path in paths if path == "/" or path.startswith("/page")]
