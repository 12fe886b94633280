"""Files in any file system of the cluster (hdfs, s3a, file, ...), through Hadoop's classes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from firstday.artifact.folder import STAGING
from firstday.engine.spark.session import name_cause
from firstday.errors import ConfigError, DataError, FirstdayError
from firstday.tables.find import split_ending

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class StoredFile:
    """A file.

    Parameters
    ----------
    path
        Relative to the listed folder.
    uri
        With scheme.
    n_bytes
        Its size.
    """

    path: str
    uri: str
    n_bytes: int


@dataclass(frozen=True)
class Storage:
    """A folder in a file system of the cluster.

    Parameters
    ----------
    session
        Session with access to the file system.
    uri
        The folder; without a scheme, in the cluster's default file system.
    """

    session: SparkSession
    uri: str

    def _path(self, relative: str = "") -> Any:
        jvm: Any = self.session._jvm
        return jvm.org.apache.hadoop.fs.Path(f"{self.uri.rstrip('/')}/{relative}" if relative else self.uri)

    def _here(self, place: Path) -> Any:
        """Convert a local path to a Hadoop path."""
        jvm: Any = self.session._jvm
        return jvm.org.apache.hadoop.fs.Path(str(place))

    def _file_system(self) -> Any:
        jsc: Any = self.session._jsc
        try:
            return self._path().getFileSystem(jsc.hadoopConfiguration())
        except Exception as error:
            cause = name_cause(error)
            raise ConfigError(
                f"{self.uri}: the cluster knows no such file system ({cause}); see docs/spark.md."
            ) from None

    @property
    def whole_uri(self) -> str:
        """The folder's URI with its scheme."""
        return str(self._file_system().makeQualified(self._path()).toString())

    @property
    def local(self) -> Path | None:
        """The folder as a local path; None if it is in another file system."""
        qualified = self._file_system().makeQualified(self._path()).toUri()
        return Path(qualified.getPath()) if qualified.getScheme() == "file" else None

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.whole_uri.rstrip("/").rpartition("/")[2]

    def put(self, folder: Path) -> None:
        """Replace this folder by a copy of a local one."""
        system = self._file_system()
        system.delete(self._path(), True)
        system.mkdirs(self._path().getParent())
        system.copyFromLocalFile(False, True, self._here(folder), self._path())

    def write_beside(self, ending: str, lines: Sequence[str]) -> None:
        """Write lines to ``NAME.ENDING`` next to the folder ``NAME``; without lines, delete an existing one."""
        parent, _, name = self.whole_uri.rstrip("/").rpartition("/")
        beside = Storage(self.session, f"{parent}/{split_ending(name)[0]}.{ending}")
        beside.remove()
        if lines:
            with TemporaryDirectory(prefix="firstday-") as scratch:
                file = Path(scratch) / "lines"
                file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
                beside.put(file)

    def make(self) -> None:
        """Create the folder if missing, before hours of work.

        Raises
        ------
        FirstdayError
            It cannot be created.
        """
        try:
            made, reason = self._file_system().mkdirs(self._path()), "the file system refuses"
        except Exception as error:
            made, reason = False, name_cause(error)
        if not made:
            raise FirstdayError(f"{self.uri}: cannot be written ({reason}); choose another place.")

    def remove(self, relative: str = "") -> None:
        """Delete the folder, or a path in it, if it exists."""
        self._file_system().delete(self._path(relative), True)

    def exists(self, relative: str = "") -> bool:
        """Whether the folder, or a path in it, exists."""
        return bool(self._file_system().exists(self._path(relative)))

    def list_files(self) -> list[StoredFile]:
        """Return all files below the folder, by name.

        Raises
        ------
        DataError
            The folder does not exist or is not readable.
        """
        try:
            system = self._file_system()
            root = system.makeQualified(self._path())
            if not system.exists(root):
                raise DataError(f"{self.uri}: does not exist; give a folder of tables that the cluster reads.")
            if not system.getFileStatus(root).isDirectory():
                raise DataError(f"{self.uri}: is a file; give the folder that holds it.")
            start = len(root.toString().rstrip("/")) + 1
            files, statuses = [], system.listFiles(root, True)
            while statuses.hasNext():
                status = statuses.next()
                uri = status.getPath().toString()
                files.append(StoredFile(uri[start:], uri, int(status.getLen())))
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"{self.uri}: cannot be listed ({name_cause(error)}); allow the cluster to read it."
            ) from None
        return sorted(files, key=lambda file: file.path)

    def fetch(self, relative: str, target: Path) -> Path:
        """Copy a file, or a folder recursively, to this machine."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self._file_system().copyToLocalFile(False, self._path(relative), self._here(target), True)
        return target

    def publish(self, folder: Path, last: str) -> None:
        """Copy the files of a local folder, then put the file `last` in place atomically.

        Readers that read `last` first see either all of the old or all of the new content; an interrupted copy leaves
        the old.
        """
        jvm: Any = self.session._jvm
        system = self._file_system()
        self.make()
        staged = f"{STAGING}{secrets.token_hex(4)}"
        system.copyFromLocalFile(False, True, self._here(folder), self._path(staged))
        for entry in folder.iterdir():
            if entry.name != last and not self.exists(entry.name):
                system.rename(self._path(f"{staged}/{entry.name}"), self._path(entry.name))
        gateway: Any = self.session.sparkContext._gateway
        rename = jvm.org.apache.hadoop.fs.Options.Rename
        options = gateway.new_array(rename, 1)
        options[0] = rename.OVERWRITE
        context = jvm.org.apache.hadoop.fs.FileContext.getFileContext(self._path().toUri(), system.getConf())
        context.rename(self._path(f"{staged}/{last}"), self._path(last), options)
        self.remove(staged)
