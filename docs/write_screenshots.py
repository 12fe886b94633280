"""Take screenshots of the page: serve the model of `firstday demo`, and pick wines in the system's Chromium.

python docs/write_screenshots.py [--out docs/images]
python docs/write_screenshots.py --states --out FOLDER    before and after picks, at 1280 and 390 px, light and dark
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from firstday.cli.demo import PICKS, unpack_model

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "benchmarks"))

from serve_process import ServerProcess  # noqa: E402

Scheme = Literal["light", "dark"]
WIDE = (1280, 1100)
PHONE = (390, 1180)
STATES: tuple[tuple[tuple[int, int], Scheme], ...] = (
    (WIDE, "light"),
    (WIDE, "dark"),
    (PHONE, "light"),
    (PHONE, "dark"),
)


def main() -> None:
    """Write the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DOCS / "images")
    parser.add_argument("--states", action="store_true", help="whole pages in every state instead")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed; apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as name,
        _serve(Path(name)) as url,
        sync_playwright() as started,
        started.chromium.launch(executable_path=chromium) as browser,
    ):
        if arguments.states:
            for size, scheme in STATES:
                page = _open_page(browser, url, size, scheme)
                _save_picture(page, out / f"{size[0]}-{scheme}-new.png", is_whole=True)
                _pick_three(page)
                _save_picture(page, out / f"{size[0]}-{scheme}-picks.png", is_whole=True)
            return
        for (size, scheme), file_name in ((STATES[0], "page-wide.png"), (STATES[3], "page-phone.png")):
            page = _open_page(browser, url, size, scheme)
            _pick_three(page)
            _save_picture(page, out / file_name)


@contextmanager
def _serve(folder: Path) -> Iterator[str]:
    """Serve the model of `firstday demo`."""
    unpack_model(folder / "model")
    server = ServerProcess(folder / "model", folder / "server")
    try:
        yield server.url
    finally:
        server.stop()


def _open_page(browser: Browser, url: str, size: tuple[int, int], scheme: Scheme) -> Page:
    """Open the page as a new user, and wait for shelf and lists."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
    page.goto(url)
    for part in ("#shelf button", ".entry"):
        page.wait_for_selector(part)
    return page


def _pick_three(page: Page) -> None:
    """Search for three wines and pick them, then go back to the shelf."""
    for title in PICKS:
        page.fill("#search-text", title)
        page.locator("#shelf button", has_text=title).click()
        page.wait_for_selector('#race[aria-busy="false"]')
    page.click("#shelf-next")


def _save_picture(page: Page, path: Path, *, is_whole: bool = False) -> None:
    """Take a screenshot of the top of the page, or of all of it."""
    page.mouse.move(0, 0)
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    page.wait_for_timeout(500)
    page.screenshot(path=path, full_page=is_whole)
    print(f"{path}: {path.stat().st_size / 1024:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
