"""Which code, versions, machine and bytes made a result."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "dfd", "torch", "torchvision", "numpy", "scikit-learn", "mlflow", "facenet-pytorch", "decord", "av", "captum",
)  # fmt: skip
HERE = Path(__file__).resolve().parent
DIFF_LIMIT = 1_000_000  # characters of the changes that are kept


@dataclass(frozen=True, slots=True)
class Commit:
    """The code's commit; `dirty` when files differed from it. `hash` is "unknown" outside a git checkout."""

    hash: str
    dirty: bool
    diff: str = ""  # from the commit to the code that ran, as `git diff` writes it, cut at DIFF_LIMIT


@cache
def commit(package: Path = HERE) -> Commit:
    """Ask git about the checkout a package lies in, once a process: files may change while a run goes on.

    Files that git does not know count where they lie within the package, since they may be imported.
    """
    try:
        head = _git(package, "rev-parse", "HEAD").strip()
        diff = _git(package, "diff", "HEAD")
        new = [name for name in _git(package, "ls-files", "--others", "--exclude-standard", "-z").split("\0") if name]
        diff += "".join(_git(package, "diff", "--no-index", "--", os.devnull, name, right=(1,)) for name in new)
    except (OSError, subprocess.CalledProcessError):
        return Commit("unknown", dirty=False)
    return Commit(head, bool(diff), _bounded(diff))


def _bounded(diff: str) -> str:
    if len(diff) <= DIFF_LIMIT:
        return diff
    whole = hashlib.sha256(diff.encode()).hexdigest()
    return f"{diff[:DIFF_LIMIT]}\n(cut: {len(diff)} characters in all, their sha256 is {whole})\n"


def _git(folder: Path, *arguments: str, right: tuple[int, ...] = (0,)) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode not in right:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # decord has another distribution name on some machines
            continue
    return found


@cache
def packages() -> dict[str, str]:
    """Every installed distribution and its version, by name."""
    found = {each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def machine() -> dict[str, str]:
    """What computed, as far as it bears on the last bit of a result.

    System and CPU; of a process that has loaded torch its threads, the instructions it chose, and its GPU.
    """
    facts = {"system": platform.platform(), "cpu": _cpu(), "cores": str(os.cpu_count())}
    torch: Any = sys.modules.get("torch")  # one that has not loaded it computed nothing with it
    if torch is not None:
        facts |= {"threads": str(torch.get_num_threads()), "instructions": torch.backends.cpu.get_cpu_capability()}
        if torch.cuda.is_available():
            facts |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
            facts |= {"cudnn": str(torch.backends.cudnn.version())}
    return facts


@cache
def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, first 16 hex digits, read once a process; "" where there is no file."""
    try:
        about = path.stat()
        return _digest(path, about.st_size, about.st_mtime_ns)
    except OSError:
        return ""


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def this_process() -> str:
    """This process, so that it can be told from a later one of the same number: host, pid, start time."""
    return process(os.getpid())


def process(pid: int) -> str:
    """A process of this machine that is there, as `this_process`."""
    return f"{platform.node()} {pid} {psutil.Process(pid).create_time():.0f}"


def is_gone(process: str) -> bool:
    """Whether `this_process` of another time has ended. One on another host is never taken for ended."""
    host, pid, started = process.rsplit(" ", 2)
    if host != platform.node():
        return False
    try:
        found = psutil.Process(int(pid))  # one that was killed stays listed until its parent has asked how it ended
        return found.status() == psutil.STATUS_ZOMBIE or abs(found.create_time() - float(started)) > 2
    except psutil.NoSuchProcess:
        return True
