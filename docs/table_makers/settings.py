"""Lists of settings, from their descriptions in the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from firstday.config import Config
from firstday.recommend.registry import find_method
from firstday.recommend.support import optional_names
from firstday.serve.settings import ServeSettings


def serve_settings() -> list[str]:
    """Return the settings of the service."""
    lines = []
    for name, field in ServeSettings.model_fields.items():
        value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        text = str(value).lower() if isinstance(value, bool) else str(value)
        default = "empty" if value in ("", ()) else f"`{text}`"
        lines.append(f"- `{name.upper()}` ({default}): {_describe(field)}")
    return lines


def training_settings() -> list[str]:
    """Return the settings of training, a list for each section."""
    top: dict[str, FieldInfo] = {}
    sections: dict[str, type[BaseModel]] = {}
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            sections[name] = section
        else:
            top[name] = field
    for method in map(find_method, optional_names()):
        if method is not None and method.settings is not None:
            sections[f"plugins.{method.name}"] = method.settings
    section_of: dict[Any, str] = {}
    lines = ["## Top-level settings", "", *_list(top, "", section_of)]
    for name, section in sections.items():
        lines += ["", f"## `[{name}]`", "", str(section.__doc__).strip(), ""]
        lines += _list(section.model_fields, name, section_of)
    return lines


def _list(fields: Mapping[str, FieldInfo], section: str, section_of: dict[Any, str]) -> list[str]:
    """Return the settings of a section; `section_of` maps each setting to the first section that describes it.

    Settings that follow each other and are as in the same other section share a line.
    """
    names_of: dict[str, list[str]] = {}
    for name, field in fields.items():
        description = _describe(field)
        first = section_of.setdefault((name, description), section)
        if first != section and not description.startswith("As in "):
            description = f"As in `{first}`."
        default = _write_default(field.get_default(call_default_factory=True))
        names_of.setdefault(description, []).append(f"`{name}` ({default})" if default else f"`{name}`")
    return [f"- {', '.join(names)}: {description}" for description, names in names_of.items()]


def _describe(field: FieldInfo) -> str:
    return " ".join(str(field.description).split())


def _write_default(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return ", ".join(f"`{name} = {number}`" for name, number in value.items())
    return f"`{_to_toml(value)}`"


def _to_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_to_toml, value))}]"
    return str(value)
