"""Pages that must agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

from write_configuration import render_configuration

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_settings_is_what_the_code_says() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert page == render_configuration(), "run make docs"


def test_the_pictures_of_the_page_are_there_and_small() -> None:
    named = re.findall(r"!\[[^\]]+\]\((images/[^)]+\.png)\)", (DOCS / "page.md").read_text(encoding="utf-8"))
    assert len(named) == 3
    for name in named:
        picture = (DOCS / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 300_000
