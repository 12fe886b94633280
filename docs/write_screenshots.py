"""Take screenshots of the page: train on MovieLens 100K, serve the model, and use it in the system's Chromium.

python docs/write_screenshots.py [--model MODEL] [--out docs/images]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

from playwright.sync_api import Browser, Page, sync_playwright

DOCS = Path(__file__).parent
PORT = 8137
ADDRESS = f"http://127.0.0.1:{PORT}/"
LIKED = ("Toy Story (1995)", "Monty Python and the Holy Grail (1974)", "Fargo (1996)")
PICTURES = (
    ("page-wide.png", {"width": 1440, "height": 960}, "light"),
    ("page-phone.png", {"width": 390, "height": 844}, "dark"),
)
ROUNDS = ("page-rounds.png", {"width": 1280, "height": 860}, "light")
USED = ("Fargo (1996)", "Godfather, The (1972)", "Silence of the Lambs, The (1991)", "Pulp Fiction (1994)")


def main() -> None:
    """Write the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model of MovieLens 100K (default: train one)")
    parser.add_argument("--out", type=Path, default=DOCS / "images")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed; apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or Path(folder) / "model"
        if arguments.model is None:
            _run("train", "movielens-100k", "--out", str(model))
        environment = {"FIRSTDAY_SERVE_PORT": str(PORT), "FIRSTDAY_SERVE_STORE": f"sqlite:///{folder}/users.sqlite"}
        command = [sys.executable, "-m", "firstday", "serve", str(model)]
        server = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            _wait_for_server()
            with sync_playwright() as started:
                browser = started.chromium.launch(executable_path=chromium)
                for name, viewport, scheme in PICTURES:
                    _take_picture(browser, arguments.out / name, viewport, scheme)
                name, viewport, scheme = ROUNDS
                _take_picture_of_rounds(browser, arguments.out / name, viewport, scheme)
                browser.close()
        finally:
            server.terminate()
            server.wait()


def _run(*arguments: str) -> None:
    """Run a command of firstday."""
    subprocess.run([sys.executable, "-m", "firstday", *arguments], check=True)  # noqa: S603


def _wait_for_server() -> None:
    """Wait until the server answers."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{ADDRESS}healthz", timeout=1)  # noqa: S310
        except URLError:
            time.sleep(0.1)
        else:
            return
    sys.exit("the server did not start")


def _take_picture(browser: Browser, path: Path, viewport: dict[str, int], scheme: str) -> None:
    """Take a screenshot as a new user who likes three films."""
    page = _open_page(browser, viewport, scheme)
    for title in LIKED:
        page.fill("#search-text", title)
        page.locator("#found button", has_text=title).first.click()
        page.wait_for_selector(f'#told .told-title[title="{title}"]', state="attached")
        page.wait_for_selector('#lists[aria-busy="false"]')
    _save_picture(page, path)


def _take_picture_of_rounds(browser: Browser, path: Path, viewport: dict[str, int], scheme: str) -> None:
    """Take a screenshot of the third round, after using some films in the first two."""
    page = _open_page(browser, viewport, scheme)
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


def _open_page(browser: Browser, viewport: dict[str, int], scheme: str) -> Page:
    """Open the page as a new user, and wait for the first list."""
    page = browser.new_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.goto(ADDRESS)
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
