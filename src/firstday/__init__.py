"""firstday: recommendations for a user's first day (user -> segment -> items).

`__init__.pyi` lists the public names. They are imported lazily, so ``import firstday`` is fast and recommending never
loads training dependencies.
"""

from __future__ import annotations

import ast
import os
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

# OpenMP libraries read this at import. Waiting threads then sleep instead of spinning, which costs little on an idle
# machine and is several times faster on a busy one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_HOME_OF = {
    name.name: str(module.module)
    for module in _STUB.body
    if isinstance(module, ast.ImportFrom)
    for name in module.names
}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'firstday' has no attribute {name!r}")
    home = _HOME_OF[name]
    value = import_module(f"{home}.{name}") if home == __name__ else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
