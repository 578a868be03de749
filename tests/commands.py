"""The `dfd` command, in this process or as one of its own, and what it leaves behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dfd import cli


def dfd(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Run the command in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["dfd", *map(str, arguments)])
    handler = signal.getsignal(signal.SIGTERM)  # the command sets its own
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        signal.signal(signal.SIGTERM, handler)
    return 0


def preprocessing(root: Path, out: Path | str, *options: str, **environment: str) -> subprocess.Popen[str]:
    """`dfd preprocess`, started."""
    return started("preprocess", root, "--out", out, *options, **environment)


def started(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """The command as a process of its own, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "dfd.cli", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        start_new_session=True,
        text=True,
    )


def finished(run: subprocess.Popen[str]) -> str:
    """What a run said on standard error, once it has ended well."""
    _, said = run.communicate(timeout=240)
    assert run.returncode == 0, said
    return said


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, hidden ones too, by its relative name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
