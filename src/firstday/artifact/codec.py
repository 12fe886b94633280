"""Values of frozen dataclasses as JSON and files, and back: one codec for all of them, by their type hints.

What a field may hold, and what stands for it in the JSON:

- another dataclass: an object of its fields; private fields, which begin with ``_``, and cached properties are left out
- ``Mapping[str, X]``, its keys any text or a ``Literal``: an object
- ``tuple[X, ...]`` and ``tuple[X, Y]``: a list; a long one of strings is a file
- ``X | None``, ``X | Y``: as X or Y are; of several dataclasses, ``$type`` gives the name
- ``int``, ``float``, ``bool``, ``str``, ``None``, ``Literal``: themselves
- a pydantic model: its dump
- ``Any``: plain JSON, as it is
- ``numpy.ndarray``: a file, ``{"$file": NAME.npy}``; where it is one number all over, ``{"$constant": NUMBER, ...}``
- ``polars.Series``: a file, ``{"$file": NAME.parquet}``
- ``bytes``: a file, ``{"$file": NAME}``

A dataclass, an array, a series or bytes that are reached a second time are ``{"$same": PATH}``: they are kept once, and
come back as one object.

Where the classes are not known before, a field ``Mapping[str, Any]`` has ``metadata={"codec": "registry"}``: who
decodes gives the class of each key.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import polars as pl
from pydantic import BaseModel, ValidationError

from firstday.errors import ArtifactError

T = TypeVar("T")
File = np.ndarray | pl.Series | bytes
Types = Callable[[str], type]
Path = tuple[str, ...]

FILE, CONSTANT, SAME, TYPE = "$file", "$constant", "$same", "$type"
FILES = (np.ndarray, pl.Series, bytes)
NUMBERS = "biuf"
"""Kinds of NumPy's numbers that JSON can hold to the last bit."""
MANY_STRINGS = 1000
"""A tuple of more strings than that is kept in a file, as a column."""
MOST_LETTERS = 200
"""Of a file's name."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """A value, taken apart.

    Parameters
    ----------
    json
        JSON values only; names the files.
    files
        By name: arrays (``.npy``), columns (``.parquet``) and bytes (``.bin``). Names hold small ASCII letters, digits
        and ``_-.``, and do not begin with a point.
    """

    json: Any
    files: Mapping[str, File]


def encode(value: Any) -> Encoded:
    """Take a dataclass apart.

    Raises
    ------
    TypeError
        A field holds something else than its type hint says, or something that has no form here.
    """
    writer = _Writer()
    return Encoded(writer.write(value, type(value), ()), writer.files)


def decode(cls: type[T], json: Any, files: Mapping[str, File], types: Types | None = None) -> T:
    """Put a dataclass together again.

    Parameters
    ----------
    cls
        Its class.
    json, files
        See `Encoded`.
    types
        Gives the class of what stands under each key of a field of the kind ``registry``; a `KeyError` says that
        there is none.

    Raises
    ------
    ArtifactError
        The JSON or a file is not what the type hints ask for.
    """
    try:
        value: T = _Reader(files, types).read(json, cls, ())
    except RecursionError:
        raise ArtifactError("is nested too deeply") from None
    return value


@dataclass(frozen=True)
class _Field:
    """What the codec needs to know of a dataclass's field."""

    name: str
    hint: Any
    required: bool
    of_registry: bool


@cache
def _fields_of(cls: Any) -> tuple[_Field, ...]:
    hints = get_type_hints(cls)
    return tuple(
        _Field(
            field.name,
            hints[field.name],
            field.default is MISSING and field.default_factory is MISSING,
            field.metadata.get("codec") == "registry",
        )
        for field in fields(cls)
        if field.init and not field.name.startswith("_")
    )


def _kind_of(hint: Any) -> Any:
    """Return what decides how a value is kept: a class, or the bare form of a type hint."""
    origin = get_origin(hint)
    if origin is not None:
        return {UnionType: Union, dict: Mapping}.get(origin, origin)
    if isinstance(hint, type):
        for kind in (BaseModel, *FILES):
            if issubclass(hint, kind):
                return kind
        if is_dataclass(hint):
            return dataclass
    return hint


def _is_text(hint: Any) -> bool:
    """Tell whether a type hint is a tuple of any number of strings."""
    return get_origin(hint) is tuple and get_args(hint) == (str, Ellipsis)


def _arms_of(hint: Any) -> tuple[list[Any], dict[str, type]]:
    """Return what a union allows beside None, and the dataclasses among it by name, where there are several."""
    arms = [arm for arm in get_args(hint) if arm is not NoneType]
    classes = {arm.__name__: arm for arm in arms if _kind_of(arm) is dataclass}
    return arms, classes if len(classes) > 1 else {}


def _part_hints(hint: Any, n: int) -> list[Any] | None:
    """Return the type hint of each of n parts of a tuple; None where it has another number of parts."""
    hints = list(get_args(hint))
    if len(hints) == 2 and hints[1] is Ellipsis:
        return hints[:1] * n
    return hints if len(hints) == n else None


def _name_of(path: Path) -> str:
    return " ".join(".".join(path).split()) or "the whole"


def _text_of(hint: Any) -> str:
    """Write a type hint for a message."""
    return hint.__name__ if isinstance(hint, type) else re.sub(r"(\w+\.)+(?=\w)", "", str(hint))


def _misfit(value: Any, hint: Any, path: Path) -> TypeError:
    return TypeError(f"{_name_of(path)} holds {reprlib.repr(value)}, which cannot be kept as {_text_of(hint)}")


class _Writer:
    """Takes one value apart, files and all."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self._places: dict[int, tuple[Any, Path]] = {}  # with the value itself, so that no other gets its id

    def write(self, value: Any, hint: Any, path: Path) -> Any:
        """Return the JSON of a value."""
        if hint is Any:
            return value
        kind = _kind_of(hint)
        fits = isinstance(kind, type) and isinstance(value, kind)
        if kind is Union:
            return self._write_union(value, hint, path)
        if kind is Literal:
            if value in get_args(hint):
                return value
        elif kind is float:
            if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
                return float(value)
        elif kind is int:
            if isinstance(value, int | np.integer) and not isinstance(value, bool):
                return int(value)
        elif fits:
            if kind in (bool, str, NoneType):
                return value
            if kind in FILES:
                return self._write_once(value, path, self._write_file)
            if kind is BaseModel and type(value) is hint:
                return value.model_dump(mode="json")
            if kind is Mapping and all(isinstance(key, str) for key in value):
                of_key, of_value = get_args(hint)
                return {
                    self.write(key, of_key, path): self.write(part, of_value, (*path, key))
                    for key, part in value.items()
                }
            if kind is tuple:
                return self._write_tuple(value, hint, path)
        elif kind is dataclass and type(value) is hint:
            return self._write_once(value, path, self._write_fields)
        raise _misfit(value, hint, path)

    def _write_union(self, value: Any, hint: Any, path: Path) -> Any:
        arms, classes = _arms_of(hint)
        if value is None and NoneType in get_args(hint):
            return None
        if type(value) in classes.values():
            return {TYPE: type(value).__name__, **self.write(value, type(value), path)}
        for arm in arms[:-1]:
            with suppress(TypeError):
                return self.write(value, arm, path)
        return self.write(value, arms[-1], path)

    def _write_tuple(self, value: tuple[Any, ...], hint: Any, path: Path) -> Any:
        hints = _part_hints(hint, len(value))
        if hints is None:
            raise _misfit(value, hint, path)
        if _is_text(hint) and len(value) > MANY_STRINGS:
            return self._write_file(pl.Series(value, dtype=pl.String), path)
        return [self.write(part, hints[n], (*path, str(n))) for n, part in enumerate(value)]

    def _write_once(self, value: Any, path: Path, write: Callable[[Any, Path], Any]) -> Any:
        _, place = self._places.setdefault(id(value), (value, path))
        return {SAME: list(place)} if place is not path else write(value, path)

    def _write_fields(self, value: Any, path: Path) -> Any:
        cls: Any = type(value)
        written = {}
        for field in _fields_of(cls):
            part, place = getattr(value, field.name), (*path, field.name)
            if field.of_registry:
                written[field.name] = {key: self.write(x, type(x), (*place, key)) for key, x in part.items()}
            else:
                written[field.name] = self.write(part, field.hint, place)
        return written

    def _write_file(self, value: File, path: Path) -> Any:
        if isinstance(value, np.ndarray):
            if _is_constant(value):
                return {CONSTANT: value.flat[0].item(), "dtype": value.dtype.str, "shape": list(value.shape)}
            suffix = ".npy"
        elif isinstance(value, pl.Series):
            suffix = ".parquet"
        else:
            suffix = ".bin"
        parts = [re.sub("[^a-z0-9_-]+", "_", part.lower()) for part in path]
        stem = ".".join(parts)[:MOST_LETTERS]
        name, number = stem + suffix, 2
        while name in self.files:
            name, number = f"{stem}-{number}{suffix}", number + 1
        self.files[name] = value
        return {FILE: name}


def _is_constant(array: np.ndarray) -> bool:
    """Tell whether an array is one finite number all over, to the bit."""
    if not array.size or array.dtype.kind not in NUMBERS or array.itemsize > 8:
        return False
    first = array.flat[0]
    if not math.isfinite(first) or array.flat[-1] != first:
        return False
    if not any(array.strides):
        return True
    return bool((array == first).all() and (first or array.dtype.kind != "f" or not np.signbit(array).any()))


class _Reader:
    """Puts one value together again."""

    def __init__(self, files: Mapping[str, File], types: Types | None) -> None:
        self._files, self._types = files, types
        self._known: dict[Path, Any] = {}

    def read(self, json: Any, hint: Any, path: Path) -> Any:
        """Return the value that a JSON stands for."""
        kind = _kind_of(hint)
        if hint is Any:
            return json
        if kind is Union:
            return self._read_union(json, hint, path)
        if kind is Literal:
            if json in get_args(hint):
                return json
        elif kind is float:
            if type(json) in (int, float):
                return _try(path, lambda: float(json))
        elif kind in (int, bool, str, NoneType):
            if type(json) is kind:
                return json
        elif kind is tuple:
            return self._read_tuple(json, hint, path)
        elif isinstance(json, dict):
            if kind is BaseModel:
                return _try(path, lambda: hint.model_validate(json))
            if kind is Mapping:
                of_key, of_value = get_args(hint)
                return {
                    self.read(key, of_key, path): self.read(part, of_value, (*path, key)) for key, part in json.items()
                }
            if kind is dataclass or kind in FILES:
                return self._read_once(json, hint, path)
        raise _refusal(json, hint, path)

    def _read_union(self, json: Any, hint: Any, path: Path) -> Any:
        arms, classes = _arms_of(hint)
        if json is None and NoneType in get_args(hint):
            return None
        if isinstance(json, dict) and TYPE in json:
            name = json[TYPE]
            if not isinstance(name, str) or name not in classes:
                raise _refusal(name, hint, (*path, TYPE))
            return self.read({key: part for key, part in json.items() if key != TYPE}, classes[name], path)
        for arm in arms[:-1]:
            with suppress(ArtifactError):
                return self.read(json, arm, path)
        return self.read(json, arms[-1], path)

    def _read_tuple(self, json: Any, hint: Any, path: Path) -> tuple[Any, ...]:
        if _is_text(hint) and isinstance(json, dict):
            column = self._read_file(json, pl.Series, path)
            if column.dtype != pl.String or column.has_nulls():
                raise _refusal(json, hint, path)
            return tuple(column.to_list())
        hints = _part_hints(hint, len(json)) if isinstance(json, list) else None
        if hints is None:
            raise _refusal(json, hint, path)
        return tuple(self.read(part, hints[n], (*path, str(n))) for n, part in enumerate(json))

    def _read_once(self, json: dict[str, Any], hint: Any, path: Path) -> Any:
        kind = _kind_of(hint)
        if json.keys() != {SAME}:
            value = self._read_fields(json, hint, path) if kind is dataclass else self._read_file(json, kind, path)
            self._known[path] = value
            return value
        place = json[SAME]
        names = tuple(place) if isinstance(place, list) else ()
        value = self._known.get(names) if all(isinstance(name, str) for name in names) else None
        if not isinstance(value, hint if kind is dataclass else kind):
            raise _refusal(json, hint, path)
        return value

    def _read_fields(self, json: dict[str, Any], cls: type, path: Path) -> Any:
        known = _fields_of(cls)
        values = {}
        for field in known:
            place = (*path, field.name)
            if field.name not in json:
                if field.required:
                    raise ArtifactError(f"{_name_of(place)}: is missing")
            elif field.of_registry:
                values[field.name] = self._read_registry(json[field.name], place)
            else:
                values[field.name] = self.read(json[field.name], field.hint, place)
        for name in json:
            if name not in {field.name for field in known}:
                raise ArtifactError(f"{_name_of((*path, name))}: is no part of a {cls.__name__}")
        return _try(path, lambda: cls(**values))

    def _read_registry(self, json: Any, path: Path) -> dict[str, Any]:
        if not isinstance(json, dict):
            raise _refusal(json, dict, path)
        values = {}
        for key, part in json.items():
            try:
                hint = self._types(key) if self._types else None
            except KeyError:
                hint = None
            if hint is None:
                raise ArtifactError(f"{_name_of((*path, key))}: is of no known kind; load the plugin that trained it")
            values[key] = self.read(part, hint, (*path, key))
        return values

    def _read_file(self, json: dict[str, Any], kind: type, path: Path) -> Any:
        if kind is np.ndarray and json.keys() == {CONSTANT, "dtype", "shape"}:
            return _try(path, lambda: _fill(json[CONSTANT], json["dtype"], json["shape"]))
        name = json.get(FILE)
        value = self._files.get(name) if isinstance(name, str) and len(json) == 1 else None
        if not isinstance(value, kind):
            raise _refusal(json, kind, path)
        return value


def _fill(number: Any, dtype: Any, shape: Any) -> np.ndarray:
    """Return an array of one number all over, which takes no memory."""
    if type(number) not in (bool, int, float) or not isinstance(dtype, str) or np.dtype(dtype).kind not in NUMBERS:
        raise ValueError("is no array of one number")
    value = np.array(number, np.dtype(dtype))
    if value.dtype.kind in "iu" and value != number:  # NumPy 1 lets numbers run over
        raise ValueError(f"{number} does not fit into {dtype}")
    return np.broadcast_to(value, tuple(shape))


def _try(path: Path, make: Callable[[], T]) -> T:
    """Make a value of what the JSON says, which may not allow it."""
    try:
        return make()
    except ValidationError as error:
        fault = error.errors()[0]
        place = (*path, *(str(part) for part in fault["loc"]))
        raise ArtifactError(f"{_name_of(place)}: {fault['msg'][:1].lower()}{fault['msg'][1:]}") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise ArtifactError(f"{_name_of(path)}: {' '.join(str(error).split())}") from None


def _refusal(json: Any, hint: Any, path: Path) -> ArtifactError:
    return ArtifactError(f"{_name_of(path)}: is {reprlib.repr(json)}, which is no {_text_of(hint)}")
