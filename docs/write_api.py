"""Write docs/api.md from the docstrings of the public names, so that the page cannot differ from the code.

python docs/write_api.py
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

SOURCE = Path(__file__).parents[1] / "src"
PAGE = Path(__file__).parent / "api.md"
INTRODUCTION = """\
# The calls

<!-- Written by docs/write_api.py from the docstrings; run `make docs` instead of editing. -->

Everything below is in `firstday`, here `fd` after `import firstday as fd`, and is loaded when it is first used. What is
not on this page may change without notice. [guide.md](guide.md) shows the calls at work.
"""
HEADINGS = ("Functions", "Values", "Settings", "Errors")
"""The parts of the page."""
ABOUT = {"Settings": "Every field, with its default: [configuration.md](configuration.md)."}


def render_api() -> str:
    """Return the page."""
    logging.getLogger("griffe").setLevel(logging.ERROR)  # our docstrings leave types to the annotations
    package = griffe.load("firstday", search_paths=[SOURCE], docstring_parser="numpy")
    public = {name: _target(package, name) for name in _public_names()}
    lines = [INTRODUCTION]
    for heading in HEADINGS:
        lines += [f"## {heading}\n"]
        if heading in ABOUT:
            lines += [f"{ABOUT[heading]}\n"]
        for name, found in public.items():
            if _heading_of(found) == heading:
                lines += _in_a_line(name, found) if heading in ("Settings", "Errors") else _entry(name, found)
        lines += [""] if lines[-1] else []
    return "\n".join(lines).rstrip() + "\n"


def _public_names() -> list[str]:
    """Return the public names, in order."""
    import firstday

    return [name for name in firstday.__all__ if not name.startswith("__")]


def _target(package: Any, name: str) -> Any:
    """Return what a public name stands for."""
    found = package["evaluate_strategies" if name == "evaluate" else name]  # the folder of that name can be called
    return found.final_target if found.is_alias else found


def _heading_of(found: Any) -> str:
    """Return the part of the page that something belongs into."""
    if found.is_function:
        return "Functions"
    return {"firstday.config": "Settings", "firstday.errors": "Errors"}.get(found.module.path, "Values")


def _in_a_line(name: str, found: Any) -> list[str]:
    """Return a class in a line."""
    first = found.docstring.value.split("\n\n")[0]
    return [f"- `{name}`: {_one_line(first)}"]


def _entry(name: str, found: Any) -> list[str]:
    """Return a function or a class with its methods."""
    lines = [f"### `{name}`\n"]
    if found.is_function:
        return lines + _function(f"fd.{name}", found)
    if "__init__" in found.members and found.labels & {"dataclass"} and "classmethod" not in found.labels:
        lines += [_signature(f"fd.{name}", found["__init__"])]
    lines += _docstring(found)
    for member, part in sorted(found.members.items(), key=lambda pair: pair[1].lineno or 0):
        if member.startswith("_") or part.is_alias or part.docstring is None:
            continue
        if part.is_function:
            lines += [f"#### `{name}.{member}`\n", *_function(f"{name}.{member}", part)]
        elif "property" in part.labels:
            lines += [f"- `{name}.{member}`: {part.docstring.value.splitlines()[0]}", ""]
    return lines


def _function(called: str, found: Any) -> list[str]:
    return [_signature(called, found), *_docstring(found)]


def _signature(called: str, found: Any) -> str:
    """Return how a function is called, on lines of its own where it is long."""
    parts = list(_parameters(found))
    returns = f" -> {found.returns}" if found.returns is not None and str(found.returns) != "None" else ""
    line = f"{called}({', '.join(parts)}){returns}"
    if len(line) > 100:
        line = f"{called}(\n    " + ",\n    ".join(parts) + f",\n){returns}"
    return f"```text\n{line}\n```\n"


def _parameters(found: Any) -> Iterator[str]:
    """Write parameters as they stand in the code, without `self`."""
    starred = False
    for parameter in found.parameters:
        if parameter.name in ("self", "cls"):
            continue
        kind = parameter.kind.value if parameter.kind else ""
        if kind == "keyword-only" and not starred:
            yield "*"
        starred = starred or kind in ("keyword-only", "variadic positional")
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        annotation = f": {parameter.annotation}" if parameter.annotation is not None else ""
        default = parameter.default if not stars else None
        default = "..." if default is not None and len(str(default)) > 30 else default
        yield f"{stars}{parameter.name}{annotation}" + (f" = {default}" if default is not None else "")


def _docstring(found: Any) -> list[str]:
    """Return a docstring's text and sections."""
    lines = []
    for section in found.docstring.parse("numpy"):
        if section.kind.value == "text":
            lines += [section.value.replace("``", "`") + "\n"]
        elif section.kind.value == "examples":
            lines += ["**Example**\n", *(f"```text\n{text}\n```\n" for _, text in section.value)]
        elif isinstance(section.value, list):
            lines += [f"**{section.kind.value.capitalize()}**\n", *_items(section), ""]
        else:
            lines += [f"**{section.value.kind.capitalize()}**: {_one_line(section.value.contents)}\n"]
    return lines


def _items(section: Any) -> list[str]:
    """Return the entries of a section, those of one description together."""
    together: list[tuple[list[str], str]] = []
    for item in section.value:
        name = getattr(item, "name", "") or (str(item.annotation) if item.annotation else "")
        text = _one_line(item.description)
        if together and together[-1][1] == text:
            together[-1][0].append(name)
        else:
            together.append(([name], text))
    return [f"- {', '.join(f'`{name}`' for name in names)}: {text}" for names, text in together]


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("``", "`").strip()


if __name__ == "__main__":
    PAGE.write_text(render_api(), encoding="utf-8")
