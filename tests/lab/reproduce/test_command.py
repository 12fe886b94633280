"""firstday lab reproduce on the command line: the table, JSON, the report, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from firstday.cli.main import app
from firstday.errors import ConfigError, DataError
from firstday.lab.reproduce.released_code import DEPARTURES
from firstday.lab.reproduce.table import SIMULATED_NOTE

runner = CliRunner()
QUICK = ["--strategy", "popular", "--strategy", "segment", "--segments", "8", "--input-clusters", "4"]


def test_the_table_stands_beside_the_papers(released: Path) -> None:
    done = runner.invoke(app, ["lab", "reproduce", str(released), *QUICK, "--config", write_settings(released)])
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["method", "metric", "paper", "authors'", "code", "here"] in lines
    popular = next(line for line in lines if line[:2] == ["Popularity", "P@50"])
    assert popular[2:5] == ["8.92", "±", "0.21"]
    assert popular[5:8] == popular[8:]  # nothing to depart in
    segment = next(line for line in lines if line[:2] == ["segment", "R@50"])
    assert segment[2:5] == ["8.26", "±", "0.15"]
    assert len(segment) == 11
    assert "simulated" not in done.output
    assert "240 warm and 50 cold users" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in done.stdout


def write_settings(folder: Path) -> str:
    file = folder.parent / "quick.toml"
    file.write_text("[cold_model]\nhidden = [8]\nepochs = 1\nbatch_size = 64\n")
    return str(file)


def test_json_and_report_go_to_files(released: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    page = tmp_path / "table.html"
    options = ["--space", "mf", "--json", str(out), "--report", str(page), "--config", write_settings(released)]
    options += ["--like-code", "last-epoch", "--set", "cold_model.epochs=3"]
    done = runner.invoke(app, ["lab", "reproduce", str(released), *QUICK, *options])
    assert done.exit_code == 0, done.output
    values = json.loads(out.read_text())
    assert (values["space"], values["dimensions"]) == ("mf", 9)
    assert values["results"][1]["paper"]["precision"] == 19.0
    assert values["like_code"] == ["last-epoch"]
    assert values["training"]["epochs"] == values["training"]["kept"] == 3
    assert values["code"]["like_code"] == [*DEPARTURES]
    assert values["code"]["training"]["epochs"] == 130
    assert "reading" in values["seconds"]
    text = page.read_text()
    assert "Next to the paper\N{RIGHT SINGLE QUOTATION MARK}s Table 1" in text
    assert "cold users are those of the paper" in text
    assert "Deezer, semi-personalised" in text
    assert "19.00" in text
    assert "simulated" not in text


def test_simulated_data_is_named_everywhere(simulated: Path, tmp_path: Path) -> None:
    page, out = tmp_path / "table.html", tmp_path / "table.json"
    options = ["--report", str(page), "--json", str(out), "--strategy", "popular", "--config", write_settings(tmp_path)]
    done = runner.invoke(app, ["lab", "reproduce", str(simulated), *options])
    assert done.exit_code == 0, done.output
    values = json.loads(out.read_text())
    assert values["simulated"] is True
    assert values["notes"][0] == SIMULATED_NOTE
    assert "<title>Cold users of deezer-kdd21, simulated: firstday report</title>" in page.read_text()
    assert SIMULATED_NOTE.partition(",")[0] in page.read_text()
    assert done.stdout.startswith("deezer-kdd21, simulated: Table 1 of the paper (svd)")
    assert f"note: {SIMULATED_NOTE}" in done.stderr


def test_mistakes_are_sentences(released: Path, tmp_path: Path) -> None:
    for arguments, kind, sentence in (
        ([str(tmp_path / "nowhere")], DataError, "nowhere: cannot be read as the paper's released files ("),
        ([str(released), "--strategy", "best"], ConfigError, "strategy: 'best' is unknown"),
        ([str(released), "--strategy", "item_item"], ConfigError, "strategy: item_item has options to search"),
        ([str(released), "--report", str(tmp_path)], ConfigError, "is a folder; give the name of a file"),
        ([str(released), "--segments", "500", "--strategy", "popular"], ConfigError, "is 500, with 240 warm users"),
    ):
        done = runner.invoke(app, ["lab", "reproduce", *arguments])
        assert isinstance(done.exception, kind)
        assert sentence in str(done.exception)
    for option in ("--space", "--like-code"):
        assert runner.invoke(app, ["lab", "reproduce", str(released), option, "w2v"]).exit_code == 2
