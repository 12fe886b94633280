"""firstday lab: commands for research."""

from __future__ import annotations

import typer

from firstday.cli.evaluate import EPILOG
from firstday.cli.options import Command
from firstday.lab.replay.command import replay
from firstday.lab.reproduce.command import reproduce
from firstday.lab.simulate.command import simulate

PLACE = 13  # in firstday --help

app = typer.Typer(
    help="Commands for research: simulate a service, reproduce the paper, replay policies.", no_args_is_help=True
)
app.command(cls=Command)(simulate)
app.command(cls=Command, epilog=EPILOG)(reproduce)
app.command(cls=Command, epilog=EPILOG)(replay)
