"""Somebody new picks three: each pick changes the lists and the map, is kept in the browser, and can be taken back."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect
from serve_process import ServerProcess

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
    place_on_map,
    reload,
    said,
    search,
    titles_in,
    wait_until_calm,
)
from tests.serve.conftest import ids_of

SIZE = 8


def test_each_pick_changes_three_lists_which_are_what_the_service_answers(page: Page, server: ServerProcess) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    assert [section.get_attribute("data-way") for section in page.locator(".column").all()] == list(WAYS)
    places = [place_on_map(page)]
    for way in reversed(WAYS):
        before = lists_in(page)
        (first, *_) = items_in(page, entries_of(way))
        do(page, button_of(page, "pick", 0, entries_of(way)).click)
        after = lists_in(page)
        assert first in picks_of(page)
        assert not any(first in items for items in after)
        assert before[WAYS.index(way)] != after[WAYS.index(way)]
        assert after == [ids_of(ask(server, picks_of(page), strategy))[:SIZE] for strategy in WAYS]
        expect(page.locator("#moved")).to_have_text(f"Picked {page.locator('#picked .title').last.text_content()}")
        places.append(place_on_map(page))
    assert len(set(places)) > 1
    expect(page.locator("#picked button")).to_have_count(3)
    expect(page.locator("#near li")).to_have_count(3)
    lists = [request for request in asked if "/v1/recommendations" in request]
    assert set(lists) == {f"POST {server.url}/v1/recommendations"}  # which stores nothing
    assert len(lists) == 9


def test_each_entry_says_why_it_is_there(page: Page, server: ServerProcess) -> None:
    pick(page, 0, 1)
    for way in WAYS:
        answer = ask(server, picks_of(page), way)
        sentences = page.locator(f"{entries_of(way)} .reason").all_text_contents()
        assert len(sentences) == SIZE
        for sentence, reason in zip(sentences, answer["explanation"]["items"], strict=False):
            if answer["route"] == "blend":
                assert reason["most_like"]["title"] in sentence
            else:
                share = reason["share_of_segment" if answer["route"] == "segment" else "share_of_everyone"]
                assert f"{int(100 * share + 0.5)}% of " in sentence or share < 0.01


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


def test_a_pick_is_taken_back(page: Page) -> None:
    start = lists_in(page)
    pick(page, 0)
    one = lists_in(page)
    pick(page, 1)
    expect(page.locator('#shelf [aria-pressed="true"]')).to_have_count(2)
    pick(page, 1)
    assert lists_in(page) == one
    do(page, page.locator("#picked button").click)
    assert lists_in(page) == start
    expect(page.locator('#shelf [aria-pressed="true"]')).to_have_count(0)


def test_a_hidden_item_never_comes_back(page: Page, server: ServerProcess) -> None:
    pick(page, 0)
    hidden = items_in(page)[0]
    do(page, button_of(page, "hide").click)

    def check() -> None:
        assert not any(hidden in items for items in lists_in(page))

    check()
    do(page, button_of(page, "pick", 3).click)
    check()
    open_details(page)
    for strategy in page.locator("#way-0 option:enabled").evaluate_all(
        "options => options.map(option => option.value)"
    ):
        do(page, lambda chosen=strategy: page.select_option("#way-0", chosen))  # type: ignore[misc]
        check()
    reload(page)
    check()
    answer = ask(server, picks_of(page), "auto", k=1000)
    assert hidden in ids_of(answer)  # which it would be in, had it not been hidden


def test_a_cross_leaves_a_chip_which_takes_it_back(page: Page) -> None:
    pick(page, 0)
    before, crossed = lists_in(page), page.locator("#crossed button")
    title = titles_in(page)[0]
    do(page, button_of(page, "hide").click)
    expect(crossed).to_have_text([title])
    expect(page.locator("#moved")).to_have_text(f"Removed {title}")
    reload(page)
    do(page, crossed.click)
    expect(crossed).to_have_count(0)
    expect(page.locator("#crossed-name")).to_be_hidden()
    assert lists_in(page) == before


def test_the_shelf_shows_others_and_what_is_found(page: Page, server: ServerProcess) -> None:
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


def test_a_profile_changes_the_list_and_a_reload_keeps_what_was_said(page: Page, server: ServerProcess) -> None:
    first = items_in(page)
    page.click("#options summary")
    with page.expect_request("**/v1/recommendations") as sent:
        do(page, lambda: page.select_option("#profile select[name=occupation]", "student"))
    assert json.loads(sent.value.post_data or "")["signals"]["profile"] == {"occupation": "student"}
    page.fill("#profile-age", "19")
    page.wait_for_function("() => JSON.parse(localStorage.getItem('firstday.said')).profile.age === 19")
    wait_until_calm(page)
    profile = {"age": 19, "profile": {"occupation": "student"}}
    assert items_in(page) == ids_of(ask(server, [], "auto", profile))[:SIZE]
    pick(page, 2)
    shown, place = lists_in(page), place_on_map(page)
    assert shown[0] == ids_of(ask(server, picks_of(page), "auto", profile))[:SIZE]
    reload(page)
    assert (lists_in(page), place_on_map(page)) == (shown, place)
    assert page.input_value("#profile-age") == "19"
    assert page.input_value("#profile select[name=occupation]") == "student"
    expect(page.locator("#options-said")).to_have_text("19 · student")
    search(page, "star")
    do(page, page.locator("#start-over").click)
    assert page.input_value("#search-text") == ""
    expect(page.locator("#shelf button")).to_have_count(12)
    assert items_in(page) == first
    assert said(page) == {}
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    reload(page)
    assert items_in(page) == first


def test_other_ways_are_compared(page: Page, server: ServerProcess) -> None:
    pick(page, 0, 1)
    page.click("#options summary")
    do(page, lambda: page.select_option("#way-1", "personal"))
    expect(page.locator(".column:nth-child(2) h3")).to_have_text("Nearest to your taste")
    assert lists_in(page)[1] == ids_of(ask(server, picks_of(page), "personal"))[:SIZE]
    offered = page.locator("#way-0 option:enabled").evaluate_all("all => all.map(one => one.value)")
    assert {"auto", "segment"} < set(offered)
    assert not {"personal", "popular"} & set(offered)  # which the other lists show
    page.click("#longer")
    expect(page.locator("#longer")).to_be_in_viewport()
    assert lists_in(page)[1] == ids_of(ask(server, picks_of(page), "personal"))[:20]
    page.click("#longer")
    assert len(items_in(page)) == SIZE


def test_a_group_is_looked_at(page: Page, server: ServerProcess) -> None:
    pick(page, 0)
    groups = httpx.get(f"{server.url}/v1/map").json()["segments"]
    near = ask(server, picks_of(page), "auto")["explanation"]["segments"][1]["segment"]

    def assert_shown(group: dict[str, Any]) -> None:
        expect(page.locator("#look-detail .title")).to_have_text([item["title"] for item in group["apart"]])
        expect(page.locator(".dot.chosen")).to_have_attribute("data-segment", str(group["segment"]))

    page.locator("#near button").nth(1).click()
    assert_shown(next(group for group in groups if group["segment"] == near))
    page.locator(".dot").first.dispatch_event("click")
    assert_shown(groups[0])
    page.focus("#map")
    page.keyboard.press("ArrowLeft")
    assert_shown(groups[-1])


def test_a_map_that_comes_last_shows_where_the_visitor_is(page: Page) -> None:
    pick(page, 0)
    place = place_on_map(page)
    held: list[Route] = []
    page.route("**/v1/map", lambda route: held.append(route))
    reload(page)
    assert page.locator("#near li").count() == 0
    (route,) = held
    route.continue_()
    assert place_on_map(page) == place
    expect(page.locator(".dot.close")).to_have_count(3)


def test_requests_are_shown_and_can_be_repeated(page: Page) -> None:
    pick(page, 0)
    page.click("#requests summary")
    page.wait_for_selector("#requests-which option", state="attached")
    expect(page.locator("#requests-which option:checked")).to_have_text("For you: POST /v1/recommendations → 200")
    curl = page.locator("#requests-curl").text_content() or ""
    assert "/v1/recommendations'" in curl
    assert '"strategy":"auto"' in curl
    shown: dict[str, Any] = page.evaluate(
        "JSON.parse(document.getElementById('requests-answer').textContent.split('\\n').slice(1).join('\\n'))"
    )
    assert ids_of(shown)[:SIZE] == items_in(page)


@pytest.mark.parametrize("first", [0, 1])
def test_a_slow_answer_does_not_replace_a_later_one(page: Page, server: ServerProcess, first: int) -> None:
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


def test_titles_of_the_lists_are_those_of_the_service(page: Page, server: ServerProcess) -> None:
    pick(page, 4)
    expected = [item["title"] for item in ask(server, picks_of(page), "auto")["items"]]
    assert titles_in(page) == expected[:SIZE]


def test_the_question_that_tells_most_is_answered_by_keyboard(page: Page, server: ServerProcess) -> None:
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


def find_question(server: ServerProcess, **answers: list[str]) -> str:
    return str(httpx.get(f"{server.url}/v1/onboarding", params=answers).json()["question"]["title"])
