"""Somebody new picks three: what they say changes the lists, is kept in the browser, and can be taken back."""

from __future__ import annotations

import re
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from firstday.methods.auto import ClassEvidence, Guard
from firstday.recommend.recommender import Recommender
from tests.page.conftest import OpenPage, StartServer
from tests.page.visitor import (
    WAYS,
    ask,
    button_of,
    do,
    entries_of,
    items_in,
    lists_in,
    open_details,
    pick,
    picks_of,
    reload,
    said,
    search,
    titles_in,
    wait_until_calm,
)
from tests.serve.conftest import ids_of
from tests.serve.in_process import RunningApp

SIZE = 8


def test_a_visit(page: Page, server: RunningApp) -> None:
    """Picks, rejections, a profile, other lists and a filter change what is listed; a reload keeps it all."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    signals: dict[str, Any] = {}

    def check_lists(n_items: int = SIZE, ways: tuple[str, ...] = WAYS, **wanted: Any) -> None:
        expected = [ids_of(ask(server, picks_of(page), way, signals, **wanted)) for way in ways]
        assert lists_in(page) == [ids[:n_items] for ids in expected]

    start = lists_in(page)
    for way in reversed(WAYS):
        (first, *_) = items_in(page, entries_of(way))
        do(page, button_of(page, "pick", 0, entries_of(way)).click)
        assert first in picks_of(page)
        check_lists()
    assert titles_in(page) == [item["title"] for item in ask(server, picks_of(page), "auto")["items"]][:SIZE]

    before = lists_in(page)
    do(page, button_of(page, "hide").click)
    assert not any(before[0][0] in items for items in lists_in(page))
    do(page, page.locator("#crossed button").click)
    assert lists_in(page) == before
    do(page, page.locator("#others").click)
    shown = list(dict.fromkeys(chain(*before)))
    others = ids_of(ask(server, picks_of(page), "auto", {"shown": shown}))
    assert items_in(page) == [item for item in others if item not in shown][:SIZE]
    do(page, page.locator("#others-back").click)
    assert lists_in(page) == before

    page.click("#options summary")
    do(page, lambda: page.select_option("#profile select[name=occupation]", "student"))
    signals["profile"] = {"occupation": "student"}
    check_lists()
    do(page, lambda: page.select_option("#way-1", "personal"))
    page.click("#longer")
    check_lists(20, ("auto", "personal", "popular"))
    page.click("#longer")
    text = 'genre == "Horror" and genre != "Drama"'
    page.fill("#filter-text", text)
    with page.expect_response(lambda response: '"k":24' in (response.request.post_data or "")):
        page.keyboard.press("Enter")
    wait_until_calm(page)
    reload(page)
    assert page.input_value("#filter-text") == text
    check_lists(rules={"filter": text})

    do(page, page.locator("#start-over").click)
    assert said(page) == {}
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    reload(page)
    assert lists_in(page) == start
    lists = {request for request in asked if "/v1/recommendations" in request}
    assert lists == {f"POST {server.url}/v1/recommendations"}  # which stores nothing


def test_precision_is_that_of_the_model_for_people_who_began_alike(
    start_server: StartServer, open_page: OpenPage, recommender: Recommender, tmp_path: Path
) -> None:
    means = {"blend": 43.2, "segment": 37.6, "popular": 31.4}
    intervals = {name: (mean - 2, mean + 2) for name, mean in means.items()}
    nobody = ClassEvidence("blend", 0)
    classes = (nobody, nobody, nobody, ClassEvidence("blend", 1_234, means, intervals), nobody)
    model = recommender.model.with_learned(auto=Guard(classes))
    server = start_server(Recommender(model).save(tmp_path / "model"))
    page = open_page(server.url)
    scores, evidence = page.locator(".score strong"), page.locator("#evidence")

    def assert_no_figures(why: str) -> None:
        expect(scores).to_have_count(0)
        expect(evidence).to_contain_text(why)

    assert_no_figures("Nothing is known of you yet")
    pick(page, 0)
    figures = ["found 43%", "found 38%", "found 31%"]
    expect(scores).to_have_text(figures)
    expect(page.locator(".score").first).to_contain_text(re.compile(r"\(41.45%\)"))
    expect(evidence).to_contain_text("1,234 other people, given one to three picks")
    expect(evidence).to_contain_text(f"a list of {model.config.recommend.k} found")
    open_details(page)
    do(page, lambda: page.select_option("#way-1", "soft_segments"))
    expect(scores).to_have_text(["found 43%", "found 31%"])
    expect(page.locator(".score").nth(1)).to_have_text("Not tested")
    do(page, lambda: page.select_option("#way-1", "segment"))
    do(page, button_of(page, "hide").click)
    assert_no_figures("without rejections")
    do(page, page.locator("#crossed button").click)
    do(page, page.locator("#others").click)
    assert_no_figures("without rejections")
    do(page, page.locator("#others-back").click)
    expect(scores).to_have_text(figures)
    for place in range(1, 4):
        pick(page, place)
    assert_no_figures("four or more picks")


def test_the_shelf_shows_others_and_what_is_found(page: Page, server: RunningApp) -> None:
    shelf = page.locator("#shelf button")
    expect(shelf).to_have_count(12)
    before = shelf.all_text_contents()
    page.click("#shelf-next")
    expect(shelf.first).not_to_have_text(before[0])
    assert not set(before) & set(shelf.all_text_contents())
    search(page, "star wars")
    found = httpx.get(f"{server.url}/v1/items", params={"query": "star wars", "limit": 12}).json()["items"]
    assert shelf.all_text_contents() == [item["title"] for item in found]
    pick(page, 0)
    assert picks_of(page) == [str(found[0]["item_id"])]
    page.fill("#search-text", "WÁRS star")
    page.keyboard.press("Enter")  # moves to the first result
    expect(page.locator("#shelf button:focus")).to_have_text(found[0]["title"])
    assert shelf.all_text_contents() == [item["title"] for item in found]
    search(page, "a")
    expect(page.locator("#found")).to_have_text("First 12 found")
    page.click("#shelf-next")
    expect(shelf).to_have_count(12)
    search(page, "no such film")
    expect(shelf).to_have_count(0)
    page.fill("#search-text", "")
    expect(shelf).to_have_count(12)


@pytest.mark.parametrize("first", [0, 1])
def test_a_slow_answer_does_not_replace_a_later_one(page: Page, server: RunningApp, first: int) -> None:
    held: list[Route] = []
    page.route("**/v1/recommendations", lambda route: held.append(route))
    for place in (0, 1):
        page.locator("#shelf button").nth(place).click()
    for _ in range(100):
        if len(held) == 6:
            break
        page.wait_for_timeout(50)
    for route in held[3 * first : 3 * first + 3] + held[3 - 3 * first : 6 - 3 * first]:
        route.continue_()
    wait_until_calm(page)
    page.wait_for_timeout(300)
    assert items_in(page) == ids_of(ask(server, picks_of(page), "auto"))[:SIZE]


def test_the_question_that_tells_most_is_answered_by_keyboard(page: Page, server: RunningApp) -> None:
    """Yes picks the item, no only leads to the next question."""
    asked = page.locator("#asked strong")
    expect(asked).to_have_text(find_question(server))
    for answer in ("no", "yes", "no"):
        title = asked.text_content() or ""
        before = lists_in(page)
        button = page.locator(f"#answer-{answer}")
        do(page, partial(button.press, "Enter"))
        expect(button).to_be_focused()
        if answer == "yes":
            expect(page.locator("#picked .title")).to_have_text(title)
        else:
            assert lists_in(page) == before
        expect(asked).to_have_text(find_question(server, liked=picks_of(page), passed=said(page)["refused"]))
        expect(asked).not_to_have_text(title)
    do(page, page.locator("#start-over").click)
    expect(asked).to_have_text(find_question(server))


def find_question(server: RunningApp, **answers: list[str]) -> str:
    return str(httpx.get(f"{server.url}/v1/onboarding", params=answers).json()["question"]["title"])
