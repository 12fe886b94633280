"""Options, files and progress that several commands share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from typer.core import TyperCommand

from firstday.config import MAX_SEED, Config, load_config, load_preset
from firstday.data.dataset import Dataset
from firstday.data.load import BUILT_IN, load
from firstday.errors import ConfigError
from firstday.progress import Progress as Report


def check_file_target(path: Path) -> None:
    """Refuse a place where no file can be written.

    Raises
    ------
    ConfigError
        The path is a folder, or its folder does not exist or may not be written to.
    """
    folder = path.resolve().parent
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; give the name of a file.")
    if not folder.is_dir():
        raise ConfigError(f"{path}: its folder does not exist; make {folder} first.")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{path}: its folder may not be written to; choose another place.")


def write_file(path: Path, text: str) -> None:
    """Write a text file: whoever reads it sees the old text or the new one."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.resolve().parent) as staging:
        staged = Path(staging) / path.name
        staged.write_text(text, encoding="utf-8")
        staged.replace(path)


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


TablesArgument = Annotated[str, typer.Argument(help=f"A folder of tables, or a built-in name: {', '.join(BUILT_IN)}.")]
ModelArgument = Annotated[Path, typer.Argument(help="A trained model's folder.")]
PathOption = Annotated[Path | None, typer.Option(help="For a built-in name: the local copy, a zip or a folder.")]
ConfigOption = Annotated[
    Path | None, typer.Option(help="A TOML file of settings (default: the built-in name's preset, else defaults).")
]
SeedOption = Annotated[
    int | None, typer.Option(min=0, max=MAX_SEED, help="Seed of everything random (default: the setting, 0).")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for scripts to standard output.")]
ReportOption = Annotated[Path | None, typer.Option(help="Write a report there: one .html file that opens offline.")]
KOption = Annotated[int | None, typer.Option("-k", min=1, help="Length of a list (default: the setting, 50).")]


class Protocol(StrEnum):
    """How cold users are made."""

    SAMPLED = "sampled"
    REGISTRATION = "registration"


ProtocolOption = Annotated[
    Protocol | None,
    typer.Option(
        help="How cold users and day ones come about (default: the setting, auto: registration where "
        "registrations and times are known)."
    ),
]


class Engine(StrEnum):
    """Where training runs."""

    LOCAL = "local"


class JsonToStdout(TyperCommand):
    """A command whose ``--json OUT`` may stand without OUT: then JSON goes to standard output."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a bare ``--json`` the value ``-``."""
        filled: list[str] = []
        for here, after in zip_longest(args, args[1:], fillvalue="--"):
            filled.append(here)
            if here == "--json" and after.startswith("-") and after != "-":
                filled.append("-")
        return super().parse_args(ctx, filled)


def open_tables(
    tables: str,
    path: Path | None,
    config: Path | None,
    seed: int | None = None,
    protocol: Protocol | None = None,
) -> tuple[Dataset, Config]:
    """Load a dataset and the settings for it."""
    settings = load_preset(tables) if config is None else load_config(config)
    given = {"seed": seed, "protocol": None if protocol is None else protocol.value}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    dataset = load(tables, path=path, config=settings)
    print_notes(dataset.notes)
    return dataset, settings


def print_notes(notes: Iterable[str]) -> None:
    """Say on standard error what was ignored or decided while reading tables."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)
