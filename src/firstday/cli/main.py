"""The command `firstday`: commands of all installed packages; errors print one sentence and exit with status 2.

Packages declare commands as entry points in the group ``firstday.commands``, in pyproject.toml::

    [project.entry-points."firstday.commands"]
    my_command = "my_package.my_module:my_command"

A command is a function with annotations for Typer, or a `typer.Typer` with several. Its module may say more about it:
`PLACE`, its place in ``firstday --help`` (without one it comes last, by name), and `EPILOG`, the end of its help.
"""

from __future__ import annotations

import math
import sys
import warnings
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import firstday
from firstday.cli.options import Command
from firstday.cli.printing import print_error
from firstday.errors import ConfigError, FirstdayError, hint_at
from firstday.plugins import load_entry

GROUP = "firstday.commands"
REPLACEMENTS = {
    "leaderboard": "use firstday evaluate --baselines",
    "onboarding": "use GET /v1/onboarding of firstday serve, or Python (docs/onboarding.md)",
    "similar": "use GET /v1/items/{id}/similar of firstday serve, or Recommender.similar in Python",
    "tune": "search settings with Optuna (docs/configuration.md, Search for better settings)",
    **{name: f"use firstday lab {name}" for name in ("replay", "reproduce", "simulate")},
}
"""What replaces each removed command."""


class Commands(TyperGroup):
    """The commands of all installed packages, imported on first use, and what replaces removed ones."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Import all commands, and return their names in the order of their places."""
        loaded = sorted(map(_load, entry_points(group=GROUP)), key=lambda command: command[:2])
        self.commands = {name: command for _, name, command in loaded}
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; raise ConfigError if there is none of this name."""
        if cmd_name in self.commands:
            return super().get_command(ctx, cmd_name)
        entries = entry_points(group=GROUP)
        found = entries.select(name=cmd_name)
        if len(found) > 1:
            values = ", ".join(entry.value for entry in found)
            raise ConfigError(f"commands: {cmd_name} is taken by several packages ({values}); uninstall all but one.")
        if found:
            return _load(*found)[2]
        if cmd_name in REPLACEMENTS:
            raise ConfigError(f"{cmd_name}: is no longer a command; {REPLACEMENTS[cmd_name]}.")
        hint = hint_at(cmd_name, tuple(sorted(entries.names)))
        raise ConfigError(f"{cmd_name}: is not a command{hint}; see firstday --help.")


def _load(entry: EntryPoint) -> tuple[float, str, Any]:
    """Import a command; return its place, its name and itself."""
    command = load_entry(entry)
    module = vars(sys.modules[entry.module])
    group = typer.Typer()
    if isinstance(command, typer.Typer):
        group.add_typer(command, name=entry.name)
    else:
        group.command(entry.name, cls=Command, epilog=module.get("EPILOG"))(command)
    return module.get("PLACE", math.inf), entry.name, typer.main.get_group(group).commands[entry.name]


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


def main() -> None:
    """Run the command line; expected errors are printed without a traceback, warnings without a location."""
    warnings.showwarning = lambda message, *_arguments: typer.echo(f"Warning: {message}", err=True)
    try:
        sys.exit(app(standalone_mode=False))
    except FirstdayError as error:
        _fail(str(error), hint=getattr(error, "hint", ""))
    except _UsageError as error:
        message = str(getattr(error, "format_message", error.__str__)()).replace("Value error, ", "")
        if type(error).__name__ == "NoArgsIsHelpError":  # the message is the help text
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
