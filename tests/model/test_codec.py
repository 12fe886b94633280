"""Values become JSON and files, and are the same when they come back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from pydantic import BaseModel

from firstday.errors import ArtifactError
from firstday.model.codec import MAX_INLINE_STRINGS, decode, encode


class Settings(BaseModel):
    size: int = 3
    names: tuple[str, ...] = ("a",)


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.5


@dataclass(frozen=True, eq=False)
class Shape:
    vectors: np.ndarray

    @cached_property
    def total(self) -> float:
        return float(self.vectors.sum())


@dataclass(frozen=True, eq=False)
class Everything:
    settings: Settings
    by_name: Mapping[str, np.ndarray]
    points: tuple[Point, ...]
    pair: tuple[str, int]
    words: tuple[str, ...] | None
    level: Literal["low", "high"]
    ids: pl.Series
    facts: Mapping[str, Any]
    shape: Shape | None = None


def make() -> Everything:
    return Everything(
        settings=Settings(size=5),
        by_name={"plain": np.arange(3), "a.b/Ä": np.array([[1.5, np.nan]], np.float32), "a_b_": np.arange(2)},
        points=(Point(1), Point(2, 3.0)),
        pair=("x", 7),
        words=("one", "two"),
        level="high",
        ids=pl.Series([5, 3, 8]),
        facts={"any": [1, {"thing": None}]},
    )


def back(values: Any, files: Any) -> Everything:
    """Decode what went through text, as it does in a manifest."""
    return decode(Everything, json.loads(json.dumps(values)), files)


def test_every_kind_of_field_has_its_form_and_comes_back() -> None:
    value = make()
    values, files = encode(value)
    assert values == {
        "settings": {"size": 5, "names": ["a"]},
        "by_name": {
            "plain": {"$file": "by_name.plain.npy"},
            "a.b/Ä": {"$file": "by_name.a_b_.npy"},
            "a_b_": {"$file": "by_name.a_b_-.npy"},
        },
        "points": [{"x": 1, "y": 0.5}, {"x": 2, "y": 3.0}],
        "pair": ["x", 7],
        "words": ["one", "two"],
        "level": "high",
        "ids": {"$file": "ids.parquet"},
        "facts": {"any": [1, {"thing": None}]},
        "shape": None,
    }
    assert list(files) == [
        "by_name.plain.npy", "by_name.a_b_.npy", "by_name.a_b_-.npy", "ids.parquet",
    ]  # fmt: skip
    decoded = back(values, files)
    for name in ("settings", "points", "pair", "words", "level", "facts", "shape"):
        assert getattr(decoded, name) == getattr(value, name)
    assert decoded.ids is value.ids
    assert list(decoded.by_name) == list(value.by_name)
    for name, array in value.by_name.items():
        assert decoded.by_name[name] is array


def test_an_array_that_is_shared_is_one_file() -> None:
    vectors = np.arange(4)
    values, files = encode(replace(make(), by_name={"v": vectors}, shape=Shape(vectors)))
    assert values["shape"]["vectors"] == {"$file": "by_name.v.npy"}
    shape = back(values, files).shape
    assert shape is not None
    assert (shape.vectors is vectors, shape.total) == (True, 6)


@pytest.mark.parametrize(
    ("array", "is_constant"),
    [
        (np.full((2, 3), 0.1, np.float32), True),
        (np.array([True, True]), True),
        (np.zeros((2, 0, 1)), False),
        (np.array([np.nan, np.nan]), False),
        (np.array([1, 2, 1]), False),
    ],
)
def test_one_number_throughout_takes_no_space(array: np.ndarray, is_constant: bool) -> None:
    values, files = encode(Shape(array))
    decoded = decode(Shape, json.loads(json.dumps(values)), files).vectors
    assert decoded.dtype == array.dtype
    np.testing.assert_array_equal(decoded, array)
    assert files["vectors.npy"].size == (1 if is_constant else array.size)  # type: ignore[union-attr]


def test_files_have_names_that_every_system_takes() -> None:
    names = ("Country", "country", "../x", "", "a" * 300, "Land\nund Leute")
    values, files = encode(replace(make(), by_name={name: np.arange(2) for name in names}))
    names_of_files = [name for name in files if name.startswith("by_name")]
    assert names_of_files[:4] == ["by_name.country.npy", "by_name.country-.npy", "by_name._x.npy", "by_name..npy"]
    assert [len(name) for name in names_of_files[4:]] == [204, len("by_name.land_und_leute.npy")]
    assert list(back(values, files).by_name) == list(names)


def test_many_strings_are_a_column() -> None:
    words = tuple(str(n) for n in range(MAX_INLINE_STRINGS + 1))
    values, files = encode(replace(make(), words=words))
    assert values["words"] == {"$strings": "words.parquet"}
    assert back(values, files).words == words
    assert encode(replace(make(), words=words[1:]))[0]["words"] == list(words[1:])


def test_numbers_of_numpy_become_plain_ones() -> None:
    values, _ = encode(Point(np.int64(3), np.float32(0.5)))  # type: ignore[arg-type]
    assert json.dumps(values) == '{"x": 3, "y": 0.5}'


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("settings", {"size": "big"}, "settings.size"),
        ("points", [{"y": 1.0}], "points.0.x"),
        ("points", [{"x": 1, "z": 1}], "points.0.z"),
        ("pair", ["x", 7, 8], "pair"),
        ("ids", {"$file": "by_name.plain.npy"}, "ids"),
        ("level", "middle", "level"),
    ],
)
def test_json_of_another_form_is_refused_in_one_sentence(name: str, value: Any, path: str) -> None:
    values, files = encode(make())
    with pytest.raises(ArtifactError, match=rf"^{path}: [a-z].*$"):
        decode(Everything, {**values, name: value}, files)
