"""Take screenshots of the page: train on MovieLens 100K, serve the model, and use it in the system's Chromium.

python docs/write_screenshots.py [--model MODEL] [--out docs/images]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "benchmarks"))

from serve_process import ServerProcess  # noqa: E402

PORT = 8137
LIKED = ("Toy Story (1995)", "Monty Python and the Holy Grail (1974)", "Fargo (1996)")
USED = ("Fargo (1996)", "Godfather, The (1972)", "Silence of the Lambs, The (1991)", "Pulp Fiction (1994)")


def main() -> None:
    """Write the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model of MovieLens 100K (default: train one)")
    parser.add_argument("--out", type=Path, default=DOCS / "images")
    arguments = parser.parse_args()
    out = arguments.out
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed; apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.model or _train(folder / "model")
        server = ServerProcess(model, folder / "server", {"port": PORT})
        try:
            with sync_playwright() as started, started.chromium.launch(executable_path=chromium) as browser:
                take_lists(_open_page(browser, 1440, 960, "light"), out / "page-wide.png")
                take_lists(_open_page(browser, 390, 844, "dark"), out / "page-phone.png")
                take_rounds(_open_page(browser, 1280, 860, "light"), out / "page-rounds.png")
        finally:
            server.stop()


def _train(model: Path) -> Path:
    subprocess.run([sys.executable, "-m", "firstday", "train", "movielens-100k", "--out", model], check=True)  # noqa: S603
    return model


def take_lists(page: Page, path: Path) -> None:
    """Take a screenshot as a new user who likes three films."""
    for title in LIKED:
        page.fill("#search-text", title)
        page.locator("#found button", has_text=title).first.click()
        page.wait_for_selector(f'#told .told-title[title="{title}"]', state="attached")
        page.wait_for_selector('#lists[aria-busy="false"]')
    _save_picture(page, path)


def take_rounds(page: Page, path: Path) -> None:
    """Take a screenshot of the third round, after using some films in the first two."""
    page.click("#walk")
    for number in (2, 3):
        page.wait_for_selector("#slate .pick")
        for pick in page.locator("#slate .pick").all():
            if pick.locator(".title").text_content() in USED:
                pick.click()
        page.click("#round-next")
        page.wait_for_function(
            "text => document.getElementById('round-name').textContent === text", arg=f"Round {number}"
        )
    page.locator("#slate .pick").first.click()
    _save_picture(page, path)


def _open_page(browser: Browser, width: int, height: int, scheme: Literal["light", "dark"]) -> Page:
    """Open the page as a new user, and wait for the first list."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"http://127.0.0.1:{PORT}/")
    page.wait_for_selector("#mixed .tile .title")
    page.wait_for_selector('#lists[aria-busy="false"]')
    return page


def _save_picture(page: Page, path: Path) -> None:
    """Take a screenshot of the top of the page, and close it."""
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    page.wait_for_timeout(500)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    page.close()
    print(f"{path}: {path.stat().st_size / 1024:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
