"""``firstday`` and ``python -m firstday``: the command line, quiet also if it is interrupted while it still loads."""

from __future__ import annotations

import sys


def main() -> None:
    """Load and run the command line."""
    try:
        from firstday.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted; nothing was written.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
