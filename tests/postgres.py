"""A PostgreSQL of the tests' own, from Debian's package: a cluster in a temporary folder, reached by a socket in it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, the newest that is installed; Debian keeps them off the PATH."""
    on_path = shutil.which("pg_ctl")
    found = [Path(on_path)] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def cluster() -> Iterator[str]:
    """The address of an empty database, `postgresql://...`; the cluster is stopped and removed afterwards."""
    found = binaries()
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="dfd-postgres-"))  # short: a socket's path has at most 107 characters
    owner = _owner()
    if owner:
        shutil.chown(folder, **owner)
    data, as_owner = folder / "data", {"check": True, "capture_output": True, "cwd": folder, **owner}
    try:
        subprocess.run([found / "initdb", "-D", data, "-U", "dfd", "-A", "trust", "-N"], **as_owner)
        settings = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        # No pipes: the server would keep them open.
        to_file = {**as_owner, "capture_output": False, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([found / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", settings, "start"], **to_file)
        try:
            yield f"postgresql://dfd@/postgres?host={folder}"
        finally:
            subprocess.run([found / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], **to_file)
    finally:
        shutil.rmtree(folder)


def _owner() -> dict[str, Any]:
    """Whom the cluster runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    return {"user": user, "group": pwd.getpwnam(user).pw_gid}
