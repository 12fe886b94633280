"""The filter of the lists."""

from __future__ import annotations

import httpx
from playwright.sync_api import Page, expect
from serve_process import ServerProcess

from tests.page.conftest import OpenPage
from tests.page.test_accessibility import assert_accessible, assert_large
from tests.page.visitor import begin_rounds, items_in, reply, titles_in, visitor_id, wait_until_calm


def set_filter(page: Page, text: str) -> None:
    """Write a filter, and wait for the lists under it."""
    page.fill("#filter-text", text)
    with page.expect_response(lambda response: "explain=true" in response.url):
        page.keyboard.press("Enter")
    wait_until_calm(page)


def test_the_filter_changes_every_list(page: Page, server: ServerProcess) -> None:
    columns = httpx.get(f"{server.url}/v1/model").json()["item_columns"]
    assert [(column["name"], column["type"], column["values"][0]) for column in columns] == [("genre", "list", "Drama")]
    assert page.get_attribute("#filter-text", "placeholder") == 'genre == "Drama"'
    assert page.get_attribute("#filter-columns option", "value") == 'genre == "Drama"'
    reply(page, "yes")
    before = items_in(page)
    text = 'genre == "Horror" and genre != "Drama"'
    set_filter(page, text)
    user = f"{server.url}/v1/users/{visitor_id(page)}/recommendations"
    answer = httpx.get(user, params={"k": 1000, "filter": text}).json()
    meeting = [str(item["item_id"]) for item in answer["items"]]
    assert items_in(page) == meeting[:20] != before
    page.click("#compare")
    page.wait_for_selector("#mixed .column:nth-child(2) li")
    allowed = {item["title"] for item in answer["items"]}
    assert set(page.locator("#mixed .title").all_text_contents()) <= allowed
    page.click("#compare")
    wait_until_calm(page)
    begin_rounds(page)
    assert set(titles_in(page, "#slate .pick")) <= allowed
    page.click("#walk")
    set_filter(page, "")
    assert items_in(page) == before


def test_a_wrong_filter_is_said_below_it_and_the_lists_stay(open_page: OpenPage) -> None:
    page = open_page(bypass_csp=True, allowed="422 (Unprocessable", reduced_motion="reduce")
    before, wrong = items_in(page), page.locator("#filter-wrong")
    page.fill("#filter-text", 'gender == "Horror"')
    page.keyboard.press("Enter")
    expect(wrong).to_contain_text("items have no column 'gender' (did you mean 'genre'?)")
    expect(page.locator("#filter-text")).to_have_attribute("aria-invalid", "true")
    assert_accessible(page, "a wrong filter", ["light", "dark"])
    assert items_in(page) == before
    set_filter(page, 'genre == "Horror"')
    expect(wrong).to_be_empty()
    assert items_in(page) != before


def test_a_filter_that_no_item_meets_leaves_an_empty_list(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 320, "height": 640}, has_touch=True)
    page.fill("#filter-text", 'genre == "Western" and genre == "Animation"')
    page.keyboard.press("Enter")
    expect(page.locator("#mixed .about")).to_have_text("Nothing is left for this list.")
    expect(page.locator("#moved")).to_have_text("Nothing is left for this list.")
    assert items_in(page) == []
    assert_large(page, "an empty list")
