"""firstday demo: a model of X-Wines that comes with firstday, and the demo page."""

from __future__ import annotations

import os
import sys
import webbrowser
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Annotated

import typer

from firstday.cli.options import program_name
from firstday.cli.printing import print_line, print_table
from firstday.evaluation.slices import BASELINE
from firstday.evaluation.text_table import Table
from firstday.features.signals import Signals
from firstday.model.folder import check_target
from firstday.recommend.recommender import Recommender, open_model
from firstday.serve.settings import load_settings

PLACE = 1  # in firstday --help
MODEL = Path(__file__).with_name("demo_model.zip")
"""Model folder of X-Wines; `benchmarks/demo_model.py` writes it."""
PICKS = (
    "Impérial Rosé Brut Champagne, Moët & Chandon",
    "Brut (R de Ruinart) Champagne, Ruinart",
    "Riesling Alsace, Trimbach",
)
"""Titles of the wines that the newcomer picks."""
N_WINES = 5
CREDIT = "Data: X-Wines (CC0), R. X. de Azambuja, A. J. Morais, V. Filipe, Big Data and Cognitive Computing 7(1), 2023."


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("demo"),
    open_page: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open",
            help="Open the demo page in a browser at the end (default: if output is a terminal).",
        ),
    ] = None,
) -> None:
    """Recommend wines to a newcomer with a model that comes with firstday, and serve the page.

    Example: firstday demo
    """
    model = out / "model"
    check_target(model)
    recommender = unpack_model(model)
    print_lists(recommender)
    program = program_name()
    user = f'{{"interactions": [["stream", "item", {recommender.model.catalogue.items[0]}]]}}'
    typer.echo(
        "Next:\n"
        f"  {program} inspect {model}\n"
        f"  {program} recommend {model} --user '{user}' -k 10\n"
        f"  {program} check TABLES            your own folder of tables; see docs/tables.md\n"
        f"  {program} train TABLES --out model"
    )
    if sys.stdout.isatty() if open_page is None else open_page:
        show_page(model, out / "users.sqlite")
    else:
        typer.echo(f"To open the demo page: {program} serve {model}")


def unpack_model(target: Path) -> Recommender:
    """Publish the model that comes with firstday in a folder, and open it."""
    with TemporaryDirectory() as folder:
        with zipfile.ZipFile(MODEL) as archive:
            archive.extractall(folder)
        open_model(folder).save(target)
    return open_model(target)


def print_lists(recommender: Recommender) -> None:
    """Print everyone's list next to a newcomer's with its reasons, and the gain on held-out users."""
    catalogue = recommender.model.catalogue
    ids = dict(zip(catalogue.titles or (), catalogue.items.values, strict=True))
    user = Signals(interactions=[("stream", "item", ids[title]) for title in PICKS])
    everyone = recommender.recommend(Signals(), N_WINES, BASELINE)
    newcomer = recommender.recommend(user, N_WINES)
    columns = ("rank", "everyone gets", "this newcomer gets", "because it resembles")
    rows = []
    reasons = recommender.explain(user, newcomer).items
    for rank, (common, own, reason) in enumerate(zip(everyone, newcomer, reasons, strict=True), 1):
        like = reason.most_like
        cells = (str(rank), common.title, own.title, like.title if like else "")
        rows.append(dict(zip(columns, cells, strict=True)))
    typer.echo(f"A newcomer picks three of {len(catalogue.items):,} wines:")
    for title in PICKS:
        typer.echo(f"- {title}")
    print_table(Table("", rows, words=columns))
    held_out = recommender.model.facts["metrics"]["held_out"]
    mean, low, high = (f"{100 * ratio - 100:.0f}" for ratio in held_out["ratio"])
    typer.secho(
        f"Lists by auto beat popularity by {mean} % [{low}, {high}], on {held_out['users']:,} people unknown to the "
        f"model: {held_out['hits']['auto']:.2f} hits per list of ten instead of {held_out['hits']['popular']:.2f}.",
        bold=True,
    )
    print_line(CREDIT)


def show_page(model: Path, store: Path) -> None:
    """Serve a model with its own store until interrupted, and open the page if there is a graphical browser."""
    from firstday.serve.server import run_server

    def open_browser(url: str) -> None:
        typer.echo(f"The page is at {url}/ (stop with Ctrl+C)")
        # Without a display, Python may start a text browser in this terminal.
        if sys.platform != "linux" or {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
            Thread(target=webbrowser.open, args=(f"{url}/",), daemon=True).start()  # some browsers block until closed

    settings = {"host": "127.0.0.1", "port": 0, "store": f"sqlite:///{store.resolve()}"}  # 0: any free port
    run_server(model, load_settings(settings), open_browser)
