"""The filter of the lists."""

from __future__ import annotations

import httpx
from playwright.sync_api import Page, expect
from serve_process import ServerProcess

from tests.page.conftest import OpenPage
from tests.page.test_accessibility import assert_accessible, assert_large
from tests.page.visitor import ask, items_in, lists_in, pick, picks_of, wait_until_calm
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
    expect(page.locator("#options-said")).to_have_text(text)
    rules = {"filter": text}
    expected = [ids_of(ask(server, picks_of(page), way, rules=rules))[:8] for way in ("auto", "segment", "popular")]
    assert lists_in(page) == expected != before
    set_filter(page, "")
    assert lists_in(page) == before


def test_a_wrong_filter_is_said_below_it_and_the_lists_stay(open_page: OpenPage) -> None:
    page = open_page(bypass_csp=True, allowed="422 (Unprocessable", reduced_motion="reduce")
    before, wrong = items_in(page), page.locator("#filter-wrong")
    page.click("#options summary")
    page.fill("#filter-text", 'gender == "Horror"')
    page.keyboard.press("Enter")
    expect(wrong).to_contain_text("items have no column 'gender' (did you mean 'genre'?)")
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
    expect(page.locator(".column").first).to_contain_text("Nothing is left for this list.")
    assert lists_in(page) == [[], [], []]
    assert_large(page, "an empty list")
