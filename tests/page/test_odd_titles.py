"""Titles that hold markup, 200 characters, other directions or nothing are shown as what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect
from serve_process import ServerProcess

from firstday.model.folder import save_model
from firstday.recommend.recommender import Recommender
from tests.page.conftest import PHONE, WIDE, OpenPage
from tests.page.visitor import begin_rounds, button_of, do, items_in, reply, titles_in, wait_for_round, wait_until_calm

ODD = (
    "<img src=x onerror=\"document.title='owned'\">",
    "<script>document.title = 'owned'</script>",
    "</p></li><b>Bold</b> &amp; &lt;i&gt; \"quoted\" 'too'",
    "x" * 200,
    ("A title that goes on and on, " * 8)[:200],
    "שלום עולם (1995)",
    "مرحبا بالعالم: الجزء ٢",
    "{{ 7 * 7 }} ${7 * 7} %s \\u003cb\\u003e",
    "👩‍👩‍👧‍👦 Ünïcödé ﷽",
)
EMPTY = ("", "   ")


@pytest.fixture(scope="module")
def odd(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The small service, with odd titles on every item, the most used ones first."""
    model = recommender.model
    titles = [""] * model.n_items
    for place, item in enumerate(model.popular_items.tolist()):
        titles[item] = (*ODD, *EMPTY)[place % (len(ODD) + len(EMPTY))]
    folder = tmp_path_factory.mktemp("odd")
    catalogue = replace(model.catalogue, titles=tuple(titles))
    running = ServerProcess(save_model(replace(model, catalogue=catalogue), folder / "model"), folder)
    yield running
    running.stop()


def look_at_everything(page: Page) -> None:
    wait_until_calm(page)
    page.locator("details").evaluate_all("all => all.forEach(one => (one.open = true))")
    reply(page, *["yes"] * 6)
    do(page, button_of(page, "ban").click)
    page.fill("#search-text", "i0")
    expect(page.locator("#found-count")).not_to_be_empty()
    page.select_option("#look", index=1)


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_odd_titles_are_text(open_page: OpenPage, odd: ServerProcess, viewport: dict[str, int]) -> None:
    page = open_page(odd.url, viewport)
    ids = items_in(page)
    shown = titles_in(page)
    places = [ODD.index(text) for text in shown if text in ODD]
    assert set(places) == set(range(len(ODD)))
    missing = [(item, text) for item, text in zip(ids, shown, strict=True) if text not in ODD]
    assert missing  # where there is no title, the id stands
    assert all(item == text for item, text in missing)
    tooltips = page.locator("#mixed .title").evaluate_all("all => all.map(one => one.title)")
    assert tooltips == shown
    look_at_everything(page)
    assert page.evaluate("document.title") == "firstday: your first list"
    assert page.locator("main img, main script, main b, main i").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    directions = dict(
        page.locator("main .tile .title").evaluate_all(
            "all => all.map(one => [one.textContent, getComputedStyle(one).direction])"
        )
    )
    assert {directions[text] for text in ODD[5:7] if text in directions} == {"rtl"}
    assert {direction for text, direction in directions.items() if text not in ODD[5:7]} == {"ltr"}
    outside = page.evaluate(
        """() => [...document.querySelectorAll('.tile .title, .near-name, .told-title, .segment-name, .look-title')]
            .filter(one => {
                const own = one.getBoundingClientRect(), box = one.parentElement.getBoundingClientRect();
                return own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1;
            }).map(one => one.className)"""
    )
    assert outside == []


def test_odd_titles_are_text_in_rounds(open_page: OpenPage, odd: ServerProcess) -> None:
    page = open_page(odd.url, PHONE)
    begin_rounds(page)
    page.locator("#slate .pick").first.click()
    page.click("#round-next")
    wait_for_round(page, 2)
    ids, shown = items_in(page, "#slate .pick"), titles_in(page, "#slate .pick")
    assert set(shown) & set(ODD)
    assert all(text in ODD or text == item for item, text in zip(ids, shown, strict=True))
    names = page.locator("#learned bdi, #lesson bdi").all_text_contents()
    assert names
    assert all(text.strip() for text in names)
    assert page.evaluate("document.title") == "firstday: your first list"
    assert page.locator("main img, main script, main b, main i").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_long_title_can_be_read_whole_without_a_mouse(open_page: OpenPage, odd: ServerProcess) -> None:
    page = open_page(odd.url, PHONE)
    tile = page.locator("#mixed .tile", has_text="A title that goes on and on").first
    title = tile.locator(".title")
    is_cut = "one => one.scrollHeight > one.clientHeight + 2"
    assert title.evaluate(is_cut)
    tile.get_by_role("button", name="Whole title").click()
    assert not title.evaluate(is_cut)
    assert title.text_content() == ODD[4]
