"""The filter of the lists."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Page, expect
from serve_process import ServerProcess

from tests.page.conftest import OpenPage
from tests.page.test_accessibility import assert_accessible, assert_large
from tests.page.visitor import ask, do, items_in, lists_in, pick, picks_of, reload, wait_until_calm
from tests.serve.conftest import ids_of


def set_filter(page: Page, text: str) -> None:
    """Write a filter, and wait for the lists under it."""
    page.fill("#filter-text", text)
    with page.expect_response(lambda response: '"k":24' in (response.request.post_data or "")):
        page.keyboard.press("Enter")
    wait_until_calm(page)


def test_the_filter_changes_every_list(page: Page, server: ServerProcess) -> None:
    columns = httpx.get(f"{server.url}/v1/model").json()["item_columns"]
    assert [(column["name"], column["type"], column["values"][0]) for column in columns] == [("genre", "list", "Drama")]
    assert page.get_attribute("#filter-text", "placeholder") == 'genre == "Drama"'
    assert page.get_attribute("#filter-columns option", "value") == 'genre == "Drama"'
    pick(page, 0)
    before = lists_in(page)
    text = 'genre == "Horror" and genre != "Drama"'
    page.click("#options summary")
    set_filter(page, text)
    rules = {"filter": text}
    expected = [ids_of(ask(server, picks_of(page), way, rules=rules))[:8] for way in ("auto", "segment", "popular")]
    assert lists_in(page) == expected != before
    expect(page.locator("#evidence")).to_contain_text(f"Only what meets {text} is listed.")
    expect(page.locator(".score")).to_have_count(0)
    reload(page)
    assert page.input_value("#filter-text") == text
    assert lists_in(page) == expected
    page.click("#options summary")
    set_filter(page, "")
    assert lists_in(page) == before


def test_a_wrong_filter_is_said_below_it_and_the_lists_stay(open_page: OpenPage) -> None:
    page = open_page(bypass_csp=True, allowed="422 (Unprocessable", reduced_motion="reduce")
    before, wrong = items_in(page), page.locator("#filter-wrong")
    page.click("#options summary")
    page.fill("#filter-text", 'gender == "Horror"')
    page.keyboard.press("Enter")
    expect(wrong).to_have_text(re.compile("^items have no column 'gender'"))
    expect(page.locator("#filter-about")).to_have_text("Columns: genre")
    expect(page.locator("#filter-text")).to_have_attribute("aria-invalid", "true")
    assert_accessible(page, "a wrong filter")
    assert items_in(page) == before
    set_filter(page, 'genre == "Horror"')
    expect(wrong).to_be_empty()
    assert items_in(page) != before


def test_a_filter_that_no_item_meets_leaves_an_empty_list(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 320, "height": 640}, has_touch=True)
    page.click("#options summary")
    set_filter(page, 'genre == "Western" and genre == "Animation"')
    for column in page.locator(".column").all():
        expect(column).to_contain_text("No item left to list meets this condition.")
        expect(column).not_to_contain_text("Too little")
    assert lists_in(page) == [[], [], []]
    assert_large(page, "an empty list")
    do(page, page.locator("#start-over").click)
    assert items_in(page)
    assert page.input_value("#filter-text") == ""


def test_a_kept_filter_that_the_model_refuses_is_dropped(open_page: OpenPage) -> None:
    page = open_page(allowed="422 (Unprocessable")
    before = lists_in(page)
    page.evaluate("localStorage.setItem('firstday.said', JSON.stringify({ filter: 'gone >= 1' }))")
    reload(page)
    assert lists_in(page) == before
    expect(page.locator("#filter-wrong")).to_contain_text("gone")
