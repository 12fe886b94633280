"""firstday demo: all steps on MovieLens 100K, from downloading the data to a list for a new user, and the demo page."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Annotated, Any

import typer

from firstday.cli.options import PathOption, SeedsOption, open_tables, program_name
from firstday.cli.printing import print_results
from firstday.cli.recommend import print_answer
from firstday.evaluation.report.render import render_evaluation
from firstday.evaluation.results import RATIO
from firstday.evaluation.run import evaluate
from firstday.evaluation.slices import BASELINE, REFERENCE
from firstday.features.signals import Signals
from firstday.files import write_file
from firstday.model.folder import check_target
from firstday.progress import open_progress
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment_description import describe_segment
from firstday.serve.settings import load_settings
from firstday.training.fit import train

DATASET = "movielens-100k"
PROFILE: Mapping[str, Any] = {"age": 24, "gender": "F", "occupation": "student"}
LIKED_FILMS = (
    "Toy Story (1995)",
    "Monty Python and the Holy Grail (1974)",
    "Wallace & Gromit: The Best of Aardman Animation (1996)",
)
LIST_LENGTH = 10


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the model and the report.")] = Path("demo"),
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
    """Run all steps on real data: recommend to a sample user, evaluate, write a report and serve the page.

    Example: firstday demo
    """
    began = perf_counter()
    check_target(out / "model")
    out.mkdir(parents=True, exist_ok=True)

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
    low, mean, high = (f"{100 * (ratio or 0) - 100:.0f}" for ratio in (gain.low, gain.mean, gain.high))
    typer.secho(
        f"Lists by auto beat popularity by {mean} % [{low}, {high}], on {gain.n} people unknown to the model.",
        bold=True,
    )
    print_results(results)
    report = out / "report.html"
    command = f"firstday demo --seeds {seeds}"
    write_file(report, render_evaluation(results, dataset_summary=summary, config=config, command=command))
    program = program_name()
    user = f'{{"age": 61, "interactions": [["stream", "item", {recommender.model.catalogue.items[0]}]]}}'
    typer.echo(
        f"Done in {perf_counter() - began:.0f} s. Report: {report}\n"
        "Next:\n"
        f"  {program} inspect {out / 'model'}\n"
        f"  {program} recommend {out / 'model'} --user '{user}' -k 10\n"
        f"  {program} check TABLES            your own folder of tables; see docs/tables.md\n"
        f"  {program} train TABLES --out model"
    )
    if sys.stdout.isatty() if open_page is None else open_page:
        show_page(out / "model", out / "users.sqlite")
    else:
        typer.echo(f"To open the demo page: {program} serve {out / 'model'}")


def _print_first_look(recommender: Recommender) -> None:
    """Print a new user, the predicted segment and the list."""
    catalogue = recommender.model.catalogue
    ids = dict(zip(catalogue.titles or (), catalogue.items.values, strict=True))
    interactions = [("stream", "item", ids[title]) for title in LIKED_FILMS]
    answer = recommender.recommend(Signals(interactions=interactions, **PROFILE), LIST_LENGTH)
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
