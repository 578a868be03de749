"""Where clips come from and results go to: folders, or places with a URL that fsspec knows, such as s3://bucket/path.

Files appear whole or not at all: on a disk by renaming, in an object store because a put is one act.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import fsspec

from dfd.errors import DfdError
from dfd.paths import atomic_file


def is_url(place: str) -> bool:
    """Whether a place is a URL, not a path."""
    return "://" in place


def join(place: str, name: str) -> str:
    """`name` below `place`."""
    return f"{place.rstrip('/')}/{name}" if is_url(place) else str(Path(place) / name)


def exists(place: str) -> bool:
    """Whether there is a file.

    Raises:
        DfdError: the store cannot be asked.
    """
    if not is_url(place):
        return Path(place).is_file()
    with _explained(place, "asked for"):
        files, path = fsspec.core.url_to_fs(place)
        return bool(files.isfile(path))


def stamp(place: str) -> str | None:
    """What changes when a file does: size and time, or a store's own tag; of a folder, all that its files have.

    None where there is none.

    Raises:
        DfdError: the store cannot be asked.
    """
    if not is_url(place):
        try:
            return _local_stamp(Path(place))
        except OSError:
            return None
    with _explained(place, "asked for"):
        files, path = fsspec.core.url_to_fs(place)
        try:
            about = files.info(path)
        except FileNotFoundError:
            return None
        return " ".join(str(about[name]) for name in ("size", "ETag", "mtime", "created") if name in about)


@contextmanager
def fetched(place: str) -> Iterator[Path]:
    """A local path of the file: itself, or a copy that is removed afterwards.

    Raises:
        DfdError: there is no such file, or it cannot be fetched.
    """
    if not is_url(place):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        with _explained(place, "fetched"):
            files, path = fsspec.core.url_to_fs(place)
            copy = Path(folder) / PurePosixPath(path).name
            files.get_file(path, str(copy))
        yield copy


@contextmanager
def written(place: str) -> Iterator[Path]:
    """Yield a local path to write; on success the file is at `place`, on failure nothing is.

    Raises:
        DfdError: it cannot be put there.
    """
    if not is_url(place):
        with atomic_file(Path(place)) as part:
            yield part
        return
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        part = Path(folder) / PurePosixPath(place).name
        yield part
        with _explained(place, "written"):
            files, path = fsspec.core.url_to_fs(place)
            files.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
            files.put_file(str(part), path)


def read_text(place: str) -> str | None:
    """The text of a UTF-8 file, None where there is none; what is damaged comes as U+FFFD.

    Raises:
        DfdError: it is there and cannot be fetched.
    """
    if not exists(place):
        return None
    with fetched(place) as path:
        return path.read_text(encoding="utf-8", errors="replace")


def write_text(place: str, text: str) -> None:
    """Write a UTF-8 file.

    Raises:
        DfdError: it cannot be put there.
    """
    with written(place) as part:
        part.write_text(text, encoding="utf-8")


def _local_stamp(path: Path) -> str:
    if not path.is_dir():
        facts = path.stat()
        return f"{facts.st_size} {facts.st_mtime_ns}"
    with os.scandir(path) as entries:
        inside = sorted((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries)
    return hashlib.sha256(repr(inside).encode()).hexdigest()[:16]


@contextmanager
def _explained(place: str, act: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise DfdError(f"{place} cannot be {act}: {error}; requirements-cluster.txt has what s3:// needs") from None
    except Exception as error:  # every store has errors of its own: botocore's are no OSErrors
        raise DfdError(f"{place} cannot be {act} ({type(error).__name__}: {error})") from None
