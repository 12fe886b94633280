"""axe finds nothing, in any state, theme or size; and everything can be done by keyboard."""

from __future__ import annotations

import re
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page.conftest import OpenPage
from tests.page.visitor import (
    button_of,
    do,
    entries_of,
    items_in,
    open_details,
    pick,
    picks_of,
    wait_until_calm,
)

DESKTOP = {"width": 1280, "height": 900}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def assert_accessible(page: Page, state: str) -> None:
    """Check that axe finds nothing, light and dark, and that nothing stands out at the side."""
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{state}, {scheme}:\n{found.generate_report()}"
    assert_fits(page, state)


def assert_fits(page: Page, state: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state


def test_axe_finds_no_violation(open_page: OpenPage) -> None:
    # Under the page's own policy axe may not build its elements.
    page = open_page(viewport=DESKTOP, bypass_csp=True, reduced_motion="reduce")
    page.wait_for_selector("#shelf button")
    assert_accessible(page, "new")
    pick(page, 0, 1, 2)
    page.mouse.move(0, 0)
    do(page, button_of(page, "hide").click)
    do(page, page.locator("#others").click)
    page.click("#longer")
    open_details(page)
    page.fill("#search-text", "star")
    page.wait_for_selector("#found:not(:empty)")
    do(page, lambda: page.select_option("#way-2", "personal"))
    assert_accessible(page, "others, everything open")


def test_a_wrong_filter_is_said_below_it_and_the_lists_stay(open_page: OpenPage) -> None:
    page = open_page(bypass_csp=True, allowed="422 (Unprocessable", reduced_motion="reduce")
    before, wrong = items_in(page), page.locator("#filter-wrong")
    page.click("#options summary")
    page.fill("#filter-text", 'gender == "Horror"')
    page.keyboard.press("Enter")
    expect(wrong).to_have_text(re.compile("^items have no column 'gender'"))
    expect(page.locator("#filter-about")).to_have_text("Columns: genre")
    expect(page.locator("#filter-text")).to_have_attribute("aria-invalid", "true")
    wait_until_calm(page)
    assert_accessible(page, "a wrong filter")
    assert items_in(page) == before


def test_what_is_touched_is_large_enough(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 320, "height": 640}, has_touch=True)
    pick(page, 0, 1, 2)
    do(page, page.locator("#others").click)
    open_details(page)
    assert_large(page, "phone")


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


class Keyboard:
    """A visitor without a mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.press = page.keyboard.press

    def is_at(self, selector: str) -> bool:
        """Return whether the focus is on an element."""
        return bool(self.page.evaluate("selector => document.activeElement.matches(selector)", selector))

    def tab_to(self, selector: str, key: str = "Tab") -> None:
        """Press Tab until the focus, which must be visible, is on an element."""
        for _ in range(200):
            self.press(key)
            if self.is_at(selector):
                assert self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        raise AssertionError(f"no way to {selector}")


def test_everything_else_can_be_done_by_keyboard(open_page: OpenPage) -> None:
    page = open_page(viewport=DESKTOP, reduced_motion="reduce")
    page.wait_for_selector("#shelf button")
    keys = Keyboard(page)
    keys.tab_to(".jump")
    keys.tab_to("#search-text")
    page.keyboard.type("fargo")
    page.wait_for_selector("#found:not(:empty)")
    keys.tab_to("#shelf button")
    do(page, lambda: keys.press("Enter"))
    expect(page.locator("#picked button")).to_have_count(1)
    keys.tab_to(f"{entries_of('auto')} [data-what=hide]")
    hidden = items_in(page)[0]
    do(page, lambda: keys.press("Enter"))
    for _ in range(3):
        keys.press("Enter")
    assert hidden not in items_in(page)
    assert keys.is_at(".entry:first-child")
    expect(page.locator("#crossed button")).to_have_count(1)
    keys.tab_to("#crossed button", "Shift+Tab")
    do(page, lambda: keys.press("Enter"))
    assert items_in(page)[0] == hidden
    assert keys.is_at("#picks-name")
    passed = items_in(page)
    keys.tab_to("#others")
    do(page, lambda: keys.press("Enter"))
    assert keys.is_at("#others")
    assert not set(items_in(page)) & set(passed)
    keys.tab_to("#others-back")
    do(page, lambda: keys.press("Enter"))
    assert items_in(page) == passed
    assert keys.is_at("#others")
    keys.tab_to("#longer")
    keys.press("Space")
    assert len(items_in(page)) == 20
    keys.tab_to("#options summary")
    keys.press("Enter")
    keys.tab_to("#way-0")
    keys.press("ArrowDown")
    wait_until_calm(page)
    assert page.locator(".column").first.get_attribute("data-way") != "auto"
    keys.tab_to("#requests summary")
    keys.press("Enter")
    expect(page.locator("#requests-curl")).to_be_visible()
    keys.tab_to("#start-over", "Shift+Tab")
    do(page, lambda: keys.press("Enter"))
    assert picks_of(page) == []
    assert keys.is_at("#search-text")
