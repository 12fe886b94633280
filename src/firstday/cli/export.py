"""firstday export: write the service's store as tables."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from firstday.errors import ConfigError

PLACE = 10  # in firstday --help


def export(
    store: Annotated[
        str,
        typer.Argument(
            envvar="FIRSTDAY_SERVE_STORE",
            help="File of a SQLite store, redis:// or postgresql://. In the variable, a password is not visible to "
            "other users.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of tables: new, or from an earlier export to extend.")],
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"],
            help="For a new folder: skip data received before this time, such as 2026-01-31.",
        ),
    ] = None,
    redis_prefix: Annotated[
        str, typer.Option(envvar="FIRSTDAY_SERVE_REDIS_PREFIX", help="Prefix of all Redis keys.")
    ] = "firstday",
) -> None:
    """Export STORE as tables for check and train. Later runs add only new data.

    Example: firstday export users.sqlite --out tables
    """
    from firstday.serve.export import ExportSummary
    from firstday.serve.export import export as export_store
    from firstday.serve.settings import load_settings
    from firstday.serve.store.open import open_log

    start = since and since.replace(tzinfo=since.tzinfo or UTC)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give a folder.")

    async def run() -> ExportSummary:
        url = store if "://" in store else f"sqlite:///{store}"
        settings = load_settings({"store": url, "redis_prefix": redis_prefix, "store_timeout_s": 60.0})
        log = open_log(settings, read_only=True)
        try:
            return await export_store(log, out, start)
        finally:
            await log.close()

    done = asyncio.run(run())
    typer.echo(
        f"{out}: {done.interactions:,} interactions, {done.users:,} users and {done.assignments:,} assignments added, "
        f"up to {done.until:%Y-%m-%d %H:%M:%S} UTC"
    )
