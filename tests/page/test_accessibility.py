"""axe finds nothing, in any state, theme or size; and everything can be done by keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page.conftest import PHONE, WIDE, OpenPage
from tests.page.visitor import (
    MIXED,
    begin_rounds,
    button_of,
    do,
    items_in,
    reply,
    titles_in,
    wait_for_round,
    wait_until_calm,
)

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def assert_accessible(page: Page, state: str, schemes: Sequence[Scheme] = ("light",)) -> None:
    """Check that axe finds nothing, and that nothing stands out at the side."""
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{state}, {scheme}:\n{found.generate_report()}"
    assert_fits(page, state)


def assert_fits(page: Page, state: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state


@pytest.mark.parametrize("viewport", [WIDE, {"width": 360, "height": 760}], ids=["wide", "phone"])
def test_axe_finds_no_violation(open_page: OpenPage, viewport: dict[str, int]) -> None:
    # Under the page's own policy axe may not build its elements.
    page = open_page(viewport=viewport, bypass_csp=True, reduced_motion="reduce")
    assert_accessible(page, "new")
    reply(page, "yes", "yes")
    do(page, button_of(page, "ban").click)
    page.locator("details").evaluate_all("all => all.forEach(one => (one.open = true))")
    page.fill("#search-text", "star")
    page.wait_for_selector("#found button")
    page.select_option("#look", index=2)
    assert_accessible(page, "after some answers", SCHEMES)
    page.click("#compare")
    page.wait_for_selector("#mixed .column:nth-child(2) li")
    page.click("#panel-toggle")
    assert_accessible(page, "comparing, with requests", ["dark"])
    page.click("#panel-close")
    page.click("#forget")
    assert_accessible(page, "asked whether to forget", ["dark"])
    page.click("#sure-no")
    do(page, page.locator("#compare").click)
    begin_rounds(page)
    assert_accessible(page, "the first round")
    page.locator("#slate .pick").nth(1).click()
    page.click("#round-next")
    wait_for_round(page, 2)
    page.locator("#slate .pick").nth(2).click()
    page.mouse.move(0, 0)
    assert_accessible(page, "the second round", SCHEMES)


@pytest.mark.parametrize("viewport", [PHONE, {"width": 320, "height": 640}], ids=["phone", "small-phone"])
def test_what_is_touched_is_large_enough(open_page: OpenPage, viewport: dict[str, int]) -> None:
    page = open_page(viewport=viewport, has_touch=True)
    reply(page, "yes")
    page.locator("details").evaluate_all("all => all.forEach(one => (one.open = true))")
    assert_large(page, "phone")
    begin_rounds(page)
    assert_large(page, "rounds on a phone")


def assert_large(page: Page, state: str) -> None:
    """Check that everything that is touched has 44 pixels in height and width, and that nothing stands out."""
    small: list[Any] = page.eval_on_selector_all(
        "button, input, select, summary",
        """all => all.filter(one => one.offsetParent !== null)
            .map(one => [one.id || one.textContent, one.offsetWidth, one.offsetHeight])
            .filter(([, width, height]) => width < 44 || height < 44)""",
    )
    assert small == [], state
    assert_fits(page, state)


def test_everything_can_be_done_by_keyboard(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    press = page.keyboard.press

    def is_focused(selector: str) -> bool:
        return bool(page.evaluate("selector => document.activeElement.matches(selector)", selector))

    def tab_to(selector: str, key: str = "Tab") -> None:
        for _ in range(60):
            press(key)
            if is_focused(selector):
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        raise AssertionError(f"no way to {selector}")

    tab_to(".jump")
    tab_to("#answer-yes")
    for _ in range(2):
        do(page, lambda: press("Enter"))
    expect(page.locator("#told-count")).to_have_text("2 liked")
    tab_to("#search-text")
    page.keyboard.type("fargo")
    page.wait_for_selector("#found button")
    tab_to("#found button")
    do(page, lambda: press("Enter"))
    assert is_focused("#search-text")
    tab_to("#strategy")
    for key in ("ArrowUp", "ArrowDown"):
        do(page, lambda pressed=key: press(pressed))  # type: ignore[misc]
        assert (page.input_value("#strategy") == "auto") == (key == "ArrowDown")
    tab_to(f"{MIXED} [data-what=like]")
    first = titles_in(page)[0]
    do(page, lambda: press("Enter"))
    assert first not in titles_in(page)
    assert is_focused("[data-what=like]")  # on the tile that took its place
    focused = "document.activeElement.closest('.tile').dataset.item"
    at = items_in(page).index(page.evaluate(focused))  # the new list may have moved that tile, and the focus with it
    press("ArrowRight")
    press("ArrowRight")
    assert page.evaluate(focused) == items_in(page)[at + 2]
    tab_to(f"{MIXED} [data-what=ban]")
    banned = page.evaluate("document.activeElement.closest('.tile').dataset.item")
    do(page, lambda: press("Space"))
    assert banned not in items_in(page)
    assert is_focused("[data-what=ban]")
    tab_to("#look")
    press("ArrowDown")
    expect(page.locator("#look-detail")).to_contain_text("people")
    tab_to("#panel-toggle", "Shift+Tab")
    press("Enter")
    expect(page.locator("#panel")).to_be_visible()
    press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    assert is_focused("#panel-toggle")
    tab_to("#walk")
    press("Enter")
    wait_for_round(page, 1)
    tab_to("#slate .pick")
    press("Space")
    expect(page.locator("#marked")).to_have_text("1 to use, 11 to pass over")
    tab_to("#round-next")
    press("Enter")
    wait_for_round(page, 2)
    assert is_focused("#round-name")
    press("Tab")
    assert page.evaluate("document.activeElement === document.querySelector('#slate .pick')")
    tab_to("#round-back")
    press("Enter")
    expect(page.locator("#marked")).to_have_text("1 to use, 11 to pass over")
    tab_to("#walk", "Shift+Tab")
    press("Enter")
    expect(page.locator("#rounds")).to_be_hidden()
    wait_until_calm(page)
    tab_to("#forget")
    press("Enter")
    expect(page.locator("#sure")).to_be_visible()
    if not is_focused("#sure-yes"):
        tab_to("#sure-yes")
    do(page, lambda: press("Enter"))
    expect(page.locator("#told-card")).to_be_hidden()
