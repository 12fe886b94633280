"""firstday recommend: make a list for one user, or lists for many."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from firstday.cli.options import (
    AllowOption,
    BoostOption,
    CapOption,
    DenyOption,
    DropOption,
    EngineOption,
    FilterOption,
    JsonFlag,
    KeepUsedOption,
    KOption,
    PinOption,
    PluginOption,
    SparkConfOption,
    SparkMasterOption,
    UserOption,
    check_output,
    load_plugins,
    print_json,
    read_rules,
    read_user,
    start_engine,
)
from firstday.cli.printing import print_table
from firstday.engine.engines import LOCAL
from firstday.errors import ConfigError
from firstday.evaluation.text_table import Table
from firstday.recommend.list_files import LIST_ENDINGS, find_list_form
from firstday.recommend.recommendation import Recommendation
from firstday.recommend.registry import strategy_names

PLACE = 7  # in firstday --help


def recommend(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder.")],
    user: UserOption = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Folder with users and interactions of many cold users."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With --batch: output file, or a folder of files with --engine spark. The extension sets the format: "
            f"{', '.join(LIST_ENDINGS)}.",
        ),
    ] = None,
    k: KOption = None,
    strategy: Annotated[str | None, typer.Option(help=f"Strategy: one of {', '.join(strategy_names())}.")] = None,
    keep_used: KeepUsedOption = False,
    filter: FilterOption = None,  # noqa: A002  the rule's name
    allow: AllowOption = None,
    deny: DenyOption = None,
    cap: CapOption = None,
    pin: PinOption = None,
    boost: BoostOption = None,
    after: Annotated[int, typer.Option(min=0, help="Number of ranks to skip.")] = 0,
    drop_bad_rows: DropOption = 0.0,
    plugin: PluginOption = None,
    engine: EngineOption = None,
    spark_master: SparkMasterOption = None,
    spark_conf: SparkConfOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Recommend items to users unknown to the MODEL, based on whatever is known about them.

    Example: firstday recommend model --user '{"age": 24, "interactions": [["stream", "item", 50]]}' -k 10

    Example: firstday recommend model --batch newcomers/ --out lists.csv

    Example: firstday recommend model --user '{}' --filter 'in_stock and genre == "jazz"' --cap artist=2
    """
    is_local = engine in (None, LOCAL)
    if (user is None) == (batch is None) or (batch is None) != (out is None):
        raise ConfigError("recommend: give either --user, or --batch and --out.")
    if user is not None and (drop_bad_rows or not is_local):
        raise ConfigError("recommend: --drop-bad-rows and --engine spark need --batch; add it, or leave them out.")
    rules = read_rules(filter, allow, deny, cap=cap, pin=pin, boost=boost, after=after)
    load_plugins(plugin)
    if out is not None:
        find_list_form(out)
        if is_local:
            check_output(Path(out))
    chosen = start_engine(engine, spark_master, spark_conf)
    recommender = chosen.open_model(model)
    if batch is None or out is None:
        assert user is not None
        answer = recommender.recommend(read_user(user), k, strategy, keep_used=keep_used, rules=rules)
        if as_json:
            print_json(answer.to_json())
        else:
            print_answer(answer)
        return
    lists, batch_result, left_out = chosen.recommend_batch(
        recommender,
        batch,
        k,
        strategy,
        keep_used=keep_used,
        rules=rules,
        drop_bad_rows=drop_bad_rows,
        plugins=tuple(plugin or ()),
    )
    chosen.write_lists(lists, out, left_out)
    if as_json:
        print_json(vars(batch_result))
        return
    routes = ", ".join(f"{route} {n:,}" for route, n in Counter(batch_result.routes).most_common())
    typer.echo(f"{batch_result.n_users:,} users, {batch_result.n_rows:,} rows in {out}.\nRoutes: {routes}.")
    for note in batch_result.notes:
        typer.echo(f"Note: {note}")


def print_answer(answer: Recommendation) -> None:
    """Print one user's list."""
    segment_text = ""
    if answer.segment is not None and answer.route == "segment":
        segment_text = f", predicted segment {answer.segment} ({answer.segment_size:,} users)"
    typer.echo(f"strategy {answer.strategy}, route {answer.route}{segment_text}")
    columns = ("rank", "item_id", "title", answer.score_scale)
    rows = [dict(zip(columns, row, strict=True)) for row in answer.to_rows()]
    print_table(Table("", rows, words=("item_id", "title")))
    for sentence in answer.to_sentences():
        typer.echo(f"Note: {sentence}")
