"""A store that others share behaves as the one at home: PostgreSQL with files, with s3, and behind an MLflow server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import mlflow
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from benchmarks.servers import free_port, serving
from dfd import checkpoints, model_card, tracking
from dfd.errors import StoreError
from dfd.experiments import end_to_end
from tests import postgres
from tests.commands import dfd
from tests.conftest import tiny_experiment, tiny_table

pytestmark = pytest.mark.skipif(
    postgres.binaries() is None, reason="PostgreSQL is not installed (apt-get install postgresql)"
)
EXPERIMENT = tiny_experiment(data={"corpora": ["a"]}, train={"head": {"epochs": 2, "batch": 8}}, sweep=None)
OWN = ["run_id", "started", "ended", "checkpoint"]  # of each store
CLOCK = "train/seconds"


@contextmanager
def files(database: str, folder: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL, and a folder that all machines see."""
    yield {"MLFLOW_TRACKING_URI": database, "DFD_ARTIFACTS": str(folder / "artifacts")}


@contextmanager
def s3(database: str, folder: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL, and an object store."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
        client = boto3.client(
            "s3", "us-east-1", endpoint_url=address, aws_access_key_id="key", aws_secret_access_key="s"
        )
        client.create_bucket(Bucket="lab")
        yield {
            "MLFLOW_TRACKING_URI": database,
            "DFD_ARTIFACTS": "s3://lab/dfd",
            "MLFLOW_S3_ENDPOINT_URL": address,
            **keys,
        }
    finally:
        server.stop()


@contextmanager
def server(database: str, folder: Path) -> Iterator[dict[str, str]]:
    """An MLflow server before PostgreSQL, through which the artifacts go, too."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--port", str(port)]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
    without_jobs = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes, of no use here
    with serving(command, f"{address}/health", folder / "log", without_jobs, folder):
        # MLflow's own patience with a server is hours.
        yield {
            "MLFLOW_TRACKING_URI": address,
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        }


STORES: dict[str, Callable[[str, Path], AbstractContextManager[dict[str, str]]]] = {
    "files": files,
    "s3": s3,
    "server": server,
}


@dataclass(frozen=True, slots=True)
class Remote:
    """A store that is not at home, with one detector in it."""

    kind: str  # of STORES
    environment: dict[str, str]
    run_id: str


@pytest.fixture(scope="module", params=STORES)
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A detector that was trained into a remote store, from a home of its own."""
    folder = tmp_path_factory.mktemp(request.param)
    with postgres.cluster() as database, STORES[request.param](database, folder) as environment:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**environment, "DFD_HOME": str(folder / "home")}.items():
                patch.setenv(name, value)
            run_id = end_to_end(EXPERIMENT, tiny_table(("a",)))
        yield Remote(request.param, environment, run_id)


@pytest.fixture
def there(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """Another machine that looks into the store: nothing is in its own home."""
    for name, value in remote.environment.items():
        monkeypatch.setenv(name, value)
    return remote


def observed(run_id: str) -> dict[str, Any]:
    """All that a store says of a run, less ids and times."""
    runs, history, versions = tracking.runs(), tracking.history(run_id), tracking.versions()
    folder = tracking.checkpoint_folder(f"models:/{tracking.REGISTERED}@best-a")
    return {
        "run": runs[runs["run_id"] == run_id].drop(columns=[*OWN, CLOCK]).reset_index(drop=True),
        "history": history[history["metric"] != CLOCK].reset_index(drop=True),
        "params": tracking.params(run_id),
        "datasets": tracking.datasets(run_id),
        "clips": tracking.clips(run_id),
        "predictions": tracking.predictions(run_id),
        "by method": tracking.table(run_id, "methods_test.parquet"),
        "versions": versions.drop(columns=["run_id", "created"]),
        "finished": tracking.finished(tracking.tags(run_id)["dfd.key"]) == run_id,
        "best": (tracking.best(), tracking.best("a"), tracking.best("b")),
        "weights": (folder / checkpoints.WEIGHTS).read_bytes(),
        "packages": tracking.environment(run_id)["packages"],
        "detectors": [{**row, "run_id": "", "checkpoint": "", "metrics": ""} for row in tracking.detectors()],
    }


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the store at home says of the same detector."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "DFD_ARTIFACTS"):
            patch.delenv(name, raising=False)
        patch.setenv("DFD_HOME", str(tmp_path_factory.mktemp("local")))
        return observed(end_to_end(EXPERIMENT, tiny_table(("a",))))


def test_a_remote_store_says_what_the_local_one_says(there: Remote, at_home: dict[str, Any]) -> None:
    told = observed(there.run_id)
    assert told.keys() == at_home.keys()
    for name, value in at_home.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(told[name], value, obj=name)
        else:
            assert told[name] == value, name


def test_finished_work_is_found_and_not_done_again(there: Remote) -> None:
    before = len(tracking.runs())
    assert end_to_end(EXPERIMENT, tiny_table(("a",))) == there.run_id
    assert len(tracking.runs()) == before


def test_a_checkpoint_is_fetched_once(there: Remote) -> None:
    first = tracking.checkpoint_folder(there.run_id)
    if there.kind == "files":
        assert first.is_relative_to(there.environment["DFD_ARTIFACTS"])
        return
    made = (first / checkpoints.WEIGHTS).stat().st_mtime_ns
    assert tracking.checkpoint_folder(there.run_id) == first
    assert (first / checkpoints.WEIGHTS).stat().st_mtime_ns == made
    assert checkpoints.load(there.run_id).meta.run_id == there.run_id


def test_a_killed_run_is_resumed_and_nothing_is_printed(there: Remote) -> None:
    code = f"""
import os
import subprocess
from dfd import tracking
with tracking.start_run("whole") as run:
    run.text("hello", "note.txt")
tracking.artifact(run.run_id, "note.txt")
with tracking.start_run("one", tags={{"dfd.key": "killed in {there.kind}"}}) as run:
    run.metrics({{"val/loss": 1.0, "train/seconds": 1.0}}, 1)
    os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-9, "", "")
    run_id = tracking.interrupted(f"killed in {there.kind}")
    assert run_id is not None
    assert tracking.runs().set_index("run_id").loc[run_id, "status"] == "KILLED"
    with tracking.resume_run(run_id) as run:
        run.metrics({"val/loss": 1.0, "train/seconds": 2.0}, 1)
        run.metrics({"val/loss": 0.5, "train/seconds": 2.0}, 2)
        run.text("more", "note.txt")
    curve = tracking.history(run_id)
    assert curve["value"].tolist() == [2.0, 2.0, 1.0, 0.5]
    assert tracking.artifact(run_id, "note.txt").read_text() == "more"


def test_what_an_unfinished_run_has_is_read_anew(there: Remote) -> None:
    with tracking.start_run("one") as run:
        for text in ("first", "second"):
            run.text(text, "note.txt")
            assert tracking.artifact(run.run_id, "note.txt").read_text() == text
    with pytest.raises(StoreError, match=r"has no predictions\.parquet"):
        tracking.predictions(run.run_id)


def test_the_registry_takes_names_and_serves(
    there: Remote, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], face_video: Path
) -> None:
    assert dfd(monkeypatch, "promote", there.run_id, "--alias", "mine") == 0
    capsys.readouterr()
    ref = f"models:/{tracking.REGISTERED}@mine"
    assert dfd(monkeypatch, "card", ref) == 0
    assert capsys.readouterr().out == model_card.card(there.run_id)
    told = mlflow.pyfunc.load_model(ref).predict(pd.DataFrame({"path": [str(face_video)]}))
    assert told.loc[0, "decision"] in ("real", "fake")


def test_a_server_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:9 cannot be opened"):
        tracking.runs()
