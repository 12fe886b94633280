"""The command `firstday`: one file per command; errors become one sentence each and exit status 2."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console

import firstday
from firstday.cli.check import check
from firstday.cli.demo import demo
from firstday.cli.evaluate import evaluate
from firstday.cli.inspect import inspect
from firstday.cli.recommend import recommend
from firstday.cli.train import train
from firstday.errors import FirstdayError

app = typer.Typer(
    help="Recommendations for a user's first day: user -> segment -> items.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"firstday {firstday.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Recommendations for a user's first day: user -> segment -> items."""


for command in (demo, check, train, evaluate, recommend, inspect):
    app.command()(command)


def main() -> None:
    """Run the command line; errors that firstday raises on purpose are printed without a traceback."""
    # Threads of the training libraries wait by sleeping, not spinning: alone on a machine this costs nothing to speak
    # of, beside another busy program it is about ten times faster. Read when those libraries load, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except FirstdayError as error:
        _fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {(error.strerror or 'cannot be used').lower()}; check the path and its permissions.")


def _fail(text: str) -> None:
    """Print one line for each sentence and exit with 2."""
    console = Console(stderr=True)
    for sentence in text.splitlines():
        console.print("[bold red]error:[/bold red]", end=" ")
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)
