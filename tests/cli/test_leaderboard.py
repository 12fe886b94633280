from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from firstday.leaderboard.board import read_leaderboard, read_published, to_json
from tests.cli.conftest import Run


def test_a_folder_of_tables_is_run_kept_added_to_and_shown(tmp_path: Path, run: Run) -> None:
    service, ours, theirs, page = (tmp_path / name for name in ("service", "ours.json", "theirs.json", "page.html"))
    run("simulate", service, "--users", 400, "--items", 100, "--days", 60)
    done = run("leaderboard", service, "--seeds", 1, "--strategy", "popular", "--json", ours, "--page", page)
    board = read_leaderboard(ours)
    (only,) = board["service"].runs
    assert [row.strategy for row in only.rows] == ["segment", "popular"]
    assert re.search(r"popular +\d", done.stdout)
    # The seeds are those of the file; no published standings of other datasets are added.
    run("leaderboard", service, "--strategy", "popular", "--published", "--json", ours)
    assert read_leaderboard(ours) == board
    assert "--seeds 1" in run("leaderboard", service, "--seeds", 2, "--json", ours, status=2).stderr

    row = replace(only.rows[1], strategy="theirs")
    theirs.write_text(to_json({"service": replace(board["service"], runs=(replace(only, rows=(row,)),))}))
    done = run("leaderboard", "--add", theirs, "--json", ours, "--page", page)
    assert "service: 1 method(s) added from theirs.json" in done.stderr
    assert "<bdi>theirs</bdi>" in page.read_text(encoding="utf-8")
    assert len(read_leaderboard(ours)["service"].best_first) == 3

    done = run("leaderboard", "--published", "--json", ours)
    assert {"service", *read_published()} == set(read_leaderboard(ours))
    for name in ("service", "movielens-100k"):
        assert f"{name}: cold users" in done.stdout
