"""Serialisation of frozen dataclasses to JSON and files, and back.

Arrays, Series and data frames become files named after their path (``segments.centroids.npy``); an object with several
references is stored once. A long list of strings becomes a Series. A constant array is stored as one element, with its
shape in the JSON. Fields with the metadata `NOT_STORED` are left out. Pydantic validates decoded values against the
type hints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from firstday.errors import ArtifactError

T = TypeVar("T")
File = np.ndarray | pl.Series | pl.DataFrame
Path = tuple[str, ...]

FILE_KEY = "$file"
SHAPE_KEY = "$shape"
STRINGS_KEY = "$strings"
MAX_INLINE_STRINGS = 1000
"""Maximum length of a list of strings in the JSON; longer lists become files."""


def encode(value: Any) -> tuple[Any, dict[str, File]]:
    """Serialise a dataclass to JSON values, and to arrays (``.npy``), Series and frames (``.parquet``) by file name.

    Names consist of lower-case ASCII letters, digits and ``_-.``.
    """
    writer = _Writer()
    return writer.write(value, ()), writer.files


@dataclass(eq=False)
class _Writer:
    """Files by name, and names of the files of objects by id."""

    files: dict[str, File] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def name_file(self, part: Any, content: File, path: Path) -> str:
        """Return the name of an object's file, which is added unless the object has one."""
        if id(part) not in self.names:
            stem = ".".join(re.sub("[^a-z0-9_-]+", "_", name.lower()) for name in path)[:200]
            suffix = ".npy" if isinstance(content, np.ndarray) else ".parquet"
            while f"{stem}{suffix}" in self.files:
                stem += "-"
            self.names[id(part)] = f"{stem}{suffix}"
            self.files[self.names[id(part)]] = content
        return self.names[id(part)]

    def write(self, part: Any, path: Path) -> Any:
        """Return an object as JSON values."""
        if isinstance(part, pl.LazyFrame):
            part = part.collect()
        if isinstance(part, np.ndarray) and part.size > 1 and (part == part.flat[0]).all():
            return {FILE_KEY: self.name_file(part, part.flat[:1], path), SHAPE_KEY: list(part.shape)}
        if isinstance(part, File):
            return {FILE_KEY: self.name_file(part, part, path)}
        if isinstance(part, BaseModel):
            return part.model_dump(mode="json")
        if is_dataclass(part):
            stored = [of.name for of in fields(part) if of.metadata.get("is_stored", True)]
            return {name: self.write(getattr(part, name), (*path, name)) for name in stored}
        if isinstance(part, Mapping):
            return {name: self.write(value, (*path, name)) for name, value in part.items()}
        if isinstance(part, list | tuple):
            if len(part) > MAX_INLINE_STRINGS and all(isinstance(text, str) for text in part):
                return {STRINGS_KEY: self.name_file(part, pl.Series(part, dtype=pl.String), path)}
            return [self.write(value, (*path, str(position))) for position, value in enumerate(part)]
        return part.item() if isinstance(part, np.generic) else part


@cache
def _adapt(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid"))


def decode(cls: type[T], json: Any, files: Mapping[str, Any]) -> T:
    """Restore a dataclass that `encode` serialised; raise `ArtifactError` if a value does not match its type hint."""

    def read(part: Any) -> Any:
        if isinstance(part, list):
            return [read(value) for value in part]
        if not isinstance(part, dict):
            return part
        if STRINGS_KEY in part:
            return files[part[STRINGS_KEY]].to_list()
        if SHAPE_KEY in part:
            return np.broadcast_to(files[part[FILE_KEY]], part[SHAPE_KEY])
        return files.get(part[FILE_KEY]) if FILE_KEY in part else {name: read(value) for name, value in part.items()}

    hint: Any = tuple[cls]  # type: ignore[valid-type]  # a dataclass does not accept a configuration
    try:
        value: T = _adapt(hint).validate_python((read(json),))[0]
    except ValidationError as error:
        fault = error.errors()[0]
        path = ".".join(map(str, fault["loc"][1:]))
        raise ArtifactError(f"{path}: {fault['msg'][:1].lower()}{fault['msg'][1:]}") from None
    return value
