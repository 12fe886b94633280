"""firstday demo: all steps on MovieLens 100K, from fetching the data to a list for a new user, and the page to try."""

from __future__ import annotations

import os
import shutil
import sys
import webbrowser
from dataclasses import replace
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console

from firstday.artifact.folder import check_target
from firstday.cli.options import PathOption, open_tables
from firstday.cli.printing import print_results
from firstday.cli.recommend import print_answer
from firstday.data.splits.holdout import protocol_of, split_for_training
from firstday.errors import ConfigError, DataError
from firstday.evaluation.report.content import WorkedExample, gather_evaluation
from firstday.evaluation.report.render import write_report
from firstday.evaluation.results import RATIO
from firstday.evaluation.run import Run, default_strategies, join_runs, judge_run
from firstday.features.signals import Signals
from firstday.progress import open_progress
from firstday.recommend.recommendation import Recommendation
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment_description import describe_segments
from firstday.serve.settings import load_settings
from firstday.training.fit import cohort_query, fit
from firstday.training.fit import train as run_training

DATASET = "movielens-100k"
AGE, GENDER, OCCUPATION = 24, "F", "student"
LIKED_FILMS = ("Toy Story (1995)", "Monty Python and the Holy Grail (1974)", "Wallace & Gromit")
LIST_LENGTH = 10
SEGMENT_ITEMS = 5
FIRST_JUDGED = ("auto", "popular")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the model and the report.")] = Path("demo"),
    path: PathOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of times to split, train and evaluate.")] = 1,
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
    protocol = protocol_of(dataset, config)
    runs: list[Run] = []
    for seed in range(config.seed, config.seed + seeds):
        typer.echo(f"2. Training on four in five people; the fifth is kept out, to judge by (seed {seed}) ...")
        with open_progress() as progress:
            split = split_for_training(dataset, config, seed, with_cold=True)
            fit_began = perf_counter()
            recommender = fit(dataset, split, config.override("seed", seed), progress=progress)
            fit_seconds = perf_counter() - fit_began
        query = cohort_query(recommender, dataset, split.cold, config.recommend.k)
        if not runs:
            _print_first_look(recommender)
            quick = judge_run(query, split.cold, FIRST_JUDGED, seed=seed, n_warm=len(split.warm), fit_seconds=0.0)
            gain = join_runs(DATASET, [quick], protocol=protocol, against=("popular",)).get("auto", f"{RATIO}popular")
            low, mean, high = (f"{100 * (ratio or 0) - 100:.0f}" for ratio in (gain.low, gain.mean, gain.high))
            Console(highlight=False).print(
                f"[bold]Such lists (auto) beat popularity by {mean} % \\[{low}, {high}], on {gain.n} people kept out "
                f"of training.[/bold] {perf_counter() - began:.0f} s so far."
            )
            typer.echo("3. Judging every strategy on them ...")
        with open_progress() as progress:
            runs.append(
                judge_run(
                    query,
                    split.cold,
                    default_strategies(dataset, config),
                    seed=seed,
                    n_warm=len(split.warm),
                    fit_seconds=fit_seconds,
                    notes=split.notes,
                    progress=progress,
                )
            )
    results = join_runs(dataset.name, runs, protocol=protocol)
    print_results(results)

    typer.echo("4. Training the model to keep, on nine in ten; the tenth decides when to stop ...")
    with open_progress() as progress:
        recommender = run_training(dataset, config, progress=progress)
    recommender.save(out / "model")
    report = out / "report.html"
    content = gather_evaluation(
        replace(results, history=recommender.model.cold.history, segments=describe_segments(recommender.model)),
        dataset_summary=summary,
        config=config,
        described="the model that is kept",
        example=_meet_newcomer(recommender)[1],
        command=f"firstday demo --seeds {seeds}",
    )
    write_report(content, report)
    command = "firstday" if shutil.which("firstday") else os.path.relpath(Path(sys.prefix) / "bin" / "firstday")
    user = f'{{"age": 61, "interactions": [["stream", "item", {recommender.model.catalogue.items[0]}]]}}'
    typer.echo(
        f"Done in {perf_counter() - began:.0f} s. Report with the picture: {report}\n"
        "Next:\n"
        f"  {command} inspect {out / 'model'}\n"
        f"  {command} recommend {out / 'model'} --user '{user}' -k 10\n"
        f"  {command} check TABLES            your own folder of tables; see docs/tables.md\n"
        f"  {command} train TABLES --out model"
    )
    if sys.stdout.isatty() if open_page is None else open_page:
        show_page(out / "model", out / "users.sqlite")
    else:
        typer.echo(f"The page to try it on: {command} serve {out / 'model'}")


def show_page(model: Path, store: Path) -> None:
    """Serve a model with a store of its own until interrupted, and open its page where there is a browser."""
    from firstday.serve.server import run_server

    def open_browser(url: str) -> None:
        typer.echo(f"The page is at {url}/ (Ctrl+C ends it)")
        # without a display Python may start a browser of text in this very terminal
        if sys.platform != "linux" or {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
            Thread(target=webbrowser.open, args=(f"{url}/",), daemon=True).start()  # some return only when closed

    settings = {"host": "127.0.0.1", "store": f"sqlite:///{store.resolve()}"}
    try:
        run_server(model, load_settings(settings), open_browser)
    except ConfigError:  # the usual port is in use: any other will do
        run_server(model, load_settings(settings | {"port": 0}), open_browser)


def _meet_newcomer(recommender: Recommender) -> tuple[Recommendation, WorkedExample]:
    """Recommend to somebody invented, and say who that is."""
    catalogue, segments = recommender.model.catalogue, recommender.model.segments
    liked_ix = [_find_film(recommender, title) for title in LIKED_FILMS]
    user = Signals(
        age=AGE,
        gender=GENDER,
        occupation=OCCUPATION,
        interactions=[("stream", "item", catalogue.items[ix]) for ix in liked_ix],
    )
    answer = recommender.recommend(user, LIST_LENGTH)
    assert answer.segment is not None
    top, shares = (
        of_all[answer.segment, :SEGMENT_ITEMS].tolist() for of_all in (segments.top_items, segments.top_shares)
    )
    return answer, WorkedExample(
        profile=f"age {AGE}, gender {GENDER}, occupation {OCCUPATION}",
        liked=tuple(catalogue.title_of(ix) for ix in liked_ix),
        segment=answer.segment,
        segment_size=answer.segment_size or 0,
        segment_likes=tuple(f"{catalogue.title_of(ix)} ({share:.0%})" for ix, share in zip(top, shares, strict=True)),
        items=tuple(item.title for item in answer.items),
    )


def _print_first_look(recommender: Recommender) -> None:
    """Print who arrives, the segment they belong to, and their list."""
    answer, example = _meet_newcomer(recommender)
    typer.echo(
        f"Somebody new arrives: {example.profile}; watched {', '.join(example.liked)}\n"
        f"predicted segment {example.segment} of {len(recommender.model.segments):,}, {example.segment_size:,} people; "
        f"most of them watch: {', '.join(example.segment_likes)}"
    )
    print_answer(answer)


def _find_film(recommender: Recommender, start: str) -> int:
    """Return the index of the film whose title begins with `start`."""
    for ix, title in enumerate(recommender.model.catalogue.titles or ()):
        if title.startswith(start):
            return ix
    raise DataError(f"{DATASET}: has no film {start!r}; give an intact copy as --path.")
