"""firstday demo: all steps on MovieLens 100K, from fetching the data to a list for a new user."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console

from firstday.artifact.folder import check_target
from firstday.cli.options import PathOption, open_tables, shown_progress
from firstday.cli.printing import print_results
from firstday.cli.recommend import print_answer
from firstday.data.ids import Ids
from firstday.errors import DataError
from firstday.evaluate.report.content import WorkedExample
from firstday.evaluate.report.render import write_report
from firstday.evaluate.run import evaluate_strategies
from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment_description import describe_segments
from firstday.serve.settings import ServeSettings
from firstday.training.fit import train as run_training

DATASET = "movielens-100k"
AGE, GENDER, OCCUPATION = 24, "F", "student"
LIKED_FILMS = ("Toy Story (1995)", "Monty Python and the Holy Grail (1974)", "Wallace & Gromit")
LIST_LENGTH = 10
SEGMENT_ITEMS = 5


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the model and the report.")] = Path("demo"),
    path: PathOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many times to split, train and judge.")] = 2,
) -> None:
    """Run all steps on real data: fetch, check, evaluate, train, recommend to an invented new user, and report.

    Example: firstday demo
    """
    began = perf_counter()
    console = Console(highlight=False)
    check_target(out / "model")
    out.mkdir(parents=True, exist_ok=True)

    dataset, config = open_tables(DATASET, path, None)
    summary = dataset.summary()
    console.print(
        f"1. {DATASET}: {summary['users']:,} people, {summary['items']:,} films, {summary['interactions']:,} ratings, "
        "no faults.",
        markup=False,
    )
    console.print(f"2. Evaluating every strategy on people kept out of training, {seeds} time(s) ...", markup=False)
    with shown_progress() as progress:
        results = evaluate_strategies(dataset, config, n_seeds=seeds, progress=progress)
    print_results(results, console)
    auto, segment, popular = (results.get(name, "precision").mean for name in ("auto", "segment", "popular"))
    console.print(
        f"[bold]The list that people get (auto) beats popularity by {100 * (auto / popular - 1):.0f} %, the paper's "
        f"method (segment) by {100 * (segment / popular - 1):.0f} %: P@{results.k} is {auto:.1f} and {segment:.1f} % "
        f"against {popular:.1f} %.[/bold]"
    )

    console.print("3. Training the model to keep, on nine in ten; the tenth decides when to stop ...", markup=False)
    with shown_progress() as progress:
        recommender = run_training(dataset, config, progress=progress)
    recommender.save(out / "model")

    profile = f"age {AGE}, gender {GENDER}, occupation {OCCUPATION}"
    liked_ix = [_find_film(recommender, title) for title in LIKED_FILMS]
    catalogue = recommender.model.catalogue
    liked_titles = tuple(catalogue.title_of(ix) for ix in liked_ix)
    user = Signals(
        age=AGE,
        gender=GENDER,
        occupation=OCCUPATION,
        interactions=[("stream", "item", catalogue.items[ix]) for ix in liked_ix],
    )
    answer = recommender.recommend(user, LIST_LENGTH)
    segments = recommender.model.segments
    assert answer.segment is not None
    segment_titles = tuple(
        f"{catalogue.title_of(ix)} ({share:.0%})"
        for ix, share in zip(
            segments.top_items[answer.segment, :SEGMENT_ITEMS].tolist(),
            segments.top_shares[answer.segment, :SEGMENT_ITEMS].tolist(),
            strict=True,
        )
    )
    console.print("4. Somebody new arrives:", markup=False)
    console.print(f"   who: {profile}; watched {', '.join(liked_titles)}", markup=False, soft_wrap=True)
    console.print(
        f"   predicted segment {answer.segment} of {len(segments):,}, {answer.segment_size:,} people; most of them "
        f"watch: {', '.join(segment_titles)}",
        markup=False,
        soft_wrap=True,
    )
    print_answer(answer, console)

    example = WorkedExample(
        profile=profile,
        liked=liked_titles,
        segment=answer.segment,
        segment_size=answer.segment_size or 0,
        segment_likes=segment_titles,
        items=tuple(item.title for item in answer.items),
    )
    report = out / "report.html"
    write_report(
        results,
        report,
        dataset_summary=summary,
        config=config,
        history=recommender.model.cold.history,
        segments=describe_segments(recommender.model),
        example=example,
        command=f"firstday demo --seeds {seeds}",
    )
    console.print(f"\nDone in {perf_counter() - began:.0f} s. Report with the picture: {report}", markup=False)
    _print_next(out, catalogue.items, liked_ix, console)


def _find_film(recommender: Recommender, start: str) -> int:
    """Return the index of the film whose title begins with `start`."""
    titles = recommender.model.catalogue.titles or ()
    for ix, title in enumerate(titles):
        if title.startswith(start):
            return ix
    raise DataError(f"{DATASET}: has no film {start!r}; give an intact copy as --path.")


def _print_next(out: Path, items: Ids, liked_ix: list[int], console: Console) -> None:
    """Print the commands to run next."""
    model = out / "model"
    user = f'{{"age": 61, "interactions": [["stream", "item", {items[liked_ix[0]]}]]}}'
    command = "firstday" if shutil.which("firstday") else f"{Path(sys.prefix) / 'bin' / 'firstday'}"
    with suppress(ValueError):
        command = str(Path(command).relative_to(Path.cwd()))
    host, port = (ServeSettings.model_fields[name].default for name in ("host", "port"))
    address = f"http://{host}:{port}/"
    for line in (
        "Next:",
        f"  {command} inspect {model}",
        f"  {command} recommend {model} --user '{user}' -k 10",
        f"  {command} check TABLES            your own folder of tables; see docs/tables.md",
        f"  {command} train TABLES --out model",
        "Sit down as a new user:",
        f"  {command} serve {model}",
        f"  then open {address} in a browser",
    ):
        console.print(line, markup=False, soft_wrap=True)
