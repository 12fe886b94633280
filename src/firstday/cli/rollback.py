"""firstday rollback: restore an older version of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from firstday.cli.options import JsonFlag, ModelArgument, print_json
from firstday.model.folder import list_versions
from firstday.model.folder import rollback as restore

PLACE = 6  # in firstday --help


def rollback(
    model: ModelArgument,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Version to restore, as listed by firstday inspect (default: the most recently used of those created "
            "before the current one).",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Atomically restore an older version of a MODEL. The current version is kept.

    Example: firstday rollback model
    """
    before = next((entry.version for entry in list_versions(model) if entry.in_place), None)
    version = restore(model, to)
    if as_json:
        print_json({"model": str(model), "version": version, "before": before})
        return
    typer.echo(f"{model}: version {version} is current again; the previous version was {before or 'damaged'}.")
    typer.echo("A service uses it after a reload, or automatically if FIRSTDAY_SERVE_MODEL_POLL_S is set.")
