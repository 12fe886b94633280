"""The commands are run as those of the core are, on the same tables."""

from __future__ import annotations

from tests.cli.conftest import run, settings, tables

__all__ = ["run", "settings", "tables"]
