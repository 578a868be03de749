"""The command's contract: verbs, JSON, exit codes, one clear line for bad input."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfd import tracking
from dfd.progress import Printer
from dfd.video import write_video
from tests import videos
from tests.commands import dfd


def test_the_installed_command_shows_its_verbs() -> None:
    shown = subprocess.run([sys.executable, "-m", "dfd.cli", "--help"], capture_output=True, text=True, check=True)
    for verb in ("sample", "preprocess", "train", "sweep", "evaluate", "predict", "explain", "runs", "app", "demo"):
        assert f" {verb} " in shown.stdout


def test_wrong_usage_is_exit_code_2(monkeypatch: pytest.MonkeyPatch, face_video: Path) -> None:
    assert dfd(monkeypatch, "predict") == 2
    assert dfd(monkeypatch, "nonsense") == 2
    assert dfd(monkeypatch, "explain", face_video, "--out", "o", "--method", "tea leaves") == 2


def test_predict_prints_one_object_a_clip(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], face_video: Path, tiny_checkpoint: Path
) -> None:
    assert dfd(monkeypatch, "predict", face_video, face_video, "--checkpoint", tiny_checkpoint, "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    told = json.loads(lines[0])
    assert {"clip", "decision", "p_fake", "threshold", "sequence_length", "frames_scored", "faces", "seconds"} <= set(
        told
    )
    assert told["decision"] in ("real", "fake")
    assert 0 <= told["p_fake"] <= 1
    assert told["frames_scored"] == told["sequence_length"] == 4
    assert told["checkpoint"] == str(tiny_checkpoint)
    assert Path(told["clip"]).name == face_video.name


def test_predict_uses_and_names_the_registered_best(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], face_video: Path, best_ref: str
) -> None:
    assert dfd(monkeypatch, "predict", face_video, "--json") == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == best_ref
    assert dfd(monkeypatch, "predict", face_video) == 0
    assert f"checkpoint: {best_ref}" in capsys.readouterr().out


def test_an_empty_store_says_what_to_do(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], face_video: Path
) -> None:
    assert dfd(monkeypatch, "predict", face_video) == 1
    assert "make demo" in capsys.readouterr().err
    assert dfd(monkeypatch, "runs", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_bad_clips_are_told_and_the_good_ones_judged(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    face_video: Path,
    tiny_checkpoint: Path,
) -> None:
    empty, text = tmp_path / "empty.mp4", tmp_path / "notes.mp4"
    empty.touch()
    text.write_text("this is no video")
    clips = [empty, text, tmp_path / "missing.mp4", face_video]
    assert dfd(monkeypatch, "predict", *clips, "--checkpoint", tiny_checkpoint, "--json") == 1
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    complaints = [line for line in shown.err.splitlines() if line.startswith("dfd: ")]
    assert [name for name in ("empty.mp4", "notes.mp4", "missing.mp4") if any(name in line for line in complaints)] == [
        "empty.mp4",
        "notes.mp4",
        "missing.mp4",
    ]
    assert "Traceback" not in shown.err


def test_a_clip_without_a_face_has_no_score(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    path = tmp_path / "wall.mp4"
    write_video(path, np.full((12, 96, 96, 3), 120, np.uint8), 30.0)
    assert dfd(monkeypatch, "predict", path, "--checkpoint", tiny_checkpoint, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["decision"], told["p_fake"]) == ("no face", None)
    assert "wall.mp4" in told["message"]
    assert dfd(monkeypatch, "explain", path, "--checkpoint", tiny_checkpoint, "--out", tmp_path / "maps") == 1
    assert "wall.mp4" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


def test_a_clip_too_short_for_a_verdict_is_not_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    """Heat maps would show what a verdict rests on that was never given."""
    path, meta = tmp_path / "blink.mp4", tiny_checkpoint / "checkpoint.json"
    write_video(path, videos.face_frames(3), 30.0)
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"sequence_length": 10}))
    assert dfd(monkeypatch, "predict", path, "--checkpoint", tiny_checkpoint, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["decision"], told["p_fake"]) == ("inconclusive", None)
    assert dfd(monkeypatch, "explain", path, "--checkpoint", tiny_checkpoint, "--out", tmp_path / "maps") == 1
    assert told["message"] in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize("method", ["gradcam", "integrated_gradients"])
def test_explain_writes_a_heat_map_a_frame(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, face_video: Path, tiny_checkpoint: Path, method: str
) -> None:
    out = tmp_path / "maps"
    command = ["explain", face_video, "--method", method, "--out", out, "--checkpoint", tiny_checkpoint, "--steps", "4"]
    assert dfd(monkeypatch, *command) == 0
    assert len(list(out.glob("*.png"))) == 4
    assert len(list(out.glob("*.json"))) == 1
    command[-2:] = ["--precision", "float32"]
    assert dfd(monkeypatch, *command) == 0
    assert json.loads((out / "attribution.json").read_text())["precision"] == "float32"
    assert dfd(monkeypatch, *command[:-1], "double") == 2


def test_runs_lists_every_detector(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_store: Path
) -> None:
    assert dfd(monkeypatch, "runs", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told) >= 8
    for row in told:
        assert {"run_id", "model", "corpus", "sequence_length", "seed", "checkpoint", "metrics"} <= set(row)
    assert dfd(monkeypatch, "runs") == 0
    assert "sample-swap 4 frames" in capsys.readouterr().out


def test_a_wrong_experiment_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("name: x\ndata: {corpora: [a]}\nmodel: {sequence_lenght: 20}\n")
    assert dfd(monkeypatch, "train", path) == 1
    told = capsys.readouterr().err
    assert "wrong.yaml" in told
    assert "sequence_lenght" in told
    assert not (tmp_path / "home").exists()


def test_sample_to_preprocess_to_train_to_evaluate(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The whole way, small: two corpora of eight people, one tiny experiment, another corpus to be tested on."""
    assert dfd(monkeypatch, "sample", "--identities", "8", "--frames", "12", "--difficulty", "0.3") == 0
    for corpus in ("sample-swap", "sample-reenact"):
        assert dfd(monkeypatch, "preprocess", corpus, "--json") == 0
    capsys.readouterr()
    path = tmp_path / "tiny.yaml"
    path.write_text(
        "name: tiny\ndata: {corpora: [sample-swap]}\n"
        "model: {backbone: tiny, weights: none, hidden: 8, sequence_length: 4}\n"
        "train: {head: {epochs: 1, batch: 4}}\n"
    )
    assert dfd(monkeypatch, "train", path, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["corpus"] == "sample-swap"
    assert dfd(monkeypatch, "evaluate", "sample-reenact", "--checkpoint", row["checkpoint"], "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["corpus"] == "sample-reenact"
    assert 0 <= told["metrics"]["auc_low"] <= told["metrics"]["auc"] <= told["metrics"]["auc_high"] <= 1


@pytest.mark.parametrize("started", ["SIG_DFL", "SIG_IGN"])  # in a terminal; in the background of a script
def test_a_run_ended_by_sigterm_is_recorded_as_stopped(store: Path, started: str) -> None:
    code = f"""
import os, signal, time
signal.signal(signal.SIGINT, signal.{started})
from dfd import cli, tracking
def app():
    with tracking.start_run("one"):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
cli.app = app
cli.main()
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 130
    assert tracking.runs().loc[0, "status"] == "KILLED"
    assert tracking.runs().loc[0, "ended"] is not pd.NaT


def test_progress_tells_the_time_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("dfd.progress.time.monotonic", lambda: float(next(clock)))
    printer = Printer(stream=sys.stderr, started=0.0)
    for fraction in (0.0, 0.25, 0.5, 1.0):
        printer(fraction, "working")
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "[ 25%, 60 s left] working"
    assert lines[-1] == "[100%] working"
