"""Pages that must agree with the code."""

from __future__ import annotations

from pathlib import Path

from write_configuration import render_configuration

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_settings_is_what_the_code_says() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert page == render_configuration(), "run make docs"
