"""A store with runs that a test may write to."""

import shutil
from pathlib import Path


def copied(home: Path, to: Path) -> Path:
    """A new home with the runs of another one: their artifacts are read where they lie, new runs are the copy's own."""
    (to / "mlruns").mkdir(parents=True)
    shutil.copy(home / "mlruns" / "mlflow.db", to / "mlruns" / "mlflow.db")
    return to
