"""The page on other libraries works: LensKit and implicit make lists from a split, which are scored in one table."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import polars as pl
import pytest

import firstday as fd
from tests.docs.examples import ROOT, Reader, read_examples
from tests.environments import run
from tests.synthetic import brief_config

PAGE = ROOT / "docs" / "other-libraries.md"


@pytest.fixture(scope="module")
def lenskit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with LensKit and what it needs that these tests do not."""
    folder = tmp_path_factory.mktemp("lenskit")
    venv.create(folder)
    python = folder / "bin" / "python"
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).strip())
    (own / "shared.pth").write_text(f"{Path(pl.__file__).parents[1]}\n")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-compile", "lenskit==2025.*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"LensKit cannot be installed: {done.stderr}")
    return python


@pytest.mark.slow
def test_lists_of_lenskit_and_implicit_are_scored_in_one_table(
    lenskit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        fd.load("movielens-100k")
    except fd.DataError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    save, with_lenskit, with_implicit, score, latex = (e for e in read_examples(PAGE) if e.language == "python")
    save.text = save.text.replace('fd.config.load_preset("movielens-100k")', "config")
    (tmp_path / "lenskit_lists.py").write_text(with_lenskit.text)
    with Reader(tmp_path, names={"config": brief_config()}) as reader:
        reader.run_example(save)
        run(lenskit, "lenskit_lists.py", folder=tmp_path)
        for example in (with_implicit, score, latex):
            reader.run_example(example)
    scored: fd.Results = reader.names["scored"]
    results: fd.Results = reader.names["results"]
    assert set(scored.strategies) == {"popular", "segment", "auto", "lenskit", "implicit"}
    assert scored.seeds == results.seeds
    for name in ("popular", "segment", "auto"):
        own = results.users().filter(strategy=name).select("user_id", "seed", "precision", "ndcg_at_10")
        assert scored.users().filter(strategy=name).select(own.columns).equals(own)
    silent = scored.users().filter(pl.col("strategy").is_in(["lenskit", "implicit"]), route="none")
    assert set(silent["day_one_size"]) == {0}
    assert set(silent["precision"]) == {0}
    assert scored.get("lenskit", "precision").mean > 0
    difference = reader.names["difference"]
    assert difference.low <= difference.mean <= difference.high
    text = reader.names["latex"]
    assert all(part in text for part in (r"\toprule", r"P@10", "lenskit &", "["))
