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
from tests.environments import make_environment, pip, run, serve

TRAINING = (
    *("torch", "scipy", "sklearn", "implicit", "faiss", "gensim", "matplotlib", "jinja2"),
    *("pyspark", "pyarrow", "pandas", "tea_tasting"),
)

RECOMMEND = """
import importlib.util, json, sys
assert not [name for name in json.loads(sys.argv[2]) if importlib.util.find_spec(name)]
import firstday as fd
recommender = fd.open_model(sys.argv[1])
user = fd.Signals(age=20, country="FR", interactions=[("stream", "item", "i3")])
lists = {name: [i.item_id for i in recommender.recommend(user, 4, name).items] for name in json.loads(sys.argv[3])}
print(json.dumps(lists))
"""

TRAIN = """
import firstday as fd, sys
from firstday.errors import MissingExtraError
try:
    fd.train(fd.load(sys.argv[1]))
except MissingExtraError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_base_install_recommends_as_the_full_one(tiny: Recommender, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "model")
    versions = tmp_path / "versions.txt"
    versions.write_text(run(sys.executable, "-m", "pip", "freeze", "--exclude-editable", folder=tmp_path))
    same = ["--constraint", str(versions)]
    python = make_environment(tmp_path / "bare", *same)

    names = list(strategy_names())
    printed = run(python, "-c", RECOMMEND, model, json.dumps(TRAINING), json.dumps(names), folder=tmp_path)
    user = Signals(age=20, country="FR", interactions=[("stream", "item", "i3")])
    assert json.loads(printed) == {
        name: [item.item_id for item in tiny.recommend(user, 4, name).items] for name in names
    }

    command = python.with_name("firstday")
    assert "beat popularity by" in run(command, "demo", "--no-open", folder=tmp_path)

    printed = run(command, "recommend", model, "--user", '{"age": 20}', "--json", folder=tmp_path)
    assert json.loads(printed)["route"] == "segment"

    with (
        serve(python, model, os.environ) as url,
        urllib.request.urlopen(f"{url}/v1/users/u/recommendations?k=3", timeout=10) as answer,
    ):
        assert len(json.load(answer)["items"]) == 3

    # the line that an error names where an extra is missing works before firstday is on any index
    line = re.search("pip (install .*)$", str(MissingExtraError("the Redis store", "redis")))
    assert line is not None
    pip("--python", python, *shlex.split(line[1]), *same)
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


def test_the_demo_needs_no_training_library_and_no_network(tmp_path: Path) -> None:
    block = f"import socket, sys; sys.modules.update(dict.fromkeys({TRAINING!r}, None)); socket.getaddrinfo = None"
    code = f"{block}; sys.argv[1:] = ['demo', '--no-open']; from firstday.__main__ import main; main()"
    assert "beat popularity by" in run(sys.executable, "-c", code, folder=tmp_path)


def test_training_without_its_libraries_names_the_line_that_adds_them(tmp_path: Path) -> None:
    users = [f"u{ix}" for ix in range(60)]
    rows = [f"{user},i{item}" for user in users for item in range(25)]
    (tmp_path / "interactions.csv").write_text("\n".join(["user_id,item_id", *rows]) + "\n")
    block = f"import sys; sys.modules.update(dict.fromkeys({TRAINING!r}, None))\n"
    printed = run(sys.executable, "-c", block + TRAIN, tmp_path, folder=tmp_path)
    assert printed == "training needs libraries that are not installed; run: pip install 'firstday[train]'\n"
