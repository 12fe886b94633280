"""Titles that hold markup, 200 characters, other directions or nothing are shown as what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from firstday.model.folder import save_model
from firstday.recommend.recommender import Recommender
from tests.page.conftest import PHONE, OpenPage
from tests.page.visitor import FIRST, button_of, do, items_in, search, titles_in
from tests.serve.in_process import RunningApp, listening_app

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
def odd(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The small service, with odd titles on every item, the most used ones first."""
    model = recommender.model
    titles = [""] * model.n_items
    for place, item in enumerate(model.popular_items.tolist()):
        titles[item] = (*ODD, *EMPTY)[place % (len(ODD) + len(EMPTY))]
    folder = tmp_path_factory.mktemp("odd")
    catalogue = replace(model.catalogue, titles=tuple(titles))
    with listening_app(save_model(replace(model, catalogue=catalogue), folder / "model"), folder) as running:
        yield running


def test_odd_titles_are_text(open_page: OpenPage, odd: RunningApp) -> None:
    page = open_page(odd.url, PHONE)
    page.click("#longer")
    ids, shown = items_in(page), titles_in(page)
    assert {ODD.index(text) for text in shown if text in ODD} == set(range(len(ODD)))
    missing = [(item, text) for item, text in zip(ids, shown, strict=True) if text not in ODD]
    assert missing  # where there is no title, the id stands
    assert all(item == text for item, text in missing)
    tooltips = page.locator(f"{FIRST} .title").evaluate_all("all => all.map(one => one.title)")
    assert tooltips == shown
    for _ in range(6):
        do(page, button_of(page, "pick").click)
    do(page, button_of(page, "hide").click)
    do(page, page.locator("#others").click)
    search(page, "i0")
    assert page.evaluate("document.title") == "firstday: pick three you like"
    assert page.locator("main img, main script, main b, main i").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    directions = dict(
        page.locator("main .title").evaluate_all(
            "all => all.map(one => [one.textContent, getComputedStyle(one).direction])"
        )
    )
    assert {directions[text] for text in ODD[5:7] if text in directions} == {"rtl"}
    of_one = {direction for text, direction in directions.items() if text in ODD and text not in ODD[5:7]}
    assert of_one == {"ltr"}
    outside = page.evaluate(
        """() => [...document.querySelectorAll('.title')]
            .filter(one => {
                const own = one.getBoundingClientRect(), box = one.parentElement.getBoundingClientRect();
                return own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1;
            }).map(one => one.textContent)"""
    )
    assert outside == []
