"""Each fault that vectors which users bring can have, and its exact sentence."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from tests.data.faults import Tables, Write, be, faults, put

VECTOR_CASES = [
    (
        "items",
        be("vector", [[4.0, 0.0], [1.0], [2.0, 0.0], [3.0, 0.0, 0.0]]),
        "embeddings/items.vector: 2 of 4 rows have another length than 2, the first one's (first: row 2); "
        "bring vectors of one model, all of the same length.",
    ),
    (
        "items",
        be("vector", [[4.0, 0.0], [], [2.0, 0.0], None]),
        "embeddings/items.vector: 2 of 4 rows have no numbers (first: row 2); "
        "bring vectors of one model, all of the same length.",
    ),
    (
        "items",
        be("vector", [[4.0, 0.0], [1.0, float("nan")], [float("inf"), 0.0], [None, 0.0]]),
        "embeddings/items.vector: 3 of 4 rows hold numbers that are missing, NaN or infinite (first: row 2); "
        "compute these vectors again.",
    ),
    (
        "users",
        be("vector", ["1 2", "3 4"]),
        "embeddings/users.vector: the column holds text, not lists of numbers; store lists of numbers.",
    ),
    (
        "users",
        be("vector", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]),
        "embeddings/users.vector: has 3 numbers where those of items have 2; bring both from the same model.",
    ),
    (
        "users",
        put("user_id", r1="u9"),
        "embeddings/users.user_id: 1 of 2 rows name unknown users (first: 'u9'); add them to users or drop the rows.",
    ),
    (
        "users",
        put("user_id", r1="u2"),
        "embeddings/users.user_id: 1 of 2 rows repeat an id (first: 'u2'); keep one row for each id.",
    ),
    (
        "items",
        lambda frame: frame.filter(pl.col("item_id") != "i3"),
        "embeddings/items: 1 of 4 items have no vector (first: 'i3'); bring one for every item.",
    ),
    (
        "items",
        lambda frame: pl.concat([frame, pl.DataFrame({"item_id": ["i9"], "vector": [[9.0, 0.0]]})]),
        "embeddings/items.item_id: 1 of 5 rows name unknown items (first: 'i9'); add them to items or drop the rows.",
    ),
]


@pytest.mark.parametrize(("kind", "change", "sentence"), VECTOR_CASES)
def test_one_wrong_table_of_vectors_gives_one_sentence(
    kind: str,
    change: Callable[[pl.DataFrame], pl.DataFrame],
    sentence: str,
    five_users: Tables,
    vectors: Tables,
    write: Write,
) -> None:
    vectors[f"embeddings/{kind}"] = change(vectors[f"embeddings/{kind}"])
    assert faults({**five_users, **vectors}, write) == [sentence]


def test_vectors_in_csv_that_are_no_numbers(five_users: Tables, vectors: Tables, write: Write) -> None:
    vectors["embeddings/users"] = pl.DataFrame({"user_id": ["u1"], "vector": ["1|x"]})
    assert faults({**five_users, **vectors}, write, "csv") == [
        "embeddings/users.vector: 1 of 1 rows hold numbers that are missing, NaN or infinite (first: row 1); "
        "compute these vectors again."
    ]


def test_vectors_of_one_kind_need_those_of_the_other(five_users: Tables, vectors: Tables, write: Write) -> None:
    del vectors["embeddings/users"]
    assert faults({**five_users, **vectors}, write) == [
        "embeddings/users: the table is missing beside embeddings/items; add it."
    ]
