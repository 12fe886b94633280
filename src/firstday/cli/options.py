"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from firstday.config import MAX_SEED, Config, load_config, load_preset
from firstday.data.dataset import Dataset
from firstday.data.load import BUILT_IN, load

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
ReportOption = Annotated[
    Path | None, typer.Option(help="Write a report there: .html, one file that opens offline, or .md.")
]
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
