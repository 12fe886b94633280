"""Pages that must agree with the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_settings_is_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("write_configuration", DOCS / "write_configuration.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == module.render_configuration()


def test_the_pictures_of_the_page_are_there_and_small() -> None:
    named = re.findall(r"!\[[^\]]+\]\((images/[^)]+\.png)\)", (DOCS / "page.md").read_text(encoding="utf-8"))
    assert len(named) == 2
    for name in named:
        picture = (DOCS / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 300_000
