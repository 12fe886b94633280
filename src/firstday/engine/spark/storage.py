"""Files in any file system that the cluster knows (hdfs, s3a, file, ...), by Hadoop's own classes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstday.engine.spark.session import name_cause
from firstday.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class StoredFile:
    """A file.

    Parameters
    ----------
    path
        As seen from the folder that was listed.
    uri
        With its scheme.
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
        The session that knows the file system.
    uri
        The folder; without a scheme it is in the cluster's default file system.
    """

    session: SparkSession
    uri: str

    def _path(self, relative: str = "") -> Any:
        jvm: Any = self.session._jvm
        return jvm.org.apache.hadoop.fs.Path(f"{self.uri.rstrip('/')}/{relative}" if relative else self.uri)

    def _file_system(self) -> Any:
        jsc: Any = self.session._jsc
        return self._path().getFileSystem(jsc.hadoopConfiguration())

    @property
    def whole_uri(self) -> str:
        """The folder's address with its scheme."""
        return str(self._file_system().makeQualified(self._path()).toString())

    @property
    def local(self) -> Path | None:
        """The folder as a path of this machine; None where it is in another file system."""
        qualified = self._file_system().makeQualified(self._path()).toUri()
        return Path(qualified.getPath()) if qualified.getScheme() == "file" else None

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.whole_uri.rstrip("/").rpartition("/")[2]

    def put(self, folder: Path) -> None:
        """Copy a folder of this machine here, in place of what is here."""
        jvm: Any = self.session._jvm
        system = self._file_system()
        system.delete(self._path(), True)
        system.mkdirs(self._path().getParent())
        system.copyFromLocalFile(False, True, jvm.org.apache.hadoop.fs.Path(str(folder)), self._path())

    def list_files(self) -> list[StoredFile]:
        """Return all files below the folder, by name.

        Raises
        ------
        DataError
            There is no such folder, or it may not be read.
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
        """Copy a file, or a folder with all that is in it, to this machine."""
        target.parent.mkdir(parents=True, exist_ok=True)
        jvm: Any = self.session._jvm
        self._file_system().copyToLocalFile(
            False, self._path(relative), jvm.org.apache.hadoop.fs.Path(str(target)), True
        )
        return target

    def publish(self, folder: Path, last: str) -> None:
        """Copy what a folder of this machine holds, and put the file `last` in place in one step after all others.

        Whoever reads `last` first sees all of the old content or all of the new.
        """
        system = self._file_system()
        jvm: Any = self.session._jvm
        system.mkdirs(self._path())
        for file in sorted(folder.rglob("*")):
            relative = file.relative_to(folder).as_posix()
            if file.is_file() and relative != last:
                system.mkdirs(self._path(relative).getParent())
                system.copyFromLocalFile(False, True, jvm.org.apache.hadoop.fs.Path(str(file)), self._path(relative))
        staged = f".{last}.{secrets.token_hex(4)}"
        system.copyFromLocalFile(False, True, jvm.org.apache.hadoop.fs.Path(str(folder / last)), self._path(staged))
        context = jvm.org.apache.hadoop.fs.FileContext.getFileContext(self._path().toUri(), system.getConf())
        overwrite = jvm.org.apache.hadoop.fs.Options.Rename.OVERWRITE
        gateway: Any = self.session.sparkContext._gateway
        options = gateway.new_array(jvm.org.apache.hadoop.fs.Options.Rename, 1)
        options[0] = overwrite
        context.rename(self._path(staged), self._path(last), options)
