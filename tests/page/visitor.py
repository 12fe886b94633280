"""What a visitor does on the page, and what they see."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page

MIXED = "#mixed .tile"


def wait_until_calm(page: Page) -> None:
    """Wait until the lists are there and nothing is on its way."""
    page.wait_for_selector('#lists[aria-busy="false"]')
    page.wait_for_selector(f"{MIXED} .title")


def do(page: Page, act: Callable[[], object]) -> None:
    """Do something, and wait until the lists have followed."""
    act()
    wait_until_calm(page)


def reply(page: Page, *answers: str) -> None:
    """Answer the questions, each with yes or no."""
    for one in answers:
        do(page, page.locator(f"#answer-{one}").click)


def reload(page: Page) -> None:
    do(page, page.reload)


def find_and_like(page: Page, text: str) -> None:
    """Search for a title, and like the first that is found."""
    page.fill("#search-text", text)
    do(page, page.locator("#found button").first.click)


def items_in(page: Page, tiles: str = MIXED) -> list[str]:
    """Return the ids of the items in a list, in their order."""
    found: list[str] = page.eval_on_selector_all(tiles, "tiles => tiles.map(tile => tile.dataset.item)")
    return found


def titles_in(page: Page, tiles: str = MIXED) -> list[str]:
    """Return the titles in a list, in their order."""
    return page.locator(f"{tiles} .title").all_text_contents()


def button_of(page: Page, what: str, tile: int = 0) -> Locator:
    """Return a button of a tile of the mixed list: like, skip or ban."""
    return page.locator(MIXED).nth(tile).locator(f"[data-what={what}]")


def begin_rounds(page: Page) -> None:
    """Begin the rounds, and wait for the first slate."""
    page.click("#walk")
    wait_for_round(page, 1)


def wait_for_round(page: Page, number: int) -> None:
    """Wait until the slate of a round is there."""
    page.wait_for_function("text => document.getElementById('round-name').textContent === text", arg=f"Round {number}")
    page.wait_for_selector('#rounds[aria-busy="false"]')
    page.wait_for_selector("#slate .pick")


def place_on_map(page: Page) -> tuple[float, float]:
    """Return where the visitor is on the map."""
    page.wait_for_selector("#map[data-x]")
    at = page.locator("#map")
    return float(at.get_attribute("data-x") or "nan"), float(at.get_attribute("data-y") or "nan")


def visitor_id(page: Page) -> str:
    """Return the id under which the service knows the visitor."""
    found: str = page.evaluate("JSON.parse(localStorage.getItem('firstday.visitor')).id")
    return found
