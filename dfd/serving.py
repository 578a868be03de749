"""A checkpoint behind MLflow's model interface: paths or bytes of videos in, one row of answers a clip out.

`mlflow models serve -m models:/dfd-detector@best --env-manager local` and `mlflow.pyfunc.load_model` come here by the
`MLmodel` beside a checkpoint's weights. The first wants the environment's programs on the PATH, as activating it puts
them there. The columns that are taken:

- `path`: of a video, as the serving machine knows it; whoever can send requests can have its videos judged
- `video`: the bytes of one, base64 in JSON

A row gives one of them, and leaves the other empty or out. The columns of an answer:

- `p_fake`: in [0, 1]; null for a clip without a face, with too few frames of one, or that cannot be read
- `decision`: real, fake, inconclusive or no face; null for a clip that cannot be read
- `threshold`, `threshold_fpr`: fake at or above the first; share of the real validation clips it calls fake, or null
- `frames_scored`, `faces`: frames that were read, and people that were found
- `message`: for people; without a p_fake it says why there is none
"""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from dfd import tracking
from dfd.checkpoints import load
from dfd.errors import DfdError, VideoError
from dfd.inference import Detector

TAKES = ("path", "video")
GIVES = ("p_fake", "decision", "threshold", "threshold_fpr", "frames_scored", "faces", "message")


class Served:
    """What MLflow calls; several requests may be answered at once."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def predict(self, asked: pd.DataFrame) -> pd.DataFrame:
        """One row of answers for each row asked.

        Raises:
            MlflowException: none of the columns is there, or the checkpoint gives no number.
        """
        if not set(TAKES) & set(asked.columns):
            raise tracking.refused(DfdError(f"give each clip in a column {' or '.join(TAKES)}"))
        try:
            rows = [self._answer(number, row) for number, row in enumerate(asked.to_dict("records"), start=1)]
        except DfdError as error:
            raise tracking.refused(error) from None
        table = pd.DataFrame(rows, columns=list(GIVES), index=asked.index).astype(object)
        return table.where(table.notna(), None)  # null in JSON, which has no NaN

    def _answer(self, number: int, row: dict[str, Any]) -> dict[str, Any]:
        path, video = (row.get(name) for name in TAKES)
        by_path, by_bytes = isinstance(path, str) and path != "", isinstance(video, bytes) and video != b""
        if by_path == by_bytes:
            return self._unread(f"clip {number}: give a path or the bytes of a video, one of the two")
        if by_path:
            return self._judged(Path(str(path)), str(path))
        with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
            place = Path(folder) / "clip"
            place.write_bytes(video or b"")
            return self._judged(place, f"clip {number}")

    def _judged(self, path: Path, name: str) -> dict[str, Any]:
        """The answer for a file; messages call it by a name that the caller knows."""
        try:
            verdict = self._detector.judge(path)
        except VideoError as error:
            return self._unread(str(error).replace(str(path), name))
        told = {column: getattr(verdict, column) for column in GIVES}
        return {**told, "message": verdict.message.replace(str(path), name)}

    def _unread(self, message: str) -> dict[str, Any]:
        meta = self._detector.checkpoint.meta
        known = {"threshold": meta.threshold, "threshold_fpr": meta.threshold_fpr}
        return {"p_fake": None, "decision": None, **known, "frames_scored": 0, "faces": 0, "message": message}


def _load_pyfunc(path: str) -> Served:
    """What MLflow looks for in a loader module, under this name: the model in a folder that has an `MLmodel`."""
    return Served(Detector(load(path)))
