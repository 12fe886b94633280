"""The command `firstday`. Each command has a file; errors print one sentence and exit with status 2."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import firstday
from firstday.cli.check import check
from firstday.cli.demo import demo
from firstday.cli.evaluate import NAMES, evaluate
from firstday.cli.experiment import experiment
from firstday.cli.export import export
from firstday.cli.inspect import inspect
from firstday.cli.options import Command
from firstday.cli.printing import print_error
from firstday.cli.recommend import recommend
from firstday.cli.refresh import refresh
from firstday.cli.rollback import rollback
from firstday.cli.serve import serve
from firstday.cli.similar import similar
from firstday.cli.train import train
from firstday.errors import ConfigError, FirstdayError
from firstday.lab.replay.command import replay
from firstday.lab.reproduce.command import reproduce
from firstday.lab.simulate.command import simulate

REPLACEMENTS = {
    "leaderboard": "use firstday evaluate --baselines",
    "onboarding": "use GET /v1/onboarding of firstday serve, or Python (docs/onboarding.md)",
    "tune": "search settings with Optuna (docs/configuration.md, Search for better settings)",
}
"""What replaces each removed command."""


class Commands(TyperGroup):
    """The commands, and what replaces the removed ones."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; raise ConfigError for a removed one."""
        if cmd_name in REPLACEMENTS:
            raise ConfigError(f"{cmd_name}: is no longer a command; {REPLACEMENTS[cmd_name]}.")
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Depending on its version, Typer raises click's exceptions or its own copies of them.
_UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"firstday {firstday.__version__}")
        raise typer.Exit


@app.callback()
def _callback(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Recommendations for a user's first day: user -> segment -> items."""


COMMANDS: tuple[Callable[..., None], ...] = (
    demo, check, train, refresh, rollback, recommend, similar, serve, export, simulate, evaluate, replay,
    reproduce, inspect, experiment,
)  # fmt: skip
for command in COMMANDS:
    app.command(cls=Command, epilog=NAMES if command in (evaluate, replay, reproduce) else None)(command)


def main() -> None:
    """Run the command line; expected errors are printed without a traceback, warnings without a location."""
    warnings.showwarning = lambda message, *_arguments: typer.echo(f"Warning: {message}", err=True)
    try:
        sys.exit(app(standalone_mode=False))
    except FirstdayError as error:
        _fail(str(error), hint=getattr(error, "hint", ""))
    except _UsageError as error:
        message = str(getattr(error, "format_message", error.__str__)()).replace("Value error, ", "")
        if len(sys.argv) == 1:  # without arguments, the message is the help text
            typer.echo(message)
            sys.exit(2)
        _fail(f"{message.strip().rstrip('.')}; see --help.")
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted; nothing was written.", status=130)
    except MemoryError:
        _fail("out of memory; use a machine with more memory, less data, fewer dimensions or shorter lists.")
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {(error.strerror or 'cannot be used').lower()}; check the path and its permissions.")


def _fail(sentences: str, status: int = 2, hint: str = "") -> NoReturn:
    """Print each error on a line, then the hint, and exit."""
    for sentence in sentences.splitlines():
        print_error(sentence)
    if hint:
        typer.echo(hint, err=True)
    sys.exit(status)
