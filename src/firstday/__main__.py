"""``firstday`` and ``python -m firstday``: the command line, quiet also if it is interrupted while it still loads."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Load and run the command line."""
    if sys.argv[1:2] == ["serve"]:
        # One process answers on one core: threads of the numeric libraries would only get into its way. They read
        # these while they load.
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
            os.environ.setdefault(name, "1")
    try:
        from firstday.cli.main import main as run

        run()
    except (KeyboardInterrupt, ImportError) as error:
        if not _was_interrupted(error):
            raise
        sys.stderr.write("error: interrupted; nothing was written.\n")
        sys.exit(130)


def _was_interrupted(error: BaseException) -> bool:
    """Tell whether an error is an interruption, or what a library made of one that came while it was loaded."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


if __name__ == "__main__":
    main()
