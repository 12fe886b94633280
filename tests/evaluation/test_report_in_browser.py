"""The report in a real browser: it asks for nothing, fits a phone, no label covers another, axe finds no violation."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.reports import MEANS, PROFILES, render, results

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

WIDE = 1280
PHONE = 390
OVERLAPS = """() => {
  const faults = [];
  for (const svg of document.querySelectorAll("svg")) {
    const texts = [...svg.querySelectorAll("text")].map(t => [t.textContent.trim(), t.getBoundingClientRect()]);
    const frame = svg.getBoundingClientRect();
    texts.forEach(([text, a], n) => {
      if (a.left < frame.left - 1 || a.right > frame.right + 1) faults.push(text + " is cut off");
      for (const [other, b] of texts.slice(n + 1)) {
        const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (width > 1 && height > 0.35 * Math.min(a.height, b.height)) faults.push(text + " covers " + other);
      }
    });
  }
  return faults;
}"""
"""Labels of pictures that cover each other or leave their picture."""


NAMES = ("personal", "soft_segments", "input_clusters", "group", "dropoutnet_personal", "melu_segment", "mult_dae")
MANY = MEANS | {name: 47 + n / 3 for n, name in enumerate(NAMES)}
REPORTS: dict[str, dict[str, Any]] = {
    "everything": {"means": MANY, "n_segments": 20, "profiles": PROFILES, "gap": 12},
    "figures close to each other": {"means": {"popular": 50, "segment": 50.01, "fold_in": 50.02}, "spread": 0.5},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed; apt-get install chromium")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=path)
        yield running
        running.close()


def look_at(browser: Any, file: Path, width: int, scheme: str) -> None:
    """Open a file as a reader would, and expect it to be in order."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    requests = []
    messages = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert requests == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == []
    assert messages == []
    context.close()
    # axe comes as a script, which the report's own policy refuses.
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(file.as_uri())
    checked = axe.Axe().run(page)
    assert checked.violations_count == 0, checked.generate_report()
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_in_order(name: str, browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(results(**REPORTS[name]), command="firstday"), encoding="utf-8")
    looks = ((WIDE, "light"), (PHONE, "dark"))
    for width, scheme in looks if name == "everything" else looks[1:]:
        look_at(browser, file, width, scheme)


@pytest.mark.slow
def test_labels_that_cover_each_other_would_be_noticed(browser: Any) -> None:
    page = browser.new_page()
    page.set_content(
        '<svg width="300" height="100"><text x="10" y="50">one name</text><text x="30" y="52">another</text>'
        '<text x="280" y="90">too far out</text></svg>'
    )
    assert page.evaluate(OVERLAPS) == ["one name covers another", "too far out is cut off"]
    page.close()
