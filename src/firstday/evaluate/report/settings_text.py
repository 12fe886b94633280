"""A configuration as TOML text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from firstday.config import Config


def to_toml(config: Config) -> str:
    """Return a configuration as TOML that `load_config` reads back; settings without a value are comments."""
    values = config.model_dump(mode="json")
    flat = {name: value for name, value in values.items() if not isinstance(value, dict)}
    parts = [_section(flat)]
    parts += [f"[{name}]\n{_section(value)}" for name, value in values.items() if isinstance(value, dict)]
    return "\n\n".join(parts) + "\n"


def _section(values: Mapping[str, Any]) -> str:
    """Return one section's lines."""
    return "\n".join(f"# {n} is not set" if v is None else f"{n} = {_literal(v)}" for n, v in values.items())


def _literal(value: Any) -> str:
    """Return a value as TOML, which agrees with JSON but for tables; DEL must be escaped."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_literal(name)} = {_literal(v)}" for name, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
