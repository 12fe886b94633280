"""Progress on standard error, so that standard output stays clean for results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from firstday.stages import Progress as Report


@contextmanager
def shown_progress() -> Iterator[Report]:
    """Give a callback that shows each stage as a bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int) -> None:
        progress.start()  # with the first stage: a mistake found before it prints nothing but its sentence
        if stage not in tasks:
            tasks[stage] = progress.add_task(stage, total=total)
        elif done == 0:
            progress.reset(tasks[stage], total=total)
        progress.update(tasks[stage], completed=done)

    try:
        yield report
    finally:
        if tasks:
            progress.stop()
