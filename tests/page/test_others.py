"""What was passed over does not come back, what was learned from it is shown, and it can be brought back."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from playwright.sync_api import Page, expect
from serve_process import ServerProcess

from firstday.recommend.recommender import Recommender
from tests.page.conftest import PHONE, OpenPage, StartServer
from tests.page.visitor import ask, do, items_in, lists_in, pick, picks_of, reload
from tests.serve.conftest import ids_of


def write_chance(share: float) -> str:
    """Write a probability as the page does, halves rounded up."""
    return "over 99%" if share > 0.99 else "under 1%" if share < 0.01 else f"{int(100 * share + 0.5)}%"


def test_others_are_shown_and_brought_back(page: Page, server: ServerProcess) -> None:
    pick(page, 0)
    start = lists_in(page)
    shown: list[str] = []
    lesson = page.locator("#lesson")
    expect(lesson).to_be_empty()
    for _ in range(3):
        shown = list(dict.fromkeys([*shown, *chain(*lists_in(page))]))
        do(page, page.locator("#others").click)
        answer = ask(server, picks_of(page), "auto", {"shown": shown})
        assert items_in(page) == [item for item in ids_of(answer) if item not in shown][:8]
        assert not any(set(items) & set(shown) for items in lists_in(page))
        learned = answer["explanation"]["learned"]
        text = lesson.text_content() or ""
        assert text.startswith(f"{learned['n_passed_over']} passed over.")
        for one in (*learned["risen"], *learned["fallen"]):
            numbers = f"({write_chance(one['before'])} → {write_chance(one['after'])})"
            is_large = abs(one["after"] - one["before"]) >= 0.1
            assert (f"{' · '.join(one['titles'])} {numbers}" in text) == is_large
    others = items_in(page)
    reload(page)
    assert items_in(page) == others
    do(page, page.locator("#others-back").click)
    assert lists_in(page) == start
    expect(lesson).to_be_empty()
    expect(page.locator("#others-back")).to_be_hidden()


def test_only_what_was_on_view_counts_as_passed_over(open_page: OpenPage, server: ServerProcess) -> None:
    page = open_page(viewport=PHONE)
    pick(page, 0)
    assert len(items_in(page)) == 5
    shown = list(dict.fromkeys(chain(*lists_in(page))))
    do(page, page.locator("#others").click)
    answer = ask(server, picks_of(page), "auto", {"shown": shown})
    assert items_in(page) == [item for item in ids_of(answer) if item not in shown][:5]


def test_others_end_where_everything_was_shown(
    start_server: StartServer, open_page: OpenPage, recommender: Recommender, tmp_path: Path
) -> None:
    page = open_page(start_server(recommender.save(tmp_path / "model")).url)
    page.click("#longer")
    shown: list[str] = []
    while items := set(chain(*lists_in(page))):
        shown += items
        do(page, page.locator("#others").click)
    n_listed = recommender.model.n_items - len(recommender.model.unlisted)
    assert len(shown) == len(set(shown)) == n_listed
    expect(page.locator("#others")).to_be_disabled()
    expect(page.locator(".column").first).to_contain_text("Nothing is left for this list.")
    do(page, page.locator("#others-back").click)
    assert items_in(page)
