"""Rounds: what was passed over does not come back, what was learned is told, and a round can be taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from serve_process import ServerProcess

from firstday.recommend.recommender import Recommender
from tests.page.conftest import OpenPage, StartServer
from tests.page.visitor import begin_rounds, find_and_like, items_in, titles_in, visitor_id, wait_for_round
from tests.serve.conftest import ids_of

PICKS = "#slate .pick"
NARROW = {"width": 360, "height": 740}


def use(page: Page, *places: int) -> list[str]:
    """Mark what stands at some places of the slate; return the ids."""
    for place in places:
        page.locator(PICKS).nth(place).click()
    return [items_in(page, PICKS)[place] for place in places]


def go_on(page: Page, number: int) -> None:
    page.click("#round-next")
    wait_for_round(page, number)


def use_of(items: list[str]) -> list[dict[str, str]]:
    return [{"signal": "stream", "entity_id": item} for item in items]


def ask(server: ServerProcess, used: list[str], shown: list[str], k: int, **wanted: Any) -> dict[str, Any]:
    """Ask the service what the page should have asked."""
    body = {"signals": {"interactions": use_of(used), "shown": shown}, "k": k, "explain": True, **wanted}
    answer = httpx.post(f"{server.url}/v1/recommendations", json=body)
    assert answer.status_code == 200, answer.text
    values: dict[str, Any] = answer.json()
    return values


def write_chance(share: float) -> str:
    """Write a probability as the page does, halves rounded up."""
    return "over 99%" if share > 0.99 else "under 1%" if share < 0.01 else f"{int(100 * share + 0.5)}%"


@pytest.mark.parametrize(
    ("viewport", "size"), [({"width": 1280, "height": 800}, 12), (NARROW, 6)], ids=["wide", "narrow"]
)
def test_three_rounds(open_page: OpenPage, server: ServerProcess, viewport: dict[str, int], size: int) -> None:
    page = open_page(viewport=viewport)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    begin_rounds(page)
    expect(page.locator("#lesson")).to_be_hidden()
    expect(page.locator("#round-back")).to_be_disabled()
    slates: list[list[str]] = []
    used: list[str] = []
    shown: list[str] = []
    seen: list[str] = []
    for number, places in enumerate([(1, 4), (), (0, 2, 3)], 1):
        slate = items_in(page, PICKS)
        answer = ask(server, used, shown, size)
        assert titles_in(page, PICKS) == [item["title"] for item in answer["items"]]
        assert slate == ids_of(answer)
        assert len(slate) == size
        assert not set(slate) & set(shown)  # neither what was used nor what was passed over comes back
        if number > 1:
            learned = answer["explanation"]["learned"]
            assert (learned["n_passed_over"], learned["n_used"]) == (len(shown) - len(used), len(used))
            assert_told(page, learned)
        slates.append(slate)
        seen.append(page.locator("#rounds").inner_text())
        shown += slate
        used += use(page, *places)
        expect(page.locator("#marked")).to_have_text(f"{len(places)} to use, {size - len(places)} to pass over")
        go_on(page, number + 1)
    page.click("#round-back")
    wait_for_round(page, 3)
    assert items_in(page, PICKS) == slates[2]
    pressed = page.locator(PICKS).evaluate_all("all => all.map(one => one.getAttribute('aria-pressed'))")
    assert [place for place, state in enumerate(pressed) if state == "true"] == [0, 2, 3]
    use(page, 0, 2, 3)  # taken back
    assert page.locator("#rounds").inner_text() == seen[2]
    page.click("#round-back")
    wait_for_round(page, 2)
    assert page.locator("#rounds").inner_text() == seen[1]
    go_on(page, 3)
    assert page.locator("#rounds").inner_text() == seen[2]  # who does the same again sees the same again
    page.click("#round-anew")
    wait_for_round(page, 1)
    assert items_in(page, PICKS) == slates[0]
    expect(page.locator("#learned-changes")).to_be_hidden()
    assert set(asked) == {f"POST {server.url}/v1/recommendations"}  # which keeps nothing
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    page.click("#walk")
    expect(page.locator("#rounds")).to_be_hidden()
    expect(page.locator("#mixed")).to_be_visible()


def assert_told(page: Page, learned: dict[str, Any]) -> None:
    """Check the sentence and the segments beside it against the service's answer."""
    sentence = page.locator("#lesson").text_content() or ""
    used = f" and {learned['n_used']} that you used" if learned["n_used"] else ""
    assert sentence.startswith(f"From {learned['n_passed_over']} that you passed over{used}: ")
    for words, kind in (("more like", "risen"), ("less like", "fallen")):
        most = learned[kind][0]
        numbers = f"({write_chance(most['before'])} → {write_chance(most['after'])})"
        assert f"{words} people who use {', '.join(most['titles'])} {numbers}" in sentence
        rows = page.locator(f".changes.{kind} li")
        assert [int(row.get_attribute("data-segment") or -1) for row in rows.all()] == [
            one["segment"] for one in learned[kind]
        ]
        for row, one in zip(rows.all(), learned[kind], strict=True):
            expect(row).to_contain_text(f"from {write_chance(one['before'])} to {write_chance(one['after'])}")
            expect(row.locator(".near-name")).to_have_text(" · ".join(one["titles"]))


def test_the_round_is_asked_for_anew_by_another_strategy_and_by_who_one_is(
    open_page: OpenPage, server: ServerProcess
) -> None:
    page = open_page(viewport={"width": 1280, "height": 800})
    begin_rounds(page)
    shown = items_in(page, PICKS)
    used = use(page, 3)
    go_on(page, 2)
    for strategy in ("explore", "segment"):
        with page.expect_response("**/v1/recommendations"):
            page.select_option("#strategy", strategy)
        wait_for_round(page, 2)
        answer = ask(server, used, shown, 12, strategy=strategy)
        assert items_in(page, PICKS) == ids_of(answer)
        assert answer["route"] == strategy
    page.click("#profile-card summary")
    with page.expect_response("**/v1/recommendations"):
        page.select_option("#profile select[name=occupation]", "student")
    wait_for_round(page, 2)
    body = {"signals": {"profile": {"occupation": "student"}, "interactions": use_of(used), "shown": shown}, "k": 12}
    answer = httpx.post(f"{server.url}/v1/recommendations", json={**body, "strategy": "segment"}).json()
    assert items_in(page, PICKS) == ids_of(answer)


def test_what_was_said_before_counts_and_forgetting_begins_again(page: Page, server: ServerProcess) -> None:
    find_and_like(page, "toy story")
    liked = httpx.get(f"{server.url}/v1/users/{visitor_id(page)}").json()["events"][0]["entity_id"]
    begin_rounds(page)
    first = items_in(page, PICKS)
    assert first == ids_of(ask(server, [liked], [], 13))[:12]
    go_on(page, 2)
    page.click("#forget")
    page.click("#sure-yes")
    wait_for_round(page, 1)
    assert items_in(page, PICKS) == ids_of(ask(server, [], [], 12))


def test_next_waits_for_a_service_that_is_away(open_page: OpenPage) -> None:
    page = open_page(allowed="ERR_FAILED")
    begin_rounds(page)
    first = items_in(page, PICKS)
    page.route("**/v1/recommendations", lambda route: route.abort())
    page.route("**/readyz", lambda route: route.abort())
    page.click("#round-next")
    expect(page.locator("#notice")).to_contain_text("The service does not answer.")
    assert items_in(page, PICKS) == first
    page.unroute("**/readyz")
    page.unroute("**/v1/recommendations")
    wait_for_round(page, 2)
    assert not set(items_in(page, PICKS)) & set(first)


def test_rounds_end_where_everything_was_shown(
    start_server: StartServer, open_page: OpenPage, recommender: Recommender, tmp_path: Path
) -> None:
    server = start_server(recommender.save(tmp_path / "model"))
    page = open_page(server.url)
    begin_rounds(page)
    shown: list[str] = []
    n_listed = recommender.model.n_items - len(recommender.model.unlisted)
    for number in range(2, n_listed // 12 + 3):
        shown += items_in(page, PICKS)
        page.click("#round-next")
        expect(page.locator("#round-name")).to_have_text(f"Round {number}")
    shown += items_in(page, PICKS)
    assert len(shown) == len(set(shown)) == n_listed
    while items_in(page, PICKS):
        number += 1
        page.click("#round-next")
        expect(page.locator("#round-name")).to_have_text(f"Round {number}")
    expect(page.locator("#round-about")).to_have_text("That was everything there is.")
    expect(page.locator("#round-next")).to_be_disabled()
    page.click("#round-back")
    wait_for_round(page, number - 1)
