"""Commands, Python and rules on the page about rules on lists work on the small model."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import polars as pl
import pytest

from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.list_rules import Rules
from tests.docs.examples import ROOT, Reader, read_examples

PAGE = ROOT / "docs" / "rules.md"


def test_the_commands_work(tiny: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("newcomers").mkdir()
    pl.DataFrame({"user_id": ["n1", "n2"], "country": ["FR", None]}).write_parquet("newcomers/users.parquet")
    Path("sold-out.txt").write_text("i4\n")
    names = {"sold_out": ["i4"], "user": {"age": 20}, "users": [{"country": "FR"}, {}]}
    tiny.save(Path("model"))
    with Reader(tmp_path, names=names) as reader:
        reader.serve()
        for example in read_examples(PAGE):
            reader.run_example(example)
    assert len(reader.ran) == 2 + 8  # blocks of Python, and commands
    assert pl.read_csv("lists.csv")["item_id"].to_list() == ["i1", "i2", "i6"]
    assert list(reader.names["page"]) == ["For you", "New", "Jazz"]


def test_every_rule_of_the_table_is_the_same_in_each_form() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|.*?\| `(.*?)` \| `(.*?)` \| `\?(.*?)` \|$", PAGE.read_text(encoding="utf-8"), re.M
    )
    assert [name for name, *_ in rows] == ["filter", "allow", "deny", "cap", "pin", "boost", "after"]
    for name, python, command, http in rows:
        rules = Rules.of(ast.literal_eval(python))
        given = [value.strip("'") for value in command.split(f"--{name} ")[1:]]
        asked = [value for _, value in (part.split("=", 1) for part in http.split("&"))]
        if name in ("cap", "pin", "boost"):
            assert Rules.of({name: given}) == Rules.of({name: asked}) == rules
        elif name == "filter":
            assert [rules.filter] == given == asked
