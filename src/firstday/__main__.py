"""``python -m firstday``: the command line."""

from __future__ import annotations

from firstday.cli.main import main

main()
