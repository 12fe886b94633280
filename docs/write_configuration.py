"""Write docs/configuration.md from the text of the settings, so that the page cannot differ from the code.

python docs/write_configuration.py
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from firstday.config import Config

PAGE = Path(__file__).parent / "configuration.md"

INTRODUCTION = """\
# Configuration

<!-- Written by docs/write_configuration.py from src/firstday/config.py; run `make docs` instead of editing. -->

Override defaults with a TOML file (`--config FILE.toml`) or one at a time (`--set recommend.k=5`). Unknown settings and
invalid values are errors that name the setting. In Python, `firstday.Config` and its sections hold the same settings;
`config.override("recommend.k", 5)` and `config.override({"recommend.k": 5, "seed": 3})` return a modified copy.

```toml
seed = 1

[embedding]
method = "svd"
dimensions = 64

[signals]
use = ["stream", "favorite", "purchase"]

[signals.affinity]     # merged with the defaults; naming a new signal here declares it
purchase = 2.0
```

Built-in datasets have presets (`src/firstday/presets`), used unless you pass a file. "The paper" is
[L. Briand et al., KDD 2021](https://arxiv.org/abs/2106.03819).
"""


def render_configuration() -> str:
    """Return the page; a description that an earlier section has under the same name is not repeated."""
    lines = [INTRODUCTION]
    told = dict[tuple[str, str | None], str]()
    top = {name: field for name, field in Config.model_fields.items() if not _is_section(field.annotation)}
    lines += ["## Top-level settings\n", *_table(top, "", told)]
    for name, field in Config.model_fields.items():
        section = field.annotation
        if _is_section(section):
            assert section is not None
            about = (section.__doc__ or "").strip()
            lines += [f"\n## `[{name}]`\n", f"{about}\n", *_table(section.model_fields, name, told)]
    return "\n".join(lines) + "\n"


def _is_section(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _table(fields: dict[str, FieldInfo], section: str, told: dict[tuple[str, str | None], str]) -> list[str]:
    """Return a table of settings; `told` maps names and descriptions to the section that has them first."""
    rows = ["| setting | default | what it does |", "|---|---|---|"]
    for name, field in fields.items():
        default = field.get_default(call_default_factory=True)
        shown = {None: "empty"}.get(default, f"`{_toml(default)}`") if not isinstance(default, dict) else _toml(default)
        description = " ".join((field.description or "").split())
        first = told.setdefault((name, field.description), section)
        if first != section and not description.startswith("As in "):
            description = f"As in `{first}`."
        rows.append(f"| `{name}` | {shown} | {description} |")
    return rows


def _toml(value: object) -> str:
    """Write a default as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    if isinstance(value, dict):
        return ", ".join(f"`{name} = {part}`" for name, part in value.items())
    return str(value)


if __name__ == "__main__":
    PAGE.write_text(render_configuration(), encoding="utf-8")
