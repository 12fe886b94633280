"""Files in any file system of the cluster (hdfs, s3a, file, ...), accessed through Hadoop's classes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstday.engine.spark.session import name_cause
from firstday.errors import ConfigError, DataError, FirstdayError
from firstday.tables.find import split_ending

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession


@dataclass(frozen=True)
class Storage:
    """A folder in a file system of the cluster; a URI without a scheme is in the default file system."""

    session: SparkSession
    uri: str

    @property
    def _hadoop(self) -> Any:
        jvm: Any = self.session._jvm
        return jvm.org.apache.hadoop.fs

    def _path(self, relative: str = "") -> Any:
        """Hadoop path of the folder, or of a path in it."""
        if not relative:
            return self._root
        root = self._root.toString().rstrip("/")
        return self._hadoop.Path(f"{root}/{relative}")

    @cached_property
    def _system(self) -> Any:
        jsc: Any = self.session._jsc
        try:
            return self._hadoop.Path(self.uri).getFileSystem(jsc.hadoopConfiguration())
        except Exception as error:
            raise ConfigError(
                f"{self.uri}: the cluster does not support this file system ({name_cause(error)}); see docs/spark.md."
            ) from None

    @cached_property
    def _root(self) -> Any:
        return self._system.makeQualified(self._hadoop.Path(self.uri))

    @property
    def local(self) -> Path | None:
        """The folder as a local path; None if it is in another file system."""
        uri = self._root.toUri()
        return Path(uri.getPath()) if uri.getScheme() == "file" else None

    @property
    def name(self) -> str:
        """The folder's own name."""
        return str(self._root.getName())

    def put(self, folder: Path, relative: str = "") -> None:
        """Copy a local folder here, replacing an existing one."""
        self.remove(relative)
        self._system.copyFromLocalFile(False, True, self._hadoop.Path(str(folder)), self._path(relative))

    def write_left_out(self, lines: Sequence[str]) -> None:
        """Write lines to ``NAME.left-out.jsonl`` next to the folder; without lines, delete an existing one."""
        path = self._hadoop.Path(self._root.getParent(), f"{split_ending(self.name)[0]}.left-out.jsonl")
        self._system.delete(path, False)
        if lines:
            with closing(self._system.create(path)) as file:
                file.write("".join(f"{line}\n" for line in lines).encode())

    def make(self) -> None:
        """Create the folder if it is missing."""
        try:
            self._system.mkdirs(self._root)
        except Exception as error:
            raise FirstdayError(
                f"{self.uri}: cannot be written ({name_cause(error)}); choose another folder."
            ) from None

    def remove(self, relative: str = "") -> None:
        """Delete the folder, or a path in it, if it exists."""
        self._system.delete(self._path(relative), True)

    def exists(self, relative: str = "") -> bool:
        """Whether the folder, or a path in it, exists."""
        return bool(self._system.exists(self._path(relative)))

    def names(self) -> set[str]:
        """Return the names of the files and folders in the folder."""
        return {status.getPath().getName() for status in self._system.listStatus(self._root)}

    def list_files(self) -> dict[str, Row]:
        """Return the `path` and the URI `file_path` of each visible file below the folder, by relative path."""
        files = self.session.read.format("binaryFile").option("recursiveFileLookup", True)
        start = len(self._root.toString().rstrip("/")) + 1
        try:
            rows = files.load(self.uri).select("path", "_metadata.file_path").collect()
        except Exception as error:
            raise DataError(
                f"{self.uri}: cannot be listed ({name_cause(error)}); give a folder that the cluster can read."
            ) from None
        return {row.path[start:]: row for row in rows}

    def fetch(self, relative: str, target: Path) -> Path:
        """Return the local path of a file or folder; it is copied to `target` unless it is local."""
        if self.local is not None:
            return self.local / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        self._system.copyToLocalFile(False, self._path(relative), self._hadoop.Path(str(target)), True)
        return target

    def rename(self, source: str, target: str) -> None:
        """Rename a file or folder within the folder atomically, replacing an existing file."""
        gateway: Any = self.session.sparkContext._gateway
        option = self._hadoop.Options.Rename
        options = gateway.new_array(option, 1)
        options[0] = option.OVERWRITE
        context = self._hadoop.FileContext.getFileContext(self._root.toUri(), self._system.getConf())
        context.rename(self._path(source), self._path(target), options)
