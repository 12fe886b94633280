from __future__ import annotations

import re
from pathlib import Path

from firstday.leaderboard.board import Leaderboard, read_leaderboard, read_published
from tests.cli.conftest import Run


def test_a_folder_of_tables_is_run_kept_added_to_and_shown(tmp_path: Path, run: Run) -> None:
    service, ours, theirs, page = (tmp_path / name for name in ("service", "ours.json", "theirs.json", "page.html"))
    assert run("simulate", service, "--users", 400, "--items", 100, "--days", 60).returncode == 0
    done = run("leaderboard", service, "--seeds", 1, "--strategy", "popular", "--json", ours, "--page", page)
    assert done.returncode == 0, done.stderr
    board = read_leaderboard(ours)
    assert [row.strategy for row in board.sets["service"].rows] == ["segment", "popular"]
    assert re.search(r"popular +\d", done.stdout)
    again = run("leaderboard", service, "--strategy", "popular", "--json", ours)  # the seeds of the file
    assert again.returncode == 0, again.stderr
    assert read_leaderboard(ours) == board
    assert "--seeds 1" in run("leaderboard", service, "--seeds", 2, "--json", ours).stderr

    standings = board.sets["service"]
    row = standings.rows[1].model_copy(update={"strategy": "theirs"})
    theirs.write_text(Leaderboard(sets={"service": standings.model_copy(update={"rows": (row,)})}).model_dump_json())
    done = run("leaderboard", "--add", theirs, "--json", ours, "--page", page)
    assert done.returncode == 0, done.stderr
    assert "theirs added of theirs.json" in done.stderr
    assert "<bdi>theirs</bdi>" in page.read_text(encoding="utf-8")
    assert len(read_leaderboard(ours).sets["service"].rows) == 3

    all_of_it = run("leaderboard", "--published", "--json", ours)
    assert {"service", *read_published().sets} == set(read_leaderboard(ours).sets)
    asked = run("leaderboard", service, "--strategy", "popular", "--json", ours)
    for name, stdout in (("service", all_of_it.stdout), ("simulated", all_of_it.stdout), ("service", asked.stdout)):
        assert f"{name}: cold users" in stdout
    assert "simulated" not in asked.stdout  # it is in the file, and nobody asked for it


def test_mistakes_are_told_before_anything_is_run(tmp_path: Path, run: Run) -> None:
    for arguments, sentence in (
        (["nonsense"], "error: nonsense: is no set; choose of movielens-100k, "),
        (["deezer-europe"], "error: deezer-europe: is not fetched by firstday; give the folder that holds "),
        (["--page", tmp_path / "page.txt"], "page.txt: a report is HTML"),
        (["--add", tmp_path / "none.json"], "none.json: cannot be read (No such file or directory)"),
        (["--strategy", "nonsense"], "error: strategy: 'nonsense' is unknown"),
    ):
        done = run("leaderboard", *arguments)
        assert done.returncode == 2
        assert sentence in done.stderr
