"""firstday demo: the model that comes with firstday, and the page; make demo: its commands on MovieLens 100K."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from demo_model import find_holdout, measure_gain

from firstday.cli import demo
from firstday.cli.options import program_name
from firstday.datasets import dataset_names
from firstday.errors import ArtifactError
from firstday.features.signals import Signals
from firstday.ranking import unit_rows
from firstday.recommend.recommender import Recommender, open_model
from tests.cli.conftest import Run
from tests.environments import SHARED
from tests.serve.conftest import wait_for

SHOW_PAGE = """
import sys
from pathlib import Path
from firstday.cli.demo import show_page
show_page(Path(sys.argv[1]), Path(sys.argv[2]))
"""

RENEW = "run: python benchmarks/demo_model.py --data FOLDER, with xwines_slim.zip in the folder"
WINES = SHARED / "xwines_slim.zip"
NO_LAB = "without firstday.lab, no dataset is known by name"
MARGIN = 1e-3
"""Relative difference of two scores that no processor swaps: networks and vectors differ by 1e-5."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """Return the model that comes with firstday."""
    try:
        return demo.unpack_model(tmp_path_factory.mktemp("shipped") / "model")
    except ArtifactError as error:
        pytest.fail(f"{error} The model of the demo is out of date; {RENEW}.")


def test_the_model_of_the_demo_is_small_and_has_no_data_of_individuals(shipped: Recommender) -> None:
    assert demo.MODEL.stat().st_size <= 3_000_000, RENEW
    assert zipfile.ZipFile(demo.MODEL).testzip() is None
    assert shipped.model.warm is None


@pytest.mark.skipif(not WINES.exists(), reason=f"no {WINES.name} in ../shared/data")
@pytest.mark.skipif("x-wines" not in dataset_names(), reason=NO_LAB)
def test_the_figures_of_the_demo_are_those_of_its_model_on_people_it_does_not_know(shipped: Recommender) -> None:
    holdout = find_holdout(WINES)
    facts = shipped.model.facts
    assert holdout.cut_off is not None
    assert np.datetime64(facts["data"]["last_interaction"]) < np.datetime64(holdout.cut_off, "us")
    recorded = facts["metrics"]["held_out"]
    measured = measure_gain(shipped.model, holdout)
    assert (measured["users"], measured["k"]) == (recorded["users"], recorded["k"]), RENEW
    assert measured["precision"] == pytest.approx(recorded["precision"], abs=0.05), RENEW
    assert measured["hits"] == pytest.approx(recorded["hits"], abs=0.005), RENEW
    assert measured["ratio"] == pytest.approx(recorded["ratio"], abs=0.01), RENEW


def test_the_lists_of_the_demo_do_not_depend_on_the_processor(shipped: Recommender) -> None:
    catalogue = shipped.model.catalogue
    picks = [catalogue.items.values[(catalogue.titles or ()).index(title)] for title in demo.PICKS]
    user = Signals(interactions=[("stream", "item", pick) for pick in picks])
    newcomer = shipped.recommend(user, demo.N_WINES + 1)
    for answer in (newcomer, shipped.recommend({}, demo.N_WINES + 1, "popular")):
        scores = np.array([item.score for item in answer])
        assert (scores[1:] < scores[:-1] * (1 - MARGIN)).all(), f"choose other PICKS, or {RENEW}"
    listed = [catalogue.items.index_of(item.item_id) for item in newcomer]
    liked = [catalogue.items.index_of(pick) for pick in picks]
    vectors = unit_rows(shipped.model.fold_in.item_vectors)
    similarity = np.sort(vectors[listed[: demo.N_WINES]] @ vectors[liked].T)
    assert (similarity[:, -2] < similarity[:, -1] - MARGIN).all(), "choose other PICKS"


def test_the_demo_shows_everyones_list_beside_a_newcomers(run: Run, shipped: Recommender, tmp_path: Path) -> None:
    done = run("demo", "--no-open", "--out", tmp_path)
    held_out = shipped.model.facts["metrics"]["held_out"]
    gain = re.search(r"beat popularity by (-?\d+) % \[(-?\d+), (-?\d+)\], on (\d+) people", done.stdout)
    assert gain is not None
    assert [int(part) for part in gain.groups()[:3]] == [round(100 * ratio - 100) for ratio in held_out["ratio"]]
    assert int(gain[4]) == held_out["users"]
    assert f"{held_out['hits']['auto']:.2f} hits per list of ten" in done.stdout
    for title in demo.PICKS:
        assert f"- {title}\n" in done.stdout
    rows = re.findall(r"^ (\d) .*\S {2,}\S.* {2,}\S", done.stdout, re.MULTILINE)
    assert rows == [str(rank) for rank in range(1, demo.N_WINES + 1)]
    assert open_model(tmp_path / "model").recommend({}, 3).items == shipped.recommend({}, 3).items


def test_printed_commands_work_where_they_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_name() == str(Path(sys.executable).parent / "firstday")
    (tmp_path / "firstday").touch(mode=0o755)
    assert program_name() == "firstday"


def test_the_page_opens_in_a_browser_and_an_interruption_ends_it(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "browser").write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part\nmv {tmp_path}/opened.part {tmp_path}/opened\n'
    )
    (tmp_path / "browser").chmod(0o755)
    command = [sys.executable, "-c", SHOW_PAGE, str(tiny_model), str(tmp_path / "users.sqlite")]
    place = {"BROWSER": f"{tmp_path}/browser %s", "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **place}) as process:
        assert process.stdout is not None
        said = re.fullmatch(
            r"The page is at (http://127\.0\.0\.1:\d+/) \(stop with Ctrl\+C\)\n", process.stdout.readline()
        )
        assert said is not None
        with urllib.request.urlopen(said[1], timeout=60) as page:
            assert b"<html" in page.read()
        wait_for((tmp_path / "opened").exists)
        assert (tmp_path / "opened").read_text() == f"{said[1]}\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
