"""The service away, closed by keys, or without the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect
from redis_process import RedisProcess
from serve_process import ServerProcess

from firstday.model.folder import save_model
from firstday.recommend.recommender import Recommender
from tests.page.conftest import OpenPage, StartServer
from tests.page.visitor import begin_rounds, button_of, items_in, reload, reply, titles_in, visitor_id, wait_until_calm
from tests.serve.in_process import running_app

READ = "read-key-of-sixteen"
WRITE = "write-key-of-sixteen"


def test_the_page_says_that_the_service_is_away_and_goes_on_when_it_is_back(
    start_server: StartServer, open_page: OpenPage, films: Path
) -> None:
    server = start_server(films)
    server.environment["FIRSTDAY_SERVE_PORT"] = server.url.rpartition(":")[2]  # to come back there
    page = open_page(server.url, allowed="ERR_CONNECTION_REFUSED")
    before = items_in(page)
    server.stop()
    button_of(page, "like").click()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("The service does not answer.")
    expect(notice).to_contain_text("What you did is kept and will be sent.")
    assert items_in(page)[:19] == before[1:]  # the act shows at once, and the lists stay
    button_of(page, "ban").click()
    expect(notice).to_contain_text("2 things you did", timeout=5000)
    server.start()
    expect(notice).to_contain_text("The service answers again.", timeout=10_000)
    wait_until_calm(page)
    page.wait_for_selector("#speaking .list")
    events = httpx.get(f"{server.url}/v1/users/{visitor_id(page)}").json()["events"]
    assert [(event["signal"], event["entity_id"]) for event in events] == [
        ("stream", before[0]),
        ("ban", before[1]),
    ]


@pytest.mark.skipif(not RedisProcess.is_installed(), reason="redis-server is not installed")
def test_what_the_store_does_not_take_is_sent_once_it_does(
    start_server: StartServer, open_page: OpenPage, films: Path
) -> None:
    with RedisProcess() as redis:
        server = start_server(films, store=redis.url)
        page = open_page(server.url, allowed="503 (Service Unavailable)")
        redis.stop()
        page.click("#answer-yes")
        expect(page.locator("#notice")).to_contain_text("What you did is kept and will be sent.")
        expect(page.locator("#told-count")).to_have_text("1 liked")
        page.wait_for_event("response", lambda answer: answer.url.endswith("readyz"))  # which is not enough
        expect(page.locator("#notice")).to_contain_text("will be sent")
        redis.start()
        page.wait_for_selector("#speaking .list")
        assert len(httpx.get(f"{server.url}/v1/users/{visitor_id(page)}").json()["events"]) == 1


def test_the_page_follows_a_new_model(
    start_server: StartServer, open_page: OpenPage, recommender: Recommender, tmp_path: Path
) -> None:
    path = recommender.save(tmp_path / "model")
    server = start_server(path)
    page = open_page(server.url)
    before = page.locator("#facts").text_content() or ""
    model = recommender.model
    titles = tuple(f"New {ix}" for ix in range(model.n_items))
    save_model(replace(model, catalogue=replace(model.catalogue, titles=titles)), path)
    version = httpx.post(f"{server.url}/v1/model/reload").json()["model"]
    assert version[:8] not in before
    reply(page, "yes")
    expect(page.locator("#facts")).to_contain_text(version[:8])
    assert all(title.startswith("New ") for title in titles_in(page))
    expect(page.locator("#look option").nth(1)).to_contain_text("New ")


def enter_a_wrong_key_then_the_right_ones(page: Page) -> None:
    """Enter keys in the dialog, and wait for the lists."""
    page.fill("#key-read", "no-key-of-this-place")
    page.keyboard.press("Enter")
    expect(page.locator("#keys-why")).to_contain_text("The key is unknown")
    page.fill("#key-read", READ)
    page.fill("#key-write", WRITE)
    page.get_by_role("button", name="Open").click()
    wait_until_calm(page)


def test_keys_are_asked_for_and_kept_for_the_tab(start_server: StartServer, open_page: OpenPage, films: Path) -> None:
    server = start_server(films, read_keys=READ, write_keys=WRITE)
    page = open_page(server.url, allowed="401 (Unauthorized)", calm=False)
    expect(page.locator("#keys")).to_be_visible()
    enter_a_wrong_key_then_the_right_ones(page)
    page.click("#answer-yes")
    page.wait_for_selector("#speaking .list")
    reload(page)
    expect(page.locator("#keys")).to_be_hidden()
    expect(page.locator("#told-count")).to_have_text("1 liked")
    assert READ not in page.evaluate("JSON.stringify(localStorage)")
    page.click("#panel-toggle")
    curl = page.locator("#panel-curl").text_content() or ""
    assert "$KEY" in curl
    assert READ not in curl
    page.click("#panel-close")
    begin_rounds(page)  # what is only read is asked for with the key that reads


def test_a_late_refusal_of_a_former_key_asks_for_no_other(
    start_server: StartServer, open_page: OpenPage, films: Path
) -> None:
    server = start_server(films, read_keys=READ, write_keys=WRITE)
    late: list[Route] = []

    def hold_the_map(route: Route) -> None:
        if route.request.url.endswith("/v1/map") and not late:
            late.append(route)
        else:
            route.continue_()

    page = open_page(server.url, allowed="401 (Unauthorized)", calm=False, pass_on=hold_the_map)
    enter_a_wrong_key_then_the_right_ones(page)
    with page.expect_response(lambda answer: answer.url.endswith("/v1/map") and answer.ok):
        late[0].continue_()
    reply(page, "yes")
    expect(page.locator("#keys")).to_be_hidden()


def test_the_page_works_below_a_path(open_page: OpenPage, server: ServerProcess) -> None:
    """As a proxy would have it that passes /films/ on to the service."""
    asked: list[str] = []

    def pass_on(route: Route) -> None:
        asked.append(route.request.url)
        route.continue_(url=route.request.url.replace("/films/", "/"))

    page = open_page(path="/films/", pass_on=pass_on)
    reply(page, "yes")
    page.wait_for_selector("#speaking .list")
    assert all(url.startswith(f"{server.url}/films/") for url in asked)
    assert [url for url in asked if url.endswith("/films/v1/events")]


def test_the_page_can_be_switched_off(recommender: Recommender, tmp_path: Path) -> None:
    with running_app(recommender.save(tmp_path / "model"), tmp_path, page=False) as app, app.open_client() as http:
        for path in ("/", "/page/main.js"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert http.get("/v1/model").status_code == 200
