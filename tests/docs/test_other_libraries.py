"""The page on other libraries works: implicit makes lists from a split, which are scored in one table."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

import firstday as fd
from tests.docs.examples import ROOT, Reader, read_examples
from tests.synthetic import brief_config

PAGE = ROOT / "docs" / "other-libraries.md"


@pytest.mark.slow
def test_lists_of_others_are_scored_in_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        fd.load("movielens-100k")
    except fd.DataError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    save, _, with_implicit, score, latex = (e for e in read_examples(PAGE) if e.language == "python")
    save.text = save.text.replace('fd.config.load_preset("movielens-100k")', "config").replace("n_seeds=3", "n_seeds=1")
    with Reader(tmp_path, names={"config": brief_config()}) as reader:
        reader.run_example(save)
        reader.run_example(with_implicit)
        shutil.copy("implicit.parquet", "lenskit.parquet")  # whose lists would need an environment of their own
        for example in (score, latex):
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
