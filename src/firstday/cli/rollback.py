"""firstday rollback: put an older version of a model into place again."""

from __future__ import annotations

from typing import Annotated

import typer

from firstday.artifact.folder import list_versions
from firstday.artifact.folder import rollback as put_back
from firstday.cli.options import JsonFlag, ModelArgument, print_json


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
    before = next((kept.version for kept in list_versions(model) if kept.in_place), None)
    version = put_back(model, to)
    if as_json:
        print_json({"model": str(model), "version": version, "before": before})
        return
    made_at = next(kept.created_at for kept in list_versions(model) if kept.version == version)
    typer.echo(f"{model}: version {version}, made {made_at}, is in place again; before it was {before or 'damaged'}.")
    typer.echo("A service takes it on reload, or by itself where FIRSTDAY_SERVE_MODEL_POLL_S is set.")
