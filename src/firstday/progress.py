"""Progress reporting: the callback protocol, and bars for terminals and notebooks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from time import monotonic
from typing import Any

Progress = Callable[[str, int, int], None]
"""Called with the name of the stage, the number of steps done, and the total number of steps."""

SECONDS_PER_LINE = 60
"""Minimum time between lines that are not written to a terminal."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Ignore progress."""


@contextmanager
def open_progress(progress: Progress | bool | None = True) -> Iterator[Progress]:
    """Yield the progress callback: the given one, or one without output for None or False.

    True: a bar in a notebook, a bar per stage on a terminal's standard error, otherwise a line on standard error at the
    start of a stage, at most one per minute.
    """
    if progress is True:
        with _notebook_bar() if _is_notebook() else _terminal_bars() as report:
            yield report
    else:
        yield progress or no_progress


def _is_notebook() -> bool:
    """Whether the code runs in a notebook, without importing IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def _terminal_bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    bars = Bars(*columns, console=console, transient=True)
    tasks: dict[str, TaskID] = {}
    last_stage = ""
    last_line = 0.0

    def report(stage: str, n_done: int, n_total: int) -> None:
        nonlocal last_stage, last_line
        if not console.is_terminal:
            is_due = not last_line or monotonic() - last_line >= SECONDS_PER_LINE
            if stage != last_stage and n_done < n_total and is_due:
                last_stage = stage
                last_line = monotonic()
                steps = f": {n_done:,} of {n_total:,}" if n_done else ""
                sys.stderr.write(f"{stage}{steps}\n")
            return
        bars.start()  # only now, so that an error before the first stage prints nothing but its message
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=n_total)
        elif n_done == 0:
            bars.reset(tasks[stage], total=n_total)
        bars.update(tasks[stage], completed=n_done, total=n_total)

    try:
        yield report
    finally:
        if tasks:
            bars.stop()


@contextmanager
def _notebook_bar() -> Iterator[Progress]:
    """Show the current stage as an HTML bar, without widgets; clear it at the end."""
    from IPython import display as ipython

    html: Any = ipython.HTML
    handle: Any = ipython.display(html(""), display_id=True)  # type: ignore[no-untyped-call]

    def report(stage: str, n_done: int, n_total: int) -> None:
        bar = f'<progress value="{n_done}" max="{max(1, n_total)}"></progress>'
        handle.update(html(f"{escape(stage)} {bar} {n_done:,}/{n_total:,}"))

    try:
        yield report
    finally:
        handle.update(html(""))
