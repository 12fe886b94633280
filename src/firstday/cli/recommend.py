"""firstday recommend: a list for one user, or for many."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from firstday.cli.options import (
    DropOption,
    Engine,
    EngineOption,
    JsonFlag,
    KOption,
    PluginOption,
    SparkConfOption,
    SparkMasterOption,
    check_file_target,
    load_plugins,
    start_engine,
)
from firstday.engine.engines import ModelPlace
from firstday.errors import ConfigError, DataError
from firstday.features.signals import Signals
from firstday.recommend.batch import recommend_tables
from firstday.recommend.list_files import LIST_ENDINGS, find_list_form
from firstday.recommend.recommendation import Recommendation
from firstday.recommend.registry import find_strategy, strategy_names
from firstday.recommend.scales import FILLS_UP, is_part


def recommend(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A trained model's folder.")],
    user: Annotated[
        str | None, typer.Option(help="What is known of one user, as JSON; - reads it from standard input.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="A folder with the users and interactions of many cold users."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With --batch: the file to write; with --engine spark a folder of such files. Its form is its "
            f"ending: {', '.join(LIST_ENDINGS)}.",
        ),
    ] = None,
    k: KOption = None,
    strategy: Annotated[str | None, typer.Option(help=f"One of {', '.join(strategy_names())}.")] = None,
    keep_used: Annotated[bool, typer.Option(help="Allow items that the user has used or banned.")] = False,
    drop_bad_rows: DropOption = 0.0,
    plugin: PluginOption = None,
    engine: EngineOption = None,
    spark_master: SparkMasterOption = None,
    spark_conf: SparkConfOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Recommend items to users that the MODEL does not know, from whatever is known of them.

    Example: firstday recommend model --user '{"age": 24, "interactions": [["stream", "item", 50]]}' -k 10

    Example: firstday recommend model --batch newcomers/ --out lists.csv
    """
    if (user is None) == (batch is None):
        raise ConfigError("recommend: give either --user or --batch, not both and not neither.")
    if (batch is None) != (out is None):
        raise ConfigError("recommend: --batch and --out go together; give both.")
    if user is not None and drop_bad_rows:
        raise ConfigError("recommend: --drop-bad-rows is about tables; give it with --batch.")
    if user is not None and engine is Engine.SPARK:
        raise ConfigError("recommend: --engine spark is for many users; give it with --batch.")
    load_plugins(plugin)
    if strategy is not None:
        find_strategy(strategy)
    if out is not None:
        find_list_form(out)
        if engine is not Engine.SPARK:
            check_file_target(Path(out))
    on_cluster = start_engine(engine, spark_master, spark_conf) == "spark"
    recommender = ModelPlace(model, on_cluster=on_cluster).open()
    if user is not None:
        user_json = _read_stdin() if user == "-" else user
        answer = recommender.recommend(Signals.from_json(user_json), k, strategy, keep_used=keep_used)
        if as_json:
            typer.echo(json.dumps(answer.to_json(), ensure_ascii=False, indent=1))
        else:
            print_answer(answer, Console())
        return
    assert batch is not None
    assert out is not None
    if on_cluster:
        from firstday.engine.spark.recommend_on_spark import recommend_tables_on_spark

        batch_result = recommend_tables_on_spark(
            recommender,
            batch,
            out,
            k,
            strategy,
            keep_used=keep_used,
            drop_bad_rows=drop_bad_rows,
            plugins=tuple(plugin or ()),
        )
    else:
        batch_result = recommend_tables(
            recommender, Path(batch), Path(out), k, strategy, keep_used=keep_used, drop_bad_rows=drop_bad_rows
        )
    if as_json:
        typer.echo(json.dumps(batch_result.to_json(), ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{batch_result.n_users:,} users, {batch_result.n_rows:,} rows in {out}.")
    console.print(
        "Routes: " + ", ".join(f"{route} {n:,}" for route, n in Counter(batch_result.routes).most_common()) + "."
    )
    for note in batch_result.notes:
        console.print(f"Note: {note}")


def _read_stdin() -> str:
    """Read standard input as UTF-8, with or without a byte order mark."""
    try:
        return typer.get_binary_stream("stdin").read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"user: is not UTF-8 (byte {error.start + 1} of standard input); write UTF-8.") from None


def print_answer(answer: Recommendation, console: Console) -> None:
    """Print one user's list."""
    segment_text = ""
    if answer.segment is not None and answer.route == "segment":
        segment_text = f", predicted segment {answer.segment} ({answer.segment_size:,} users)"
    heading = f"strategy {answer.strategy}, route {answer.route}{segment_text}"
    console.print(heading, markup=False, highlight=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    titled = any(item.title for item in answer.items)
    scale, form = answer.score_scale, ".1%" if is_part(answer.score_scale) else ".3f"
    for name in ("rank", "item_id", *(["title"] if titled else []), scale):
        table.add_column(name, justify="right" if name in ("rank", scale) else "left")
    for rank, item in enumerate(answer.items, 1):
        title = [item.title] if titled else []
        score = f"{item.score:{form}}" if rank <= answer.n_ranked else FILLS_UP
        table.add_row(str(rank), *(cell.replace("[", r"\[") for cell in (str(item.item_id), *title)), score)
    console.print(table)
    for sentence in answer.ignored:
        console.print(f"Note: {sentence}; it was ignored.", markup=False, highlight=False)
    for sentence in answer.notes:
        console.print(f"Note: {sentence}.", markup=False, highlight=False)
