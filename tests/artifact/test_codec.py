"""Values are taken apart into JSON and files, and are the same when put together again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from pydantic import BaseModel

from firstday.artifact.codec import MANY_STRINGS, Encoded, decode, encode
from firstday.errors import ArtifactError


class Settings(BaseModel):
    size: int = 3
    names: tuple[str, ...] = ("a",)


class Other(BaseModel):
    pass


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.5
    _hidden: int = 0


@dataclass(frozen=True, eq=False)
class Shape:
    vectors: np.ndarray

    @cached_property
    def total(self) -> float:
        return float(self.vectors.sum())


@dataclass(frozen=True, eq=False)
class Network:
    onnx: bytes


@dataclass(frozen=True, eq=False)
class Everything:
    settings: Settings
    point: Point
    by_name: Mapping[str, np.ndarray]
    by_kind: Mapping[Literal["a", "b"], Point | Shape]
    points: tuple[Point, ...]
    pair: tuple[str, int]
    words: tuple[str, ...] | None
    level: Literal["low", "high"]
    ids: pl.Series
    network: Network
    state: bytes
    number: int | str
    flag: bool
    facts: Mapping[str, Any]
    again: Shape | None = None
    learned: Mapping[str, Any] = field(default_factory=dict, metadata={"codec": "registry"})


def make() -> Everything:
    return Everything(
        settings=Settings(size=5),
        point=Point(1, 2.5, _hidden=9),
        by_name={"plain": np.arange(3), "a.b/Ä": np.array([[1.5, np.nan]], np.float32), "a_b_": np.arange(2)},
        by_kind={"b": Shape(np.arange(6, dtype=np.int32).reshape(2, 3)), "a": Point(4)},
        points=(Point(1), Point(2, 3.0)),
        pair=("x", 7),
        words=("one", "two"),
        level="high",
        ids=pl.Series([5, 3, 8]),
        network=Network(b"net"),
        state=b"\x00\x01",
        number="seven",
        flag=True,
        facts={"any": [1, {"thing": None}]},
    )


def back(encoded: Encoded, **options: Any) -> Everything:
    """Put together again what went through text, as it does in a manifest."""
    return decode(Everything, json.loads(json.dumps(encoded.json)), encoded.files, **options)


def test_every_kind_of_field_has_its_form() -> None:
    encoded = encode(make())
    assert encoded.json == {
        "settings": {"size": 5, "names": ["a"]},
        "point": {"x": 1, "y": 2.5},
        "by_name": {
            "plain": {"$file": "by_name.plain.npy"},
            "a.b/Ä": {"$file": "by_name.a_b_.npy"},
            "a_b_": {"$file": "by_name.a_b_-2.npy"},
        },
        "by_kind": {
            "b": {"$type": "Shape", "vectors": {"$file": "by_kind.b.vectors.npy"}},
            "a": {"$type": "Point", "x": 4, "y": 0.5},
        },
        "points": [{"x": 1, "y": 0.5}, {"x": 2, "y": 3.0}],
        "pair": ["x", 7],
        "words": ["one", "two"],
        "level": "high",
        "ids": {"$file": "ids.parquet"},
        "network": {"onnx": {"$file": "network.onnx.bin"}},
        "state": {"$file": "state.bin"},
        "number": "seven",
        "flag": True,
        "facts": {"any": [1, {"thing": None}]},
        "again": None,
        "learned": {},
    }
    assert list(encoded.files) == [
        "by_name.plain.npy", "by_name.a_b_.npy", "by_name.a_b_-2.npy", "by_kind.b.vectors.npy", "ids.parquet",
        "network.onnx.bin", "state.bin",
    ]  # fmt: skip


def test_every_kind_of_field_comes_back() -> None:
    value = make()
    decoded = back(encode(value))
    for name in (
        "settings",
        "points",
        "pair",
        "words",
        "level",
        "state",
        "number",
        "flag",
        "facts",
        "again",
        "learned",
    ):
        assert getattr(decoded, name) == getattr(value, name)
    assert decoded.point == Point(1, 2.5)  # what is private is not kept
    assert list(decoded.by_name) == list(value.by_name)
    for name, array in value.by_name.items():
        assert decoded.by_name[name] is array
    shape = decoded.by_kind["b"]
    assert isinstance(shape, Shape)
    assert shape.total == 15
    assert decoded.by_kind["a"] == Point(4)
    assert decoded.ids is value.ids
    assert decoded.network.onnx == b"net"


def test_one_object_stays_one() -> None:
    vectors = np.arange(4)
    shape = Shape(vectors)
    value = replace(make(), by_name={"v": vectors}, by_kind={"a": shape}, again=shape)
    encoded = encode(value)
    assert encoded.json["by_kind"]["a"]["vectors"] == {"$same": ["by_name", "v"]}
    assert encoded.json["again"] == {"$same": ["by_kind", "a"]}
    decoded = back(encoded)
    assert decoded.again is decoded.by_kind["a"]
    assert decoded.again.vectors is decoded.by_name["v"]


@pytest.mark.parametrize(
    ("array", "number"),
    [
        (np.broadcast_to(np.float32(1), 10**12), 1.0),
        (np.full((2, 3), 0.1, np.float32), float(np.float32(0.1))),
        (np.array([-(2**63)]), -(2**63)),
        (np.zeros((2, 0, 1)) + 1, None),
        (np.zeros(3), 0.0),
        (-np.zeros(1), None),
        (np.array([0.0, -0.0]), None),
        (np.array([np.nan, np.nan]), None),
        (np.array([1, 2, 1]), None),
        (np.array([True, True]), True),
        (np.array(["a", "a"]), None),
    ],
)
def test_one_number_all_over_takes_no_file(array: np.ndarray, number: float | None) -> None:
    encoded = encode(Shape(array))
    if number is None:
        assert list(encoded.files) == ["vectors.npy"]
        return
    assert not encoded.files
    assert encoded.json["vectors"] == {"$constant": number, "dtype": array.dtype.str, "shape": list(array.shape)}
    decoded = decode(Shape, json.loads(json.dumps(encoded.json)), {}).vectors
    assert (decoded.dtype, decoded.shape) == (array.dtype, array.shape)
    assert not any(decoded.strides)
    assert decoded.flat[0] == array.flat[0]


def test_files_have_names_that_every_system_takes() -> None:
    names = ("Country", "country", "../x", "", "a" * 300, "Land\nund Leute")
    encoded = encode(replace(make(), by_name={name: np.arange(2) for name in names}))
    files = [name for name in encoded.files if name.startswith("by_name")]
    assert files[:4] == ["by_name.country.npy", "by_name.country-2.npy", "by_name._x.npy", "by_name..npy"]
    assert [len(name) for name in files[4:]] == [204, len("by_name.land_und_leute.npy")]
    assert list(back(encoded).by_name) == list(names)


def test_many_strings_are_a_column() -> None:
    words = tuple(str(n) for n in range(MANY_STRINGS + 1))
    encoded = encode(replace(make(), words=words))
    assert encoded.json["words"] == {"$file": "words.parquet"}
    assert back(encoded).words == words
    assert encode(replace(make(), words=words[1:])).json["words"] == list(words[1:])


def test_numbers_of_numpy_become_plain_ones() -> None:
    encoded = encode(Point(np.int64(3), np.float32(0.5)))  # type: ignore[arg-type]
    assert json.dumps(encoded.json) == '{"x": 3, "y": 0.5}'


def test_a_registry_says_what_is_under_each_key() -> None:
    classes: dict[str, type] = {"mine": Shape, "point": Point}
    encoded = encode(replace(make(), learned={"mine": Shape(np.arange(2)), "point": Point(3)}))
    assert encoded.json["learned"] == {
        "mine": {"vectors": {"$file": "learned.mine.vectors.npy"}},
        "point": {"x": 3, "y": 0.5},
    }
    learned = back(encoded, types=classes.__getitem__).learned
    assert learned["mine"].vectors.tolist() == [0, 1]
    assert learned["point"] == Point(3)
    for options in ({}, {"types": {"point": Point}.__getitem__}):
        with pytest.raises(
            ArtifactError, match=r"^learned\.mine: is of no known kind; load the plugin that trained it$"
        ):
            back(encoded, **options)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("point", (1, 2), "point holds (1, 2), which cannot be kept as Point"),
        ("points", [Point(1)], "points holds [Point(x=1, y=0.5, _hidden=0)], which cannot be kept as tuple"),
        ("pair", ("x",), "pair holds ('x',), which cannot be kept as tuple[str, int]"),
        ("level", "middle", "level holds 'middle', which cannot be kept as Literal['low', 'high']"),
        ("flag", 1, "flag holds 1, which cannot be kept as bool"),
        ("number", 1.5, "number holds 1.5, which cannot be kept as str"),
        ("by_kind", {"c": Point(1)}, "by_kind holds 'c', which cannot be kept as Literal['a', 'b']"),
        ("by_name", {1: np.arange(2)}, "by_name holds {1: array([0, 1])}, which cannot be kept as "),
        ("settings", Other(), "settings holds Other(), which cannot be kept as Settings"),
        ("by_kind", {"a": None}, "by_kind.a holds None, which cannot be kept as Shape"),
        ("learned", {"mine": {"x": 1}}, "learned.mine holds {'x': 1}, which cannot be kept as dict"),
    ],
)
def test_what_has_no_form_is_told_when_it_is_kept(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(TypeError) as caught:
        encode(replace(make(), **{name: value}))
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("settings", {"size": "big"}, "settings.size: input should be a valid integer, unable to parse string as"),
        ("settings", 3, "settings: is 3, which is no Settings"),
        ("point", {"y": 1.0}, "point.x: is missing"),
        ("point", {"x": 1, "z": 1}, "point.z: is no part of a Point"),
        ("point", {"x": True}, "point.x: is True, which is no int"),
        ("point", {"x": 1, "_hidden": 2}, "point._hidden: is no part of a Point"),
        ("points", [{"x": 1, "y": 10**400}], "points.0.y: int too large to convert to float"),
        ("points", {"x": 1}, "points: is {'x': 1}, which is no tuple"),
        ("pair", ["x", 7, 8], "pair: is ['x', 7, 8], which is no tuple[str, int]"),
        ("words", {"$file": "ids.parquet"}, "words: is {'$file': 'ids.parquet'}, which is no tuple[str, ...]"),
        ("words", {"$file": 3}, "words: is {'$file': 3}, which is no Series"),
        ("ids", {"$file": "state.bin"}, "ids: is {'$file': 'state.bin'}, which is no Series"),
        ("ids", {"$file": "none"}, "ids: is {'$file': 'none'}, which is no Series"),
        ("ids", {"$constant": 1, "dtype": "<f4", "shape": [1]}, "ids: is {'$constant': 1, "),
        ("ids", {"$same": ["settings"]}, "ids: is {'$same': ['settings']}, which is no Series"),
        ("again", {"$same": ["point"]}, "again: is {'$same': ['point']}, which is no Shape"),
        ("again", {"$same": [["point"]]}, "again: is {'$same': [['point']]}, which is no Shape"),
        ("again", {"$same": 1}, "again: is {'$same': 1}, which is no Shape"),
        ("by_kind", {"a": {"$type": ["Point"]}}, "by_kind.a.$type: is ['Point'], which is no Point | Shape"),
        ("by_kind", {"a": 1}, "by_kind.a: is 1, which is no Shape"),
        ("number", None, "number: is None, which is no str"),
        ("learned", [], "learned: is [], which is no dict"),
    ],
)
def test_json_of_another_form_is_refused_in_one_sentence(name: str, value: Any, sentence: str) -> None:
    encoded = encode(make())
    with pytest.raises(ArtifactError) as caught:
        decode(Everything, {**encoded.json, name: value}, encoded.files)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("constant", "dtype", "shape"),
    [
        *((constant, "<f4", [2]) for constant in ("x", None, [1, 2], 10**400)),
        *((1, dtype, [2]) for dtype in ("O", "f4,f4", "none", "<U1", 3)),
        *((1, "<f4", shape) for shape in ([-1], [2, "x"], 5, [2**70], None)),
        (300, "|u1", [2]),
    ],
)
def test_no_array_can_be_made_up(constant: Any, dtype: Any, shape: Any) -> None:
    with pytest.raises(ArtifactError, match=r"^vectors: "):
        decode(Shape, {"vectors": {"$constant": constant, "dtype": dtype, "shape": shape}}, {})


@dataclass(frozen=True)
class Tree:
    inner: Tree | None = None


def test_a_tree_may_not_be_endless() -> None:
    tree: dict[str, Any] = {}
    for _ in range(5000):
        tree = {"inner": tree}
    with pytest.raises(ArtifactError, match="is nested too deeply"):
        decode(Tree, tree, {})
    assert decode(Tree, {"inner": {"inner": None}}, {}) == Tree(Tree())
