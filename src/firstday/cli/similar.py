"""firstday similar: list what goes with an item."""

from __future__ import annotations

from typing import Annotated

import typer

from firstday.cli.options import (
    AllowOption,
    BoostOption,
    CapOption,
    DenyOption,
    FilterOption,
    JsonFlag,
    KeepUsedOption,
    KOption,
    ModelArgument,
    PinOption,
    PluginOption,
    UserOption,
    load_plugins,
    print_json,
    read_rules,
    read_user,
)
from firstday.cli.recommend import print_answer
from firstday.recommend.recommender import open_model

PLACE = 8  # in firstday --help


def similar(
    model: ModelArgument,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Id of the item.")],
    user: UserOption = None,
    k: KOption = None,
    keep_used: KeepUsedOption = False,
    filter: FilterOption = None,  # noqa: A002  the rule's name
    allow: AllowOption = None,
    deny: DenyOption = None,
    cap: CapOption = None,
    pin: PinOption = None,
    boost: BoostOption = None,
    plugin: PluginOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List what goes with an ITEM: what people use together with it, most of all on the same day.

    With --user, the list is ranked for a user, without what the user has used.

    Example: firstday similar model 50 -k 10

    Example: firstday similar model 50 --user '{"interactions": [["stream", "item", 81]]}' --filter 'genre == "jazz"'
    """
    rules = read_rules(filter, allow, deny, cap=cap, pin=pin, boost=boost)
    load_plugins(plugin)
    signals = None if user is None else read_user(user)
    answer = open_model(model).similar(item, k, signals, keep_used=keep_used, rules=rules)
    if as_json:
        print_json(answer.to_json())
    else:
        print_answer(answer)
