"""Entry point of ``firstday`` and ``python -m firstday``; handles Ctrl-C even during imports."""

from __future__ import annotations

import os
import sys

from firstday.errors import was_interrupted


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["serve"]:
        # Each server process uses one core; extra numeric threads only compete for it. The libraries read these
        # variables at import.
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
            os.environ.setdefault(name, "1")
    try:
        from firstday.cli.main import main as run

        run()
    except (KeyboardInterrupt, ImportError) as error:
        if not was_interrupted(error):
            raise
        sys.stderr.write("error: interrupted; nothing was written.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
