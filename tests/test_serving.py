"""A registered detector as MLflow serves it: paths and bytes in, p_fake out, and no answer where there is none."""

import base64
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks.servers import free_port, serving
from dfd import checkpoints, tracking
from dfd.inference import Detector
from dfd.serving import GIVES
from dfd.video import write_video
from tests.stores import copied


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    """A clip without a face."""
    path = tmp_path / "wall.mp4"
    write_video(path, np.full((12, 96, 96, 3), 120, np.uint8), 30.0)
    return path


@pytest.fixture
def served(best_ref: str, monkeypatch: pytest.MonkeyPatch) -> mlflow.pyfunc.PyFuncModel:
    """The registered best, loaded as anybody who knows MLflow would."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.store_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    return mlflow.pyfunc.load_model(best_ref)


def test_paths_and_bytes_get_the_detectors_own_verdict(
    served: mlflow.pyfunc.PyFuncModel, best_ref: str, face_video: Path
) -> None:
    verdict = Detector(checkpoints.load(best_ref)).judge(face_video)
    by_path = served.predict(pd.DataFrame({"path": [str(face_video)]}))
    by_bytes = served.predict(pd.DataFrame({"video": [face_video.read_bytes()]}))
    assert list(by_path.columns) == list(GIVES)
    for told in (by_path, by_bytes):
        assert told.loc[0, "p_fake"] == pytest.approx(verdict.p_fake, abs=1e-6)
        assert told.loc[0, "decision"] == verdict.decision
        assert told.loc[0, "threshold"] == verdict.threshold
        assert told.loc[0, "frames_scored"] == verdict.sequence_length
        assert told.loc[0, "message"] == verdict.message


def test_a_clip_without_a_face_and_one_that_is_none_get_no_number(
    served: mlflow.pyfunc.PyFuncModel, wall: Path, face_video: Path, tmp_path: Path
) -> None:
    asked = pd.DataFrame(
        {
            "path": [str(wall), "", str(tmp_path / "missing.mp4"), str(face_video), None, str(face_video)],
            "video": [b"", b"this is no video", b"", b"", b"", b"both"],
        },
        index=[7, 6, 5, 4, 3, 2],
    )
    told = served.predict(asked)
    assert told.index.tolist() == asked.index.tolist()
    assert told["p_fake"].isna().tolist() == [True, True, True, False, True, True]
    assert told["decision"].tolist()[:3] == ["no face", None, None]
    assert "wall.mp4" in told.loc[7, "message"]
    assert told.loc[6, "message"].startswith("clip 2 is not a video")
    assert "missing.mp4" in told.loc[5, "message"]
    assert "one of the two" in told.loc[3, "message"]
    assert "one of the two" in told.loc[2, "message"]


def test_a_request_without_clips_is_refused(served: mlflow.pyfunc.PyFuncModel) -> None:
    with pytest.raises(mlflow.exceptions.MlflowException, match="column path or video"):
        served.predict(pd.DataFrame({"clip": ["a.mp4"]}))


def test_the_model_is_the_checkpoint_and_pickles_nothing(best_ref: str) -> None:
    folder = tracking.checkpoint_folder(best_ref)
    model = yaml.safe_load((folder / "MLmodel").read_text())
    assert set(model["flavors"]) == {"python_function"}
    assert set(model["flavors"]["python_function"]) == {"loader_module", "python_version"}
    heavy = [path.name for path in folder.rglob("*") if path.stat().st_size > 16_000]
    assert heavy == [checkpoints.WEIGHTS]


def test_a_version_of_before_is_made_servable_by_promoting_it(
    tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face_video: Path
) -> None:
    monkeypatch.setenv("DFD_HOME", str(copied(tiny_home, tmp_path / "copy")))
    row = tracking.versions().iloc[-1]
    folder = tracking.checkpoint_folder(row["run_id"])
    kept = (folder / "MLmodel").read_text()
    (folder / "MLmodel").unlink()
    try:
        assert tracking.set_alias(row["run_id"], "mine") == row["version"]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.store_uri())
        told = mlflow.pyfunc.load_model(f"models:/{tracking.REGISTERED}@mine").predict(
            pd.DataFrame({"path": [str(face_video)]})
        )
        assert 0 <= told.loc[0, "p_fake"] <= 1
    finally:
        (folder / "MLmodel").write_text(kept)  # of the store that all tests read


@pytest.fixture
def server(best_ref: str, tmp_path: Path) -> Iterator[str]:
    """The address of `mlflow models serve` on the registered best, started as the README says."""
    port = free_port()
    scripts = str(Path(sys.executable).parent)
    command = [shutil.which("mlflow", path=scripts) or "mlflow", "models", "serve", "-m", best_ref]
    command += ["--env-manager", "local", "--port", str(port)]
    paths = {"MLFLOW_TRACKING_URI": tracking.store_uri(), "PATH": f"{scripts}:{os.environ['PATH']}"}
    address = f"http://127.0.0.1:{port}"
    with serving(command, f"{address}/ping", tmp_path / "log", {**os.environ, **paths}, Path.cwd()):
        yield address


def _ask(address: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = json.dumps({"dataframe_records": records}).encode()
    with urlopen(Request(f"{address}/invocations", body, {"Content-Type": "application/json"}), timeout=120) as answer:
        return json.load(answer)["predictions"]


def test_a_served_detector_answers_over_http(server: str, best_ref: str, face_video: Path, wall: Path) -> None:
    verdict = Detector(checkpoints.load(best_ref)).judge(face_video)
    by_path, nobody = _ask(server, [{"path": str(face_video)}, {"path": str(wall)}])
    (by_bytes,) = _ask(server, [{"video": base64.b64encode(face_video.read_bytes()).decode()}])
    assert by_path["p_fake"] == pytest.approx(verdict.p_fake, abs=1e-4)
    assert by_bytes["p_fake"] == by_path["p_fake"]
    assert (nobody["p_fake"], nobody["decision"]) == (None, "no face")
    assert "wall.mp4" in nobody["message"]
    with pytest.raises(HTTPError, match="400") as refused:
        _ask(server, [{"clip": "a.mp4"}])
    assert "column path or video" in refused.value.read().decode()
    refused.value.close()
