"""Figures that others published, as data: shown beside what is measured here, never mixed with it."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd

from dfd.errors import ManifestError

FOLDER = Path(__file__).resolve().parent.parent / "experiments" / "published"
FILE, FIELD = FOLDER / "results.csv", FOLDER / "field.csv"
COLUMNS = ("name", "accuracy", "sequence_length", "videos", "corpora", "source")
FIELD_COLUMNS = (
    "detector",
    "trained_on",
    "compression",  # of the clips trained on; "" where the source does not say
    "sequence_length",  # missing for detectors of single frames
    "tested_on",
    "level",  # frame or video, "" where the source does not say
    "metric",
    "value",
    "source",
)
WITHIN = "FaceForensics++"
ACROSS = ("Celeb-DF v2", "Celeb-DF v?", "DeepFakeDetection", "DFDC", "DFDC preview")


def results(path: Path = FILE) -> pd.DataFrame:
    """The published ResNeXt-LSTM accuracies (in [0, 1]; validation accuracies on splits that leak identities).

    Raises:
        ManifestError: the file is missing or lacks a column.
    """
    return _results(path, _changed(path)).copy()


@lru_cache(maxsize=4)
def _results(path: Path, changed: int) -> pd.DataFrame:
    return _read(path, COLUMNS)


def _changed(path: Path) -> int:
    """When a file was written: a page asks for it at every change, and it need not be read again."""
    return path.stat().st_mtime_ns if path.is_file() else 0


def field(path: Path = FIELD) -> pd.DataFrame:
    """What others report of detectors, one figure a row, in `FIELD_COLUMNS`; sources disagree, so each is named.

    Raises:
        ManifestError: the file is missing or lacks a column, or a row has an impossible value or stands twice.
    """
    return _field(path, _changed(path)).copy()


@lru_cache(maxsize=4)
def _field(path: Path, changed: int) -> pd.DataFrame:
    frame = _read(path, FIELD_COLUMNS).fillna(dict.fromkeys(("compression", "level"), ""))
    lengths = frame["sequence_length"]
    wrong = {
        "has no detector, data or source": frame[["detector", "trained_on", "tested_on", "source"]].isna().any(axis=1),
        "has a compression that is not raw, c23 or c40": ~frame["compression"].isin(["", "raw", "c23", "c40"]),
        "has a level that is not frame or video": ~frame["level"].isin(["", "frame", "video"]),
        "has a metric that is not auc or accuracy": ~frame["metric"].isin(["auc", "accuracy"]),
        "has a sequence_length that is no number": lengths.notna() & _numbers(lengths).isna(),
        "has a value that is not in [0, 1]": ~_numbers(frame["value"]).between(0, 1),
        "repeats another": frame.duplicated([name for name in FIELD_COLUMNS if name != "value"]),
    }
    for what, rows in wrong.items():
        if rows.any():
            raise ManifestError(f"{path} line {rows.idxmax() + 2} {what}; correct it or restore the file")
    return frame


def references() -> dict[str, pd.DataFrame]:
    """Accuracies by sequence length, to be shown beside measured ones.

    Returns:
        Of each series: name, accuracy (in [0, 1]), sequence_length, data, source.
    """
    paper, code = results(), field()
    paper["data"] = paper["corpora"] + ", " + paper["videos"].astype(str) + " videos"
    code = code[(code["metric"] == "accuracy") & code["sequence_length"].notna()]
    code = code.rename(columns={"detector": "name", "value": "accuracy", "tested_on": "data"})
    columns = ["name", "accuracy", "sequence_length", "data", "source"]
    return {"published accuracies": paper[columns], "the code's README": code[columns]}


def by_data_set(metric: str) -> pd.DataFrame:
    """Others' AUC or accuracy of whole data sets, to be shown beside measured figures.

    Args:
        metric: "auc" or "accuracy"; of any other nothing was published, and there are no rows.

    Returns:
        detector, trained_on, tested_on, compression, level, value, source.
    """
    frame = field()
    chosen = frame[(frame["metric"] == metric) & frame["sequence_length"].isna()]
    return chosen[["detector", "trained_on", "tested_on", "compression", "level", "value", "source"]]


def auc_within_and_across() -> pd.DataFrame:
    """AUC of detectors trained on FaceForensics++, tested within it and across data sets.

    Returns:
        detector, compression, level, source, and a column for each of `WITHIN` and `ACROSS`; NaN where none is told.
    """
    frame = field()
    frame = frame[(frame["metric"] == "auc") & (frame["trained_on"] == WITHIN)]
    wide = frame.pivot(
        index=["detector", "compression", "level", "source"], columns="tested_on", values="value"
    ).reindex(columns=[WITHIN, *ACROSS])
    return wide.sort_values(["source", "detector", "compression"]).reset_index()


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column, errors="coerce")


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise ManifestError(f"the published figures are missing: there is no {path}; restore it from the repository")
    try:
        frame = pd.read_csv(path)
    except ValueError as error:
        raise ManifestError(f"{path} is not a CSV file in UTF-8 ({error}); restore it from the repository") from None
    missing = [name for name in columns if name not in frame]
    if missing:
        raise ManifestError(f"{path} lacks the column '{missing[0]}'")
    return frame[list(columns)]
