"""A detector of the user's own: judged in a process of its own, evaluated as a checkpoint is, shown beside them."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from dfd import charts, metrics, tracking
from dfd.comparison import cells, compare, slices_of
from dfd.corpora import registry
from dfd.errors import DetectorError, ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest
from dfd.own_detector import KEPT_AS, opened
from dfd.own_evaluation import NOT_SCORED, OwnEvaluation, evaluate_own, record_own
from tests import corpora_trees as trees
from tests.commands import dfd

READS = "from pathlib import Path\ndef predict(path):\n    return float(Path(path).read_text())\n"
EXAMPLE = Path(__file__).parent.parent / "docs" / "own_detector.py"


def corpus(folder: Path, *, people: int = 10) -> Manifest:
    """Clips that are files with a score in them: each person of each split has a real clip and fakes of two methods."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    clips = []
    for split in SPLITS:
        for person in range(people):
            for method, mean in (("original", 0.35), ("swap", 0.7), ("reenact", 0.55)):
                name = f"{split}-{person}-{method}"
                path = folder / name
                path.write_text(str(float(np.clip(generator.normal(mean, 0.2), 0, 1))))
                label = Label.REAL if method == "original" else Label.FAKE
                gender = (("gender", ("female", "male")[person % 2]),)
                who = f"{split}-{person}"
                clips.append(Clip("own", name, path, label, method, "c23", who, "", split, True, None, gender))
    return Manifest("own", tuple(clips)).check()


def written(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def scores(manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the clips, and what is written in them."""
    return np.array([int(clip.label) for clip in manifest]), np.array([float(c.path.read_text()) for c in manifest])


def test_it_is_evaluated_as_a_checkpoint_is(tmp_path: Path) -> None:
    manifest = corpus(tmp_path / "clips")
    done = evaluate_own(written(tmp_path, READS), manifest)
    threshold, fpr = metrics.choose_threshold(*scores(manifest.split("val")))
    assert (done.threshold, done.threshold_fpr) == (threshold, fpr)
    assert done.temperature == metrics.fit_temperature(*scores(manifest.split("val")))
    figures = done.found["test"].metrics
    expected = metrics.clip_metrics(*scores(manifest.split("test")), threshold)
    assert {name: figures[name] for name in expected} == expected
    assert {"auc_low", "eer_high", "ece_calibrated"} <= set(figures)
    assert (figures["coverage"], figures["clips"]) == (1, 30)
    assert list(done.found["test"].methods.rows["value"]) == ["reenact", "swap"]
    assert done.found["test"].frame_metrics == {}
    assert done.name == "mine"


def test_a_threshold_that_the_file_sets_asks_nothing_of_validation_clips(tmp_path: Path) -> None:
    manifest = corpus(tmp_path / "clips")
    seen = tmp_path / "seen.txt"
    text = READS.replace("    return", f"    open({str(seen)!r}, 'a').write(path + '\\n')\n    return")
    done = evaluate_own(written(tmp_path, f"NAME = 'judge of files'\nTHRESHOLD = 0.6\n{text}"), manifest)
    assert (done.name, done.threshold, done.threshold_fpr, done.temperature) == ("judge of files", 0.6, None, None)
    assert seen.read_text().splitlines() == [str(clip.path) for clip in manifest.split("test")]
    assert set(done.found) == {"test"}
    assert "ece_calibrated" not in done.found["test"].metrics


def ends(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


FAULTS = {
    "crash": ("import os; os.abort()", "it crashed (SIGABRT)"),
    "quiet end": ("import os; os._exit(3)", "it crashed (exit code 3)"),
    "exit": ("import sys; sys.exit('enough')", "SystemExit: enough (line 4)"),
    "exception": ("raise ValueError('no\\nface')", "ValueError: no face (line 4)"),
    "none": ("return None", "predict gave no verdict"),
    "hang": ("import time; time.sleep(600)", "it took longer than 1 s and was stopped"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_with_a_clip_is_told_of_it_and_lowers_coverage(tmp_path: Path, fault: str) -> None:
    body, said = FAULTS[fault]
    manifest = corpus(tmp_path / "clips")
    text = f"from pathlib import Path\ndef predict(path):\n    if 'test-3-swap' in path:\n        {body}\n"
    text += "    return float(Path(path).read_text())\n"
    done = evaluate_own(written(tmp_path, text), manifest, a_clip=1.0 if "longer" in said else 60.0)
    assert done.judged["test"].not_scored == (("test-3-swap", said),)
    figures = done.found["test"].metrics
    assert (figures["clips"], figures["coverage"]) == (29, pytest.approx(29 / 30))
    kept = Manifest("own", tuple(clip for clip in manifest.split("test") if clip.clip_id != "test-3-swap"))
    assert figures["auc"] == metrics.clip_metrics(*scores(kept), done.threshold)["auc"]


def test_a_clip_that_is_gone_is_not_asked_for(tmp_path: Path) -> None:
    manifest = corpus(tmp_path / "clips")
    gone = manifest.split("test").clips[0]
    gone.path.unlink()
    done = evaluate_own(written(tmp_path, READS), manifest)
    assert done.judged["test"].not_scored == ((gone.clip_id, f"there is no file {gone.path}"),)


@pytest.mark.parametrize("value", ["1.5", "-0.1", "float('nan')", "float('inf')", "'0.5'", "True", "[0.5]", "1j"])
def test_what_is_no_probability_is_an_error_that_names_clip_and_value(tmp_path: Path, value: str) -> None:
    manifest = corpus(tmp_path / "clips")
    text = READS.replace("    return", f"    if 'val-2-swap' in path: return {value}\n    return")
    with pytest.raises(DetectorError) as told:
        evaluate_own(written(tmp_path, text), manifest)
    assert "mine.py: predict gave " in str(told.value)
    assert repr(eval(value)) in str(told.value)
    assert "clip 'val-2-swap'" in str(told.value)
    assert "a number from 0 to 1" in str(told.value)


@pytest.mark.parametrize("value", ["1", "0", "np.float32(0.25)", "np.int64(1)"])
def test_whole_and_numpys_numbers_are_numbers(tmp_path: Path, value: str) -> None:
    clip = corpus(tmp_path / "clips", people=2).clips[0]
    file = written(tmp_path, f"import numpy as np\ndef predict(path):\n    return {value}\n")
    with opened(file) as detector:
        assert detector.judge(clip).p_fake == float(eval(value, {"np": np}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "it has no function predict"),
        ("predict = 3\n", "it has no function predict"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' .line 1."),
        ("def predict(path:\n", "it cannot be imported: SyntaxError"),
        ("import sys; sys.exit()\n", "it cannot be imported: SystemExit"),
        ("import os; os._exit(0)\n", "while it was imported it crashed .exit code 0."),
        (f"NAME = ''\n{READS}", "its NAME is '', not a line of text"),
        (f"NAME = 7\n{READS}", "its NAME is 7"),
        (f"THRESHOLD = 50\n{READS}", "its THRESHOLD is 50, not a number from 0 to 1"),
    ],
)
def test_a_file_that_is_no_detector_is_told_by_name(tmp_path: Path, text: str, said: str) -> None:
    with (
        pytest.raises(DetectorError, match=f"mine.py cannot be used as a detector: .*{said}"),
        opened(written(tmp_path, text)),
    ):
        pass


def test_a_file_that_is_no_python_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"mine\.txt is no Python file"), opened(written(tmp_path, "", "mine.txt")):
        pass
    with pytest.raises(DetectorError, match=r"gone\.py cannot be read"), opened(tmp_path / "gone.py"):
        pass
    (tmp_path / "odd.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(DetectorError, match=r"odd\.py is no Python text"), opened(tmp_path / "odd.py"):
        pass


def test_a_file_that_hangs_while_it_is_imported_is_stopped(tmp_path: Path) -> None:
    file = written(tmp_path, "import time\ntime.sleep(600)\n")
    with (
        pytest.raises(DetectorError, match="while it was imported it took longer than 0.5 s"),
        opened(file, a_start=0.5),
    ):
        pass


def test_it_prints_reads_and_imports_as_it_likes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "SCORE = 0.25\n", "neighbour.py")
    text = "import sys\nimport neighbour\nfrom dfd.video import read_frames\nprint('loading')\n"
    text += "def predict(path):\n    print('judging')\n    assert sys.stdin.read() == ''\n    return neighbour.SCORE\n"
    clip = corpus(tmp_path / "clips", people=2).clips[0]
    with opened(written(tmp_path, text)) as detector:
        assert detector.judge(clip).p_fake == 0.25
    shown = capfd.readouterr()
    assert shown.out == ""
    assert {"loading", "judging"} <= set(shown.err.split())


def test_it_keeps_its_state_from_clip_to_clip_and_begins_anew_after_a_crash(tmp_path: Path) -> None:
    text = "import os\ncount = 0\ndef predict(path):\n    global count\n    count += 1\n"
    text += "    if count == 3: os._exit(1)\n    return count / 10\n"
    clip = corpus(tmp_path / "clips", people=2).clips[0]
    with opened(written(tmp_path, text)) as detector:
        assert [detector.judge(clip).p_fake for _ in range(4)] == [0.1, 0.2, None, 0.1]


def test_the_text_that_was_read_is_what_runs(tmp_path: Path) -> None:
    """A file that is edited meanwhile does not make two detectors one run."""
    file = written(
        tmp_path, "import os\ndef predict(path):\n    os._exit(1) if 'swap' in path else None\n    return 0.5\n"
    )
    real, swap, _ = corpus(tmp_path / "clips", people=2).clips[:3]
    with opened(file) as detector:
        written(tmp_path, "raise RuntimeError('edited')\n")
        assert detector.judge(swap).p_fake is None
        assert detector.judge(real).p_fake == 0.5
        assert "os._exit" in detector.text


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    text = "import subprocess, sys\ndef predict(path):\n"
    text += "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    text += f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n    return 0.5\n"
    clip = corpus(tmp_path / "clips", people=2).clips[0]
    with opened(written(tmp_path, text)) as detector:
        detector.judge(clip)
        pid = int((tmp_path / "pid").read_text())
        assert psutil.pid_exists(pid)
    assert ends(pid)


def test_splits_without_verdicts_are_told_with_the_first_reason(tmp_path: Path) -> None:
    manifest = corpus(tmp_path / "clips", people=4)
    text = READS.replace(
        "    return", "    if '/test-' in path and 'original' in path: raise OSError('gone')\n    return"
    )
    with pytest.raises(ManifestError, match="8 of 12 test clips .* not of both classes; test-0-original: OSError"):
        evaluate_own(written(tmp_path, text), manifest)
    bare = Manifest("own", manifest.split("train").clips)
    with pytest.raises(ManifestError, match="'own' has no val clips"):
        evaluate_own(written(tmp_path, READS), bare)


@pytest.fixture
def recorded(store: Path, tmp_path: Path) -> tuple[str, OwnEvaluation]:
    """A run of a detector of one's own, with a clip that got no verdict."""
    text = READS.replace("    return", "    if 'test-3-swap' in path: return None\n    return")
    done = evaluate_own(written(tmp_path, text), corpus(tmp_path / "clips"))
    return record_own(done), done


def test_its_run_stands_beside_the_others(recorded: tuple[str, OwnEvaluation]) -> None:
    run_id, done = recorded
    (row,) = tracking.detectors()
    assert row["run_id"] == run_id
    assert (row["model"], row["corpus"], row["checkpoint"]) == ("own: mine", "own", "")
    assert row["sequence_length"] is None
    assert row["seed"] is None
    assert row["metrics"]["test/auc"] == done.found["test"].metrics["auc"]
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    (run,) = tracking.runs().to_dict("records")
    assert (run["kind"], run["control"], run["threshold"]) == ("own", "", done.threshold)
    assert tracking.artifact(run_id, KEPT_AS).read_text() == done.text
    assert tracking.params(run_id)["detector.sha256"] == done.sha256
    told = json.loads(tracking.artifact(run_id, NOT_SCORED).read_text())
    assert told == [{"split": "test", "clip": "test-3-swap", "reason": "predict gave no verdict"}]
    assert set(tracking.predictions(run_id)["split"]) == {"val", "test"}
    assert set(tracking.datasets(run_id)["context"]) == {"val", "test"}


def test_it_can_be_compared_and_sliced_by_what_the_corpus_says(recorded: tuple[str, OwnEvaluation]) -> None:
    run_id, _ = recorded
    assert compare(run_id, run_id).auc.difference == 0
    found = slices_of(run_id, "gender")
    assert list(found.rows["value"]) == ["female", "male"]
    assert {gap.metric for gap in found.gaps} == {"accuracy", "auc"}


def test_what_it_was_trained_on_is_not_known_and_its_file_is_what_it_is_known_by(
    recorded: tuple[str, OwnEvaluation],
) -> None:
    _, done = recorded
    record_own(done)
    (cell,) = cells().to_dict("records")
    assert (cell["trained_on"], cell["tested_on"], cell["relation"]) == ("", "own", "not known")
    assert cell["detector"] == f"own: mine ({done.sha256[:8]})"
    record_own(replace(done, sha256="0" * 64))
    assert len(cells()) == 2, "another text is another detector"


def test_it_is_a_level_line_in_the_chart(recorded: tuple[str, OwnEvaluation]) -> None:
    run_id, done = recorded
    runs = tracking.runs()
    assert charts.length_points(runs, "auc").empty
    assert list(charts.own_points(runs, "auc")["run_id"]) == [run_id]
    (line,) = [trace for trace in charts.accuracy_by_length(runs, "auc").data if trace.customdata is not None]
    assert list(line.y) == [done.found["test"].metrics["auc"]] * 2
    assert line.name == "own · own: mine"
    assert line.customdata[0][0] == run_id


def test_the_command_evaluates_a_file_and_lists_it(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus(tmp_path / "clips").write(tmp_path / "clips" / "manifest.csv")
    text = READS.replace("    return", "    if 'test-3-swap' in path: raise ValueError('odd')\n    return")
    file = written(tmp_path, text)
    assert dfd(monkeypatch, "evaluate", tmp_path / "clips", "--detector", file, "--json") == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["name"], told["checkpoint"], told["split"]) == ("mine", "", "test")
    assert told["metrics"]["coverage"] == pytest.approx(29 / 30)
    assert told["not_scored"][0]["clip"] == "test-3-swap"
    assert "no verdict on test-3-swap (test): ValueError: odd (line 3)" in shown.err
    assert dfd(monkeypatch, "runs") == 0
    assert "own: mine" in capsys.readouterr().out
    assert dfd(monkeypatch, "evaluate", tmp_path / "clips", "--detector", file, "--checkpoint", "x") == 2
    capsys.readouterr()
    assert dfd(monkeypatch, "evaluate", tmp_path / "clips", "--detector", tmp_path / "gone.py") == 1
    assert "gone.py cannot be read" in capsys.readouterr().err


def test_the_example_judges_the_clips_of_a_corpus_that_was_added(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.add("films", trees.folder(tmp_path / "films", trees.moving, people=20))
    assert dfd(monkeypatch, "evaluate", "films", "--detector", EXAMPLE, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["metrics"]["coverage"], told["not_scored"]) == ("blurred middle", 1, [])
    assert 0 < told["threshold"] < 1
    (run,) = tracking.detectors()
    assert (run["run_id"], run["corpus"]) == (told["run_id"], "films")
    scored = tracking.predictions(told["run_id"])["p_fake"]
    assert scored.between(0, 1).all()
    assert scored.nunique() > 1


ASKS = """
import sys
from pathlib import Path
from dfd.labels import Label
from dfd.manifest import Clip
from dfd.own_detector import opened

clip = Clip("own", "x", Path(sys.argv[2]), Label.REAL, "original", "", "a", "", "test", True)
with opened(Path(sys.argv[1])) as detector:
    detector.judge(clip)
"""


def test_a_parent_that_was_killed_leaves_no_hanging_child(tmp_path: Path) -> None:
    text = "import os, time\nfrom pathlib import Path\ndef predict(path):\n"
    text += f"    Path({str(tmp_path / 'part')!r}).write_text(str(os.getpid()))\n"
    text += f"    os.rename({str(tmp_path / 'part')!r}, {str(tmp_path / 'pid')!r})\n    time.sleep(600)\n"
    clip = corpus(tmp_path / "clips", people=2).clips[0]
    with subprocess.Popen([sys.executable, "-c", ASKS, str(written(tmp_path, text)), str(clip.path)]) as parent:
        for _ in range(600):
            if (tmp_path / "pid").is_file():
                break
            time.sleep(0.1)
        parent.kill()
    assert ends(int((tmp_path / "pid").read_text()))
