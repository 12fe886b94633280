"""The service out of reach, closed by keys, or without the page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, Route, expect

from firstday.recommend.recommender import Recommender
from tests.page.conftest import OpenPage, StartServer
from tests.page.visitor import ask, items_in, lists_in, pick, picks_of, reload, wait_until_calm
from tests.serve.conftest import ids_of
from tests.serve.in_process import RunningApp, running_app

READ = "read-key-of-sixteen"
WRITE = "write-key-of-sixteen"


def test_the_page_says_that_the_service_is_away_and_goes_on_when_it_is_back(
    open_page: OpenPage, server: RunningApp
) -> None:
    page = open_page(allowed="ERR_INTERNET_DISCONNECTED")
    page.wait_for_selector("#shelf button")
    before = lists_in(page)
    page.context.set_offline(True)
    page.locator("#shelf button").first.click()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("The service does not answer.")
    page.locator("#shelf button").nth(1).click()
    assert lists_in(page) == before
    expect(page.locator("#picked button")).to_have_count(2)
    page.context.set_offline(False)
    expect(notice).to_contain_text("The service answers again.")
    wait_until_calm(page)
    assert items_in(page) == ids_of(ask(server, picks_of(page), "auto"))[:8]
    expect(notice).to_be_hidden()


def enter_a_wrong_key_then_the_right_one(page: Page) -> None:
    """Enter keys in the dialog, and wait for the lists."""
    page.fill("#key-read", "no-key-of-this-place")
    page.keyboard.press("Enter")
    expect(page.locator("#keys-why")).to_contain_text("The key is unknown")
    page.fill("#key-read", READ)
    page.get_by_role("button", name="Open").click()
    wait_until_calm(page)


def test_a_key_is_asked_for_and_kept_for_the_tab(start_server: StartServer, open_page: OpenPage, films: Path) -> None:
    server = start_server(films, read_keys=READ, write_keys=WRITE)
    page = open_page(server.url, allowed="401 (Unauthorized)", calm=False)
    expect(page.locator("#keys")).to_be_visible()
    enter_a_wrong_key_then_the_right_one(page)
    pick(page, 0)
    reload(page)
    expect(page.locator("#keys")).to_be_hidden()
    expect(page.locator("#picked button")).to_have_count(1)
    assert READ not in page.evaluate("JSON.stringify(localStorage)")
    page.click("#requests summary")
    expect(page.locator("#requests-curl")).to_contain_text("$KEY")
    expect(page.locator("#requests-curl")).not_to_contain_text(READ)


def test_the_page_works_below_a_path(open_page: OpenPage, server: RunningApp) -> None:
    """As a proxy would have it that passes /films/ on to the service."""
    asked: list[str] = []

    def pass_on(route: Route) -> None:
        asked.append(route.request.url)
        route.continue_(url=route.request.url.replace("/films/", "/"))

    page = open_page(path="/films/", pass_on=pass_on)
    pick(page, 0)
    assert all(url.startswith(f"{server.url}/films/") for url in asked)
    assert [url for url in asked if url.endswith("/films/v1/recommendations")]


def test_the_page_can_be_switched_off(recommender: Recommender, tmp_path: Path) -> None:
    with running_app(recommender.save(tmp_path / "model"), tmp_path, page=False) as app, app.open_client() as http:
        for path in ("/", "/page/main.js"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert http.get("/v1/model").status_code == 200
