"""Figures that others published, as data: shown beside what is measured here, never mixed with it."""

from pathlib import Path

import pandas as pd

from dfd.errors import ManifestError

FILE = Path(__file__).resolve().parent.parent / "experiments" / "published" / "results.csv"
COLUMNS = ("name", "accuracy", "sequence_length", "videos", "corpora", "source")


def results(path: Path = FILE) -> pd.DataFrame:
    """The published ResNeXt-LSTM accuracies (in [0, 1]; validation accuracies on splits that leak identities).

    Raises:
        ManifestError: the file is missing or lacks a column.
    """
    if not path.is_file():
        raise ManifestError(f"the published figures are missing: there is no {path}; restore it from the repository")
    frame = pd.read_csv(path)
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise ManifestError(f"{path} lacks the column '{missing[0]}'")
    return frame[list(COLUMNS)]
