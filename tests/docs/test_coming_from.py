"""Every call of firstday, and that of implicit, on the page for those who come from elsewhere works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from firstday.recommend.recommender import Recommender
from tests.docs.examples import ROOT, Reader, read_examples
from tests.tiny import USES

PAGE = ROOT / "docs" / "coming-from.md"


def test_the_calls_work(tiny: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("newcomers").mkdir()
    pl.DataFrame({"user_id": ["n1", "n2"], "country": ["FR", None]}).write_parquet("newcomers/users.parquet")
    Path("allowed.txt").write_text("i2\ni4\n")
    uses = csr_matrix(USES.dense(), dtype=np.float32)
    als = AlternatingLeastSquares(factors=2, iterations=2, num_threads=1)
    als.fit(uses, show_progress=False)
    tiny.save(Path("model"))
    with Reader(tmp_path, names={"als": als, "uses": uses[:1]}) as reader:
        reader.serve()
        for example in read_examples(PAGE):
            reader.run_example(example)
    assert len(reader.ran) == 4 + 4  # blocks of Python, and commands
    assert pl.read_csv("lists.csv").group_by("user_id").agg(pl.col("item_id").sort()).sort("user_id").rows() == [
        ("n1", ["i2", "i4"]),
        ("n2", ["i2", "i4"]),
    ]
    assert len(reader.names["items"]) == 3
    assert "i1" not in reader.names["items"]
    assert reader.names["variant"].strategy in ("popular", "auto")
