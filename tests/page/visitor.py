"""What a visitor does on the page, and what they see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Locator, Page

from tests.serve.in_process import RunningApp

WAYS = ("auto", "segment", "popular")
"""Strategies of the three lists at first, from left to right."""
FIRST = ".column:first-child .entry"


def entries_of(way: str) -> str:
    """Return the selector of the entries of a list, given its strategy."""
    return f'.column[data-way="{way}"] .entry'


def wait_until_calm(page: Page) -> None:
    """Wait until the lists are there and nothing is on its way."""
    page.wait_for_selector('#race[aria-busy="false"]')
    page.wait_for_selector(".column")


def do(page: Page, act: Callable[[], object]) -> None:
    """Do something, and wait until the lists have followed."""
    act()
    wait_until_calm(page)


def pick(page: Page, *places: int) -> None:
    """Pick items from some places of the shelf."""
    page.wait_for_selector("#shelf button")
    for place in places:
        do(page, page.locator("#shelf button").nth(place).click)


def open_details(page: Page) -> None:
    """Open the options and the requests."""
    page.locator("details").evaluate_all("all => all.forEach(one => (one.open = true))")


def reload(page: Page) -> None:
    do(page, page.reload)


def search(page: Page, text: str) -> None:
    """Search for a title, and wait until the shelf has what is found."""
    page.fill("#search-text", text)
    page.wait_for_selector("#found:not(:empty)")


def items_in(page: Page, entries: str = FIRST) -> list[str]:
    """Return the ids of the items in a list, in their order."""
    found: list[str] = page.eval_on_selector_all(entries, "entries => entries.map(entry => entry.dataset.item)")
    return found


def lists_in(page: Page) -> list[list[str]]:
    """Return the ids of the items in each of the three lists."""
    return [items_in(page, f".column:nth-child({number}) .entry") for number in (1, 2, 3)]


def titles_in(page: Page, entries: str = FIRST) -> list[str]:
    """Return the titles in a list, in their order."""
    return page.locator(f"{entries} .title").all_text_contents()


def button_of(page: Page, what: str, rank: int = 0, entries: str = FIRST) -> Locator:
    """Return a button of an entry: pick or hide."""
    return page.locator(entries).nth(rank).locator(f"[data-what={what}]")


def said(page: Page) -> dict[str, Any]:
    """Return what the page has kept of what the visitor said."""
    kept: dict[str, Any] = page.evaluate("JSON.parse(localStorage.getItem('firstday.said'))") or {}
    return kept


def picks_of(page: Page) -> list[str]:
    """Return the ids of the visitor's picks."""
    return [str(item["item_id"]) for item in said(page).get("picks", [])]


def ask(
    server: RunningApp, picks: list[str], strategy: str, signals: dict[str, Any] | None = None, **wanted: Any
) -> dict[str, Any]:
    """Ask the service what the page should have asked."""
    interactions = [["stream", "item", item] for item in picks]
    body = {"signals": {"interactions": interactions, **(signals or {})}, "strategy": strategy, "explain": True}
    answer = httpx.post(f"{server.url}/v1/recommendations", json={"k": 24, **body, **wanted})
    assert answer.status_code == 200, answer.text
    values: dict[str, Any] = answer.json()
    return values
