"""Which code and which versions made a result."""

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

PACKAGES = ("dfd", "torch", "torchvision", "numpy", "scikit-learn", "mlflow", "facenet-pytorch", "decord", "captum")


@dataclass(frozen=True, slots=True)
class Commit:
    """The code's commit; `dirty` when files differed from it. `hash` is "unknown" outside a git checkout."""

    hash: str
    dirty: bool


@cache
def commit() -> Commit:
    """Ask git about the checkout this module lies in, once a process: files may change while a run goes on."""
    here = Path(__file__).resolve().parent
    try:
        head = _git(here, "rev-parse", "HEAD")
        return Commit(head, bool(_git(here, "status", "--porcelain", "--untracked-files=no")))
    except (OSError, subprocess.CalledProcessError):
        return Commit("unknown", dirty=False)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # decord has another distribution name on some machines
            continue
    return found


def this_process() -> str:
    """This process, so that it can be told from a later one of the same number: host, pid, start time."""
    return f"{platform.node()} {os.getpid()} {psutil.Process().create_time():.0f}"


def is_gone(process: str) -> bool:
    """Whether `this_process` of another time has ended. One on another host is never taken for ended."""
    host, pid, started = process.rsplit(" ", 2)
    if host != platform.node():
        return False
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(started)) > 2
    except psutil.NoSuchProcess:
        return True


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
