"""The system's Chromium, the service with a real MovieLens model, and pages that must be quiet and stay at home."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from client_events import build_client, install_tools
from filelock import FileLock
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)

from firstday.config import load_preset
from firstday.data.load import load
from firstday.errors import FirstdayError
from firstday.recommend.recommender import Recommender
from firstday.training.fit import train
from tests.page.visitor import wait_until_calm
from tests.serve.in_process import RunningApp, listening_app
from tests.training_once import train_once

OpenPage = Callable[..., Page]
StartServer = Callable[..., RunningApp]

expect.set_options(timeout=60_000)
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed; apt-get install chromium")
    with sync_playwright() as started:  # closed before other folders' tests, which run event loops of their own
        running = started.chromium.launch(executable_path=path)
        yield running
        running.close()


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The built client."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    with FileLock(tmp_path_factory.getbasetemp().parent / "client.lock"):
        if not install_tools():
            pytest.skip("npm cannot install the tools of clients/js: its registry is not reachable")
        return build_client()


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of MovieLens 100K, trained once for all."""

    def train_on_films() -> Recommender:
        try:
            dataset = load("movielens-100k")
        except FirstdayError as error:
            pytest.skip(f"MovieLens 100K cannot be had: {error}")
        few = {"sampled.day_ones": 1, "cold_model.epochs": 2, "ranker.enabled": False, "segments.restarts": 1}
        return train(dataset, load_preset("movielens-100k").override(few))

    return train_once("films", tmp_path_factory, train_on_films)


@pytest.fixture(scope="package")
def server(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with listening_app(films, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start applications of other models or with settings of their own."""
    with ExitStack() as stack:
        yield lambda model, **settings: stack.enter_context(listening_app(model, tmp_path, **settings))


@pytest.fixture
def open_page(browser: Browser, server: RunningApp) -> Iterator[OpenPage]:
    """Open the page as somebody new, and wait for the lists.

    At the end the console must be empty, and no request may have left the host.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def start(
        url: str | None = None,
        viewport: dict[str, int] = WIDE,
        allowed: str | None = None,
        path: str = "/",
        pass_on: Callable[[Route], None] | None = None,
        calm: bool = True,
        **settings: Any,
    ) -> Page:
        home = url or server.url
        context = browser.new_context(viewport=viewport, **settings)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)

        def heed_request(request: Request) -> None:
            if not request.url.startswith(home):
                faults.append(request.url)

        def heed_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not (allowed and allowed in message.text):
                faults.append(message.text)

        def heed_dialog(dialog: Dialog) -> None:
            faults.append(f"dialog {dialog.message}")
            dialog.dismiss()

        context.on("request", heed_request)
        page.on("console", heed_console)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", heed_dialog)
        if pass_on is not None:
            page.route(f"{home}{path}**", pass_on)
        page.goto(f"{home}{path}")
        if calm:
            wait_until_calm(page)
        return page

    yield start
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page()
