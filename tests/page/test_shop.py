"""The example shop keeps its rules in a real browser, in front of a real service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from serve_process import ServerProcess

from firstday.data.load import load
from firstday.training.fit import train
from tests.page.visitor import items_in
from tests.training_once import train_once

SHOP = Path(__file__).parents[2] / "examples" / "shop"
ITEMS = ".row li"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop-tables")
    subprocess.run([sys.executable, SHOP / "make_tables.py", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def service(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    model = train_once("shop", tmp_path_factory, lambda: train(load(tables)))
    with ServerProcess(model, tmp_path_factory.mktemp("shop-service")) as running:
        yield running


@pytest.fixture(scope="module")
def shop(service: ServerProcess, tables: Path) -> Iterator[str]:
    """Run the shop, and return its address."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(SHOP), "shop:app", "--port", "0"]
    environment = {**os.environ, "SERVICE_URL": service.url, "SHOP_TABLES": str(tables)}
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


def test_a_record_that_was_bought_is_not_shown_again(page: Page, service: ServerProcess) -> None:
    bought = items_in(page, ITEMS)[5]
    page.locator(f"[data-item={bought}]").get_by_role("button").click()
    page.wait_for_url("**/?genre=*")
    assert len(items_in(page, ITEMS)) == 12
    assert bought not in items_in(page, ITEMS)
    known = httpx.get(f"{service.url}/v1/users/{visitor_of(page)}").json()
    (event,) = known["events"]
    assert (event["entity_id"], event["list_id"]) == (bought, known["lists"][1]["list_id"])


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


def visitor_of(page: Page) -> str:
    return next(str(cookie["value"]) for cookie in page.context.cookies() if cookie["name"] == "visitor")


def test_a_guest_who_logs_in_keeps_what_they_did(page: Page, service: ServerProcess, tables: Path) -> None:
    guest = visitor_of(page)
    bought = items_in(page, ITEMS)[0]
    page.locator(f"[data-item={bought}]").get_by_role("button").click()
    page.get_by_label("Customer").fill("ada")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("section")
    assert visitor_of(page) == "ada"
    assert bought not in items_in(page, ITEMS)
    known = httpx.get(f"{service.url}/v1/users/ada").json()
    assert (known["guest_ids"], [event["entity_id"] for event in known["events"]]) == ([guest], [bought])

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
