"""Recommending needs none of the training libraries: shown where they are not installed."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import urllib.request
from pathlib import Path

import pytest

from firstday.errors import MissingExtraError
from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategy_names
from tests.environments import make_environment, run, serve, uv

TRAINING = (
    *("torch", "scipy", "sklearn", "implicit", "faiss", "matplotlib", "jinja2"),
    *("pyspark", "pyarrow", "pandas", "tea_tasting"),
)

LOOK = """
import importlib.util, json, socket, sys
assert not [name for name in json.loads(sys.argv[2]) if importlib.util.find_spec(name)]
import firstday as fd
from firstday.cli.main import main
from firstday.errors import MissingExtraError
recommender = fd.open_model(sys.argv[1])
user = fd.Signals(age=20, country="FR", interactions=[("stream", "item", "i3")])
lists = {name: [i.item_id for i in recommender.recommend(user, 4, name).items] for name in json.loads(sys.argv[3])}
try:
    fd.train(fd.load("."))
except MissingExtraError as error:
    print(json.dumps([lists, str(error)]))
socket.getaddrinfo = None  # a demo needs no network
sys.argv[1:] = ["demo", "--no-open"]
main()
"""


@pytest.mark.slow
def test_a_base_install_recommends_as_the_full_one(tiny: Recommender, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "model")
    versions = tmp_path / "versions.txt"
    versions.write_text(uv("pip", "freeze", "--exclude-editable"))
    same = ("--constraint", str(versions))
    python = make_environment(tmp_path / "bare", *same)
    tables = tmp_path / "tables"
    tables.mkdir()
    rows = [f"u{ix},i{item}" for ix in range(60) for item in range(25)]
    (tables / "interactions.csv").write_text("\n".join(["user_id,item_id", *rows]) + "\n")

    names = list(strategy_names())
    printed = run(python, "-c", LOOK, model, json.dumps(TRAINING), json.dumps(names), folder=tables)
    first, *demo = printed.splitlines()
    user = Signals(age=20, country="FR", interactions=[("stream", "item", "i3")])
    assert json.loads(first) == [
        {name: [item.item_id for item in tiny.recommend(user, 4, name).items] for name in names},
        "training needs libraries that are not installed; run: pip install 'firstday[train]'",
    ]
    assert any("beat popularity by" in line for line in demo)

    with (
        serve(python, model, os.environ) as url,
        urllib.request.urlopen(f"{url}/v1/users/u/recommendations?k=3", timeout=60) as answer,
    ):
        assert len(json.load(answer)["items"]) == 3

    # the line that an error names where an extra is missing works before firstday is on any index
    line = re.search("pip (install .*)$", str(MissingExtraError("the Redis store", "redis")))
    assert line is not None
    uv("pip", *shlex.split(line[1]), "--python", str(python), *same)
    run(python, "-c", "import redis", folder=tmp_path)


def test_recommending_imports_no_training_library(tiny: Recommender, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "model")
    code = (
        "import sys, firstday as fd; recommender = fd.open_model(sys.argv[1]); "
        'user = fd.Signals(age=20, interactions=[("stream", "item", "i4")]); '
        f"[recommender.recommend(user, 4, name) for name in {list(strategy_names())!r}]; "
        f"print([name for name in {TRAINING!r} if name in sys.modules])"
    )
    assert run(sys.executable, "-c", code, model, folder=tmp_path) == "[]\n"
