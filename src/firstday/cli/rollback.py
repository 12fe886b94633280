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
            help="The version to go back to, as firstday inspect lists them (default: of those made before the one in "
            "place, the one that was in place last).",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Put an older version of a MODEL into place again, in one step; the one that is in place now is kept.

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
