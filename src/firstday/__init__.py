"""firstday: recommendations for a user's first day (user -> segment -> items)."""

from __future__ import annotations

__version__ = "0.1.0"
