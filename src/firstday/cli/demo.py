"""firstday demo: a model of X-Wines that comes with firstday, or all steps on MovieLens 100K; and the demo page."""

from __future__ import annotations

import os
import sys
import webbrowser
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter
from typing import Annotated, Any

import typer

from firstday.cli.options import PathOption, SeedsOption, open_tables, program_name
from firstday.cli.printing import print_line, print_results, print_table
from firstday.cli.recommend import print_answer
from firstday.errors import ConfigError
from firstday.evaluation.report.render import render_evaluation
from firstday.evaluation.results import RATIO
from firstday.evaluation.run import evaluate
from firstday.evaluation.slices import BASELINE, REFERENCE
from firstday.evaluation.text_table import Table
from firstday.features.signals import Signals
from firstday.files import write_file
from firstday.model.folder import check_target
from firstday.progress import open_progress
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.segment_description import describe_segment
from firstday.serve.settings import load_settings
from firstday.training.fit import train

MODEL = Path(__file__).with_name("demo_model.zip")
"""Model folder of X-Wines; `benchmarks/demo_model.py` writes it."""
PICKS = (
    "Impérial Rosé Brut Champagne, Moët & Chandon",
    "Brut (R de Ruinart) Champagne, Ruinart",
    "Riesling Alsace, Trimbach",
)
"""Titles of the wines that the newcomer picks."""
DATASET = "movielens-100k"
PROFILE: Mapping[str, Any] = {"age": 24, "gender": "F", "occupation": "student"}
LIKED_FILMS = (
    "Toy Story (1995)",
    "Monty Python and the Holy Grail (1974)",
    "Wallace & Gromit: The Best of Aardman Animation (1996)",
)
N_WINES = 5
N_FILMS = 10
CREDIT = (
    "Data: X-Wines (CC0), R. X. de Azambuja, A. J. Morais, V. Filipe, Big Data and Cognitive Computing 7(1), 2023. "
    "firstday demo --train trains and evaluates on other data, MovieLens 100K."
)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the model and, with --train, the report.")] = Path("demo"),
    is_trained: Annotated[
        bool,
        typer.Option(
            "--train",
            help="Run all steps on MovieLens 100K: train, recommend to a sample user, evaluate and write a report.",
        ),
    ] = False,
    path: PathOption = None,
    seeds: SeedsOption = 1,
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

    Example: firstday demo --train
    """
    if not is_trained and (path is not None or seeds > 1):
        raise ConfigError("demo: --path and --seeds need --train; add it, or leave them out.")
    model = out / "model"
    check_target(model)
    if is_trained:
        out.mkdir(parents=True, exist_ok=True)
        recommender = _train(out, path, seeds)
    else:
        recommender = unpack_model(model)
        print_lists(model)
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


def print_lists(folder: Path) -> None:
    """Print everyone's list next to a newcomer's with its reasons, and the gain on held-out users."""
    from firstday.serve.batching import ListRequest
    from firstday.serve.explain import explain
    from firstday.serve.models import load_served

    served = load_served(folder)
    catalogue = served.trained.catalogue
    facts = served.trained.facts
    ids = dict(zip(catalogue.titles or (), catalogue.items.values, strict=True))
    request = ListRequest(signals=Signals(interactions=[("stream", "item", ids[title]) for title in PICKS]))
    request.model = served
    everyone = served.recommender.recommend(Signals(), N_WINES, BASELINE)
    newcomer = served.recommender.recommend(request.signals, N_WINES)
    reasons = explain(request, newcomer)["items"]
    columns = ("rank", "everyone gets", "this newcomer gets", "because it resembles")
    rows = []
    for rank, (common, own, reason) in enumerate(zip(everyone, newcomer, reasons, strict=True), 1):
        cells = (str(rank), common.title, own.title, reason["most_like"]["title"])
        rows.append(dict(zip(columns, cells, strict=True)))
    typer.echo(f"A newcomer picks three of {len(catalogue.items):,} wines:")
    for title in PICKS:
        typer.echo(f"- {title}")
    print_table(Table("", rows, words=columns))
    held_out = facts["metrics"]["held_out"]
    _print_gain(held_out["users"], *held_out["ratio"])
    print_line(CREDIT)


def _print_gain(n_users: int, *ratios: float | None) -> None:
    """Print the gain in precision of `auto` over popularity, given the ratio and its interval."""
    mean, low, high = (f"{100 * (ratio or 0) - 100:.0f}" for ratio in ratios)
    typer.secho(
        f"Lists by auto beat popularity by {mean} % [{low}, {high}], on {n_users:,} people unknown to the model.",
        bold=True,
    )


def _train(out: Path, path: Path | None, seeds: int) -> Recommender:
    """Train on MovieLens 100K, recommend to a sample user, evaluate and write a report; return the model."""
    began = perf_counter()
    dataset, config = open_tables(DATASET, path, None)
    summary = dataset.summary()
    typer.echo(
        f"1. {DATASET}: {summary['users']:,} people, {summary['items']:,} films, {summary['interactions']:,} ratings, "
        "no faults."
    )
    typer.echo("2. Training a model on 90 % of the people; the others determine when to stop ...")
    with open_progress() as progress:
        recommender = train(dataset, config, progress=progress)
    recommender.save(out / "model")
    _print_first_look(recommender)
    typer.echo("3. Evaluating every strategy on a fifth of the people, after training without them ...")
    with open_progress() as progress:
        results = evaluate(dataset, config, n_seeds=seeds, against=(REFERENCE, BASELINE), progress=progress)
    gain = results.get("auto", f"{RATIO}{BASELINE}")
    _print_gain(gain.n, gain.mean, gain.low, gain.high)
    print_results(results)
    report = out / "report.html"
    command = f"firstday demo --train --seeds {seeds}"
    write_file(report, render_evaluation(results, dataset_summary=summary, config=config, command=command))
    typer.echo(f"Done in {perf_counter() - began:.0f} s. Report: {report}")
    return recommender


def _print_first_look(recommender: Recommender) -> None:
    """Print a new user, the predicted segment and the list."""
    catalogue = recommender.model.catalogue
    ids = dict(zip(catalogue.titles or (), catalogue.items.values, strict=True))
    interactions = [("stream", "item", ids[title]) for title in LIKED_FILMS]
    answer = recommender.recommend(Signals(interactions=interactions, **PROFILE), N_FILMS)
    assert answer.segment is not None
    segment = describe_segment(recommender.model, answer.segment)
    profile = ", ".join(f"{name} {value}" for name, value in PROFILE.items())
    typer.echo(
        f"A new user: {profile}; watched {', '.join(LIKED_FILMS)}\n"
        f"predicted segment {segment.number} of {len(recommender.model.segments):,}, {segment.n_users:,} people; most "
        f"of them watch: {', '.join(f'{item.name} ({item.share:.0%})' for item in segment.top)}"
    )
    print_answer(answer)


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
