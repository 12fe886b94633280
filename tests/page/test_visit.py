"""Somebody new sits down: what they say moves the lists and the map, is kept, and can be forgotten."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Page, Route, expect
from serve_process import ServerProcess

from tests.page.visitor import (
    button_of,
    do,
    find_and_like,
    items_in,
    place_on_map,
    reload,
    reply,
    titles_in,
    visitor_id,
    wait_until_calm,
)


def test_three_titles_change_the_list_and_move_the_visitor(page: Page) -> None:
    before = items_in(page)
    start = place_on_map(page)
    assert len(before) == 20
    expect(page.locator("#mixed .about")).to_contain_text("Nothing is known of you yet")
    assert page.locator("#speaking .list").count() == 0
    drawn = page.locator("#map .you").get_attribute("transform")
    seen = [before]
    places = [start]
    for _ in range(3):
        reply(page, "yes")
        seen.append(items_in(page))
        places.append(place_on_map(page))
    assert len({tuple(one) for one in seen}) == 4
    assert len(set(places)) == 4
    assert page.locator("#speaking .list").count() >= 1
    expect(page.locator("#told-count")).to_have_text("3 liked")
    expect(page.locator("#moved")).to_contain_text("Your list changed")
    page.wait_for_function("old => document.querySelector('#map .you').getAttribute('transform') !== old", arg=drawn)
    assert page.locator("#near li").count() == 5
    assert page.locator("#map .dot").count() >= 30


def test_a_map_that_comes_last_shows_where_the_visitor_is(page: Page) -> None:
    reply(page, "yes")
    place = place_on_map(page)
    held: list[Route] = []
    page.route("**/v1/map", lambda route: held.append(route))
    reload(page)
    assert page.locator("#near li").count() == 5
    assert page.locator("#map .dot").count() == 0
    (route,) = held
    route.continue_()
    assert place_on_map(page) == place
    assert page.locator("#map .number").count() == 5


def test_the_page_shows_what_the_service_answers(page: Page, server: ServerProcess) -> None:
    do(page, lambda: page.locator("#strategy").select_option("soft_segments"))
    reply(page, "yes", "yes")
    user = f"{server.url}/v1/users/{visitor_id(page)}"
    answer = httpx.get(f"{user}/recommendations", params={"strategy": "soft_segments", "k": 22}).json()
    told = [event["entity_id"] for event in httpx.get(user).json()["events"]]
    expected = [item["title"] for item in answer["items"] if str(item["item_id"]) not in told]
    assert titles_in(page) == expected[:20]
    near = httpx.get(f"{user}/segments").json()
    assert place_on_map(page) == (round(near["place"]["x"], 4), round(near["place"]["y"], 4))
    weights = page.locator("#near .near-weight").all_text_contents()
    assert [int(text.rstrip("%")) for text in weights] == [round(100 * one["weight"]) for one in near["segments"]]
    reasons = page.locator("#mixed .reason").all_text_contents()
    assert all(re.search(r"\d+% of people near you", reason) for reason in reasons), reasons


def test_a_banned_title_never_comes_back(page: Page, server: ServerProcess) -> None:
    reply(page, "yes")
    banned = items_in(page)[0]
    title = titles_in(page)[0]
    do(page, button_of(page, "ban").click)

    def check() -> None:
        assert banned not in items_in(page, ".tile")
        assert title not in page.locator("main .title").all_text_contents()

    check()
    do(page, button_of(page, "like", 3).click)
    check()
    for strategy in page.locator("#strategy option").evaluate_all("options => options.map(option => option.value)"):
        do(page, lambda chosen=strategy: page.select_option("#strategy", chosen))  # type: ignore[misc]
        check()
    reload(page)
    check()
    url = f"{server.url}/v1/users/{visitor_id(page)}/recommendations"
    whole = httpx.get(url, params={"k": 1000}).json()["items"]
    assert banned not in [str(item["item_id"]) for item in whole]


def test_a_skipped_title_is_set_aside(page: Page) -> None:
    skipped = items_in(page)[0]
    do(page, button_of(page, "skip").click)
    reload(page)
    assert skipped not in items_in(page, ".tile")
    expect(page.locator("#told-count")).to_have_text("1 skipped")


def test_a_profile_changes_the_list_and_a_reload_keeps_the_user(page: Page, server: ServerProcess) -> None:
    first = items_in(page)
    do(page, lambda: page.select_option("#profile select[name=occupation]", "student"))
    second = items_in(page)
    assert second != first
    with page.expect_response(lambda response: "/recommendations" in response.url):
        page.fill("#profile-age", "19")
    wait_until_calm(page)
    reply(page, "yes")
    reply(page, "no")
    find_and_like(page, "monty python")
    user = visitor_id(page)
    shown = items_in(page)
    place = place_on_map(page)
    told = page.locator("#told .told-title").all_text_contents()
    asked = page.locator("#asked").text_content()
    known = httpx.get(f"{server.url}/v1/users/{user}").json()
    assert (known["age"], known["profile"]) == (19, {"occupation": "student"})
    assert len(known["events"]) == 2
    reload(page)
    assert (visitor_id(page), items_in(page), place_on_map(page)) == (user, shown, place)
    assert page.locator("#told .told-title").all_text_contents() == told
    assert "Monty Python" in told[0]
    assert page.locator("#asked").text_content() == asked
    assert page.input_value("#profile-age") == "19"
    assert page.input_value("#profile select[name=occupation]") == "student"
    assert page.locator("#profile-said").text_content() == "19, student"


def test_forgetting_deletes_everything(page: Page, server: ServerProcess) -> None:
    first = items_in(page)
    reply(page, "yes", "yes")
    user = visitor_id(page)
    assert httpx.get(f"{server.url}/v1/users/{user}").status_code == 200
    page.click("#forget")
    page.click("#sure-no")
    assert httpx.get(f"{server.url}/v1/users/{user}").status_code == 200
    page.click("#forget")
    do(page, page.locator("#sure-yes").click)
    expect(page.locator("#notice")).to_contain_text("forgotten")
    assert httpx.get(f"{server.url}/v1/users/{user}").status_code == 404
    assert items_in(page) == first
    expect(page.locator("#told-card")).to_be_hidden()
    assert page.evaluate("localStorage.length") == 0
    reload(page)
    assert items_in(page) == first


def test_two_strategies_are_compared(page: Page, server: ServerProcess) -> None:
    reply(page, "yes", "yes")
    page.click("#compare")
    page.wait_for_selector("#mixed .column:nth-child(2) li")
    page.select_option("#other", "personal")
    expect(page.locator("#mixed .column:nth-child(2) h3")).to_have_text("Nearest to your taste")
    columns = [page.locator(f"#mixed .column:nth-child({n}) .title").all_text_contents() for n in (1, 2)]
    assert [len(titles) for titles in columns] == [20, 20]
    shared = len(set(columns[0]) & set(columns[1]))
    expect(page.locator("#mixed > .about")).to_have_text(f"{shared} of 20 are in both lists.")
    assert page.locator("#mixed .column:nth-child(1) .only").count() == 20 - shared
    user = f"{server.url}/v1/users/{visitor_id(page)}/recommendations"
    answer = httpx.get(user, params={"strategy": "personal", "k": 20}).json()
    assert columns[1] == [item["title"] for item in answer["items"]]
    page.click("#compare")
    wait_until_calm(page)
    assert len(items_in(page)) == 20


def test_the_panel_shows_a_request_that_can_be_repeated(page: Page) -> None:
    reply(page, "yes")
    page.click("#panel-toggle")
    curl = page.locator("#panel-curl").text_content() or ""
    url = re.search(r"'(http[^']+)'", curl)
    assert url is not None
    assert "/recommendations?" in url[1]
    shown = page.evaluate("JSON.parse(document.getElementById('panel-answer').textContent)")
    assert httpx.get(url[1]).json() == shown
    options = page.locator("#panel-which option").all_text_contents()
    events = next(at for at, text in enumerate(options) if text.startswith("POST events"))
    page.select_option("#panel-which", str(events))
    assert '"signal": "stream"' not in curl
    assert "-X POST" in (page.locator("#panel-curl").text_content() or "")
    assert page.evaluate("JSON.parse(document.getElementById('panel-answer').textContent)") == {
        "accepted": 1,
        "duplicates": 0,
        "not_understood": 0,
        "ignored": [],
    }


def test_a_no_moves_the_list_of_answers(page: Page, server: ServerProcess) -> None:
    expect(page.locator("#by-answers")).to_be_hidden()
    seen = []
    for n_noes in (1, 2, 3):
        asked = page.locator("#asked").text_content()
        reply(page, "no")
        expect(page.locator("#by-answers .about")).to_contain_text(f"{n_noes} so far")
        expect(page.locator("#told-count")).to_have_text(f"{n_noes} no")
        seen.append(items_in(page, "#by-answers .tile"))
        assert len(seen[-1]) == len(items_in(page)) == 20
        assert asked not in page.locator(".tile .title").all_text_contents()
        expect(page.locator("#moved")).to_contain_text("The list from your answers changed")
    assert len({tuple(one) for one in seen}) == 3
    reply(page, "yes")
    passed = page.evaluate("JSON.parse(localStorage.getItem('firstday.visitor')).passed")
    (liked,) = [event["entity_id"] for event in httpx.get(f"{server.url}/v1/users/{visitor_id(page)}").json()["events"]]
    answer = httpx.get(f"{server.url}/v1/onboarding", params={"liked": liked, "passed": passed, "k": 20}).json()
    expected = [item["title"] for item in answer["items"]]
    assert titles_in(page, "#by-answers .tile") == expected
    reload(page)
    assert titles_in(page, "#by-answers .tile") == expected
    page.click("#compare")
    expect(page.locator("#by-answers")).to_be_hidden()
    do(page, page.locator("#compare").click)
    liked_there = items_in(page, "#by-answers .tile")[0]
    do(page, page.locator("#by-answers .tile").first.locator("[data-what=like]").click)
    assert liked_there not in items_in(page, ".tile")
    expect(page.locator("#told-count")).to_have_text("2 liked, 3 no")
    page.click("#forget")
    do(page, page.locator("#sure-yes").click)
    expect(page.locator("#by-answers")).to_be_hidden()


def test_a_slow_answer_does_not_bring_an_answered_question_back(page: Page) -> None:
    held: list[Route] = []

    def hold_until(n: int) -> None:
        for _ in range(100):
            if len(held) == n:
                return
            page.wait_for_timeout(50)
        raise AssertionError(f"{len(held)} of {n} requests came")

    page.route("**/v1/onboarding*", lambda route: held.append(route))
    button_of(page, "like").click()
    hold_until(1)
    page.locator("#answer-no").click()
    hold_until(2)
    held[1].continue_()
    about, asked = page.locator("#by-answers .about"), page.locator("#asked")
    expect(about).to_contain_text("2 so far")
    question = asked.text_content() or ""
    with page.expect_response("**/v1/onboarding*"):
        held[0].continue_()
    wait_until_calm(page)
    expect(about).to_contain_text("2 so far")
    expect(asked).to_have_text(question)
    page.unroute("**/v1/onboarding*")
    reply(page, "no")
    expect(about).to_contain_text("3 so far")
    expect(page.locator("#told-count")).to_have_text("1 liked, 2 no")
    find_and_like(page, question)  # who said no may yet like it
    expect(page.locator("#told-count")).to_have_text("2 liked, 1 no")
    expect(about).to_contain_text("3 so far")
