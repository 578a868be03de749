"""Where dfd keeps what it makes: one home folder, `DFD_HOME` or the current directory; and how it writes there."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def home() -> Path:
    """The folder that holds `data/` and `mlruns/`."""
    return Path(os.environ.get("DFD_HOME", ".")).resolve()


def data_dir() -> Path:
    """Corpora and their face-only videos."""
    return home() / "data"


def store_dir() -> Path:
    """The local MLflow store: SQLite file and artifacts."""
    return home() / "mlruns"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it becomes `path`, on failure it is removed.

    The suffix is kept, since encoders choose a container by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}.", suffix=f".part{path.suffix}")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)  # mkstemp is private; corpora are shared between users of one machine
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the place of `path`, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name[:40]}."))
    try:
        yield part
        part.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
