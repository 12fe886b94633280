"""The example shop keeps its rules in a real browser, in front of a real service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from client_events import SIGNING_KEY
from playwright.sync_api import Browser, BrowserContext, Page, expect
from serve_process import free_port

from firstday.data.load import load
from firstday.training.fit import train
from tests.page.visitor import items_in
from tests.serve.conftest import wait_for
from tests.serve.in_process import RunningApp, listening_app
from tests.synthetic import brief_config
from tests.training_once import train_once

SHOP = Path(__file__).parents[2] / "examples" / "shop"
ITEMS = ".row li"
KEY = "the-shop-s-own-key"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop-tables")
    subprocess.run([sys.executable, SHOP / "make_tables.py", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def service(tables: Path, tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[RunningApp]:
    model = train_once("shop", tmp_path_factory, lambda: train(load(tables), brief_config()))
    rights = dict.fromkeys(("read_keys", "write_keys", "items_keys"), KEY)
    settings = {**rights, "token_keys": SIGNING_KEY, "origins": f"http://127.0.0.1:{port}"}
    with listening_app(model, tmp_path_factory.mktemp("shop-service"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def shop(service: RunningApp, tables: Path, port: int, client: bytes) -> Iterator[str]:
    """Run the shop, whose pages load the client, and return its address."""
    assert client
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(SHOP), "shop:app", "--port", str(port)]
    shop_settings = {
        "SERVICE_URL": service.url,
        "SHOP_TABLES": str(tables),
        "SERVICE_KEY": KEY,
        "TOKEN_KEY": SIGNING_KEY,
    }
    environment = {**os.environ, **shop_settings}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        yield next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line)))
        process.terminate()


@pytest.fixture
def visit(browser: Browser, shop: str) -> Iterator[Callable[[], Page]]:
    """Open the shop as a new visitor from France."""
    contexts: list[BrowserContext] = []

    def open_shop() -> Page:
        contexts.append(browser.new_context(base_url=shop))
        page = contexts[-1].new_page()
        page.goto("/")
        assert items_in(page, ITEMS) == []
        page.get_by_role("button", name="FR").click()
        page.wait_for_selector("section")
        return page

    yield open_shop
    for context in contexts:
        context.close()


@pytest.fixture
def page(visit: Callable[[], Page]) -> Page:
    return visit()


def test_rows_do_not_repeat_records_and_list_only_what_is_sold_in_the_country(page: Page, tables: Path) -> None:
    records = {record["item_id"]: record for record in map(json.loads, (tables / "items.jsonl").open())}
    expect(page.get_by_role("button", name="FR")).to_have_attribute("aria-pressed", "true")
    assert page.locator("h2").all_text_contents() == ["For you", "New", "More jazz"]
    rows = [[records[item] for item in items_in(page, f"section:nth-of-type({number}) li")] for number in (1, 2, 3)]
    assert len({record["item_id"] for row in rows for record in row}) == 12
    assert all("FR" in record["sold_in"] for row in rows for record in row)
    assert [len({record["artist_id"] for record in row}) for row in rows] == [4, 4, 4]
    assert {record["added_at"] for record in rows[1]} == {"2024-03-01"}
    assert {record["genre"] for record in rows[2]} == {"jazz"}


def test_a_record_that_was_bought_is_not_shown_again(page: Page, service: RunningApp) -> None:
    bought = items_in(page, ITEMS)[5]
    page.locator(f"[data-item={bought}]").get_by_role("button").click()
    page.wait_for_url("**/?genre=*")
    assert len(items_in(page, ITEMS)) == 12
    assert bought not in items_in(page, ITEMS)
    known = read_user(service, visitor_of(page))
    (event,) = [event for event in known["events"] if event["signal"] != "shown"]
    assert (event["entity_id"], event["list_id"]) == (bought, known["lists"][1]["list_id"])


def test_records_in_view_are_reported_once_as_seen(page: Page, service: RunningApp) -> None:
    page.set_viewport_size({"width": 900, "height": 500})
    page.reload()
    (seen, *_), (*_, unseen) = items_in(page, ITEMS), items_in(page, ITEMS)

    def find_shown() -> Counter[str]:
        known = read_user(service, visitor_of(page))
        newest = {one["list_id"] for one in known["lists"][-3:]}
        events = [one for one in known["events"] if one["signal"] == "shown" and one["list_id"] in newest]
        return Counter(one["entity_id"] for one in events)

    wait_for(lambda: find_shown()[seen] == 1)
    assert unseen not in find_shown()
    page.locator(ITEMS).last.scroll_into_view_if_needed()
    wait_for(lambda: find_shown()[unseen] == 1)
    assert set(find_shown().values()) == {1}


def test_a_record_that_is_sold_out_is_not_shown(page: Page, visit: Callable[[], Page]) -> None:
    before = items_in(page, ITEMS)
    mark(page, before[0], "Sold out", "sold out")
    page.goto("/")
    for after in (items_in(page, ITEMS), items_in(visit(), ITEMS)):
        assert len(after) == 12
        assert before[0] not in after
    mark(page, before[0], "In stock again", "in stock")
    assert items_in(visit(), ITEMS) == before


def mark(page: Page, item: str, button: str, stock: str) -> None:
    """Mark a record on the page for staff."""
    page.goto("/staff")
    page.locator(f"#{item}").get_by_role("button", name=button).click()
    page.wait_for_url(f"**/staff#{item}")
    expect(page.locator(f"#{item} td").nth(1)).to_have_text(stock)


def test_an_error_of_the_service_is_shown_as_its_message(page: Page) -> None:
    page.goto(f"/?genre={'x' * 200}")
    expect(page.get_by_role("alert")).to_contain_text("rows[2].name: String should have at most 100 characters.")


def read_user(service: RunningApp, user_id: str) -> dict[str, Any]:
    known: dict[str, Any] = httpx.get(
        f"{service.url}/v1/users/{user_id}", headers={"Authorization": f"Bearer {KEY}"}
    ).json()
    return known


def visitor_of(page: Page) -> str:
    return next(str(cookie["value"]) for cookie in page.context.cookies() if cookie["name"] == "visitor")


def test_a_guest_who_logs_in_keeps_what_they_did(page: Page, service: RunningApp, tables: Path) -> None:
    guest = visitor_of(page)
    bought = items_in(page, ITEMS)[0]
    page.locator(f"[data-item={bought}]").get_by_role("button").click()
    page.get_by_label("Customer").fill("ada")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("section")
    assert visitor_of(page) == "ada"
    assert bought not in items_in(page, ITEMS)
    known = read_user(service, "ada")
    used = [event["entity_id"] for event in known["events"] if event["signal"] != "shown"]
    assert (known["guest_ids"], used) == ([guest], [bought])

    page.locator(ITEMS).first.get_by_role("link").first.click()  # the page of a record
    page.wait_for_url("**/record/*")
    records = {record["item_id"]: record for record in map(json.loads, (tables / "items.jsonl").open())}
    goes_with = [records[item] for item in items_in(page, ITEMS)]
    assert len(goes_with) == 4
    assert all("FR" in record["sold_in"] and record["item_id"] != bought for record in goes_with)

    page.goto("/staff")
    page.get_by_label("Title").fill("Today's Blues")
    page.get_by_label("Artist").fill(records[bought]["artist_id"])
    page.get_by_label("Genre").fill("jazz")
    page.get_by_role("button", name="Sell it from today").click()
    page.wait_for_url("**/record/*")
    new = page.url.rpartition("/")[2]
    assert len(items_in(page, ITEMS)) == 4
    page.goto("/")
    assert items_in(page, "section:nth-of-type(2) li")[0] == new
    expect(page.locator(f"[data-item='{new}']")).to_contain_text("Today's Blues")
