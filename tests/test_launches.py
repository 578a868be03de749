"""Trainings as processes of their own: started by name, watched, stopped, and known by more than their number."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dfd import launches
from dfd.errors import ExperimentError, LaunchError
from dfd.launches import Launch, Report

PLAIN = "name: plain\ndata: {corpora: [nowhere]}\n"
SWEEP = "extends: plain.yaml\nsweep: {sequence_lengths: [20]}\n"
QUICK = "print('reading', flush=True); print('[ 40%, 3 min left] epoch 2 of 5', flush=True)"
LONG = f"{QUICK}\nimport time\ntime.sleep(600)"
STUBBORN = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{LONG}"
ORDERLY = f"""
import signal, sys, time
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    {QUICK}
    time.sleep(600)
except KeyboardInterrupt:
    print('the run is recorded as interrupted', flush=True)
    sys.exit(130)
"""


@pytest.fixture(autouse=True)
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of experiment files in place of the repository's."""
    folder = tmp_path / "experiments"
    (folder / "more").mkdir(parents=True)
    (folder / "plain.yaml").write_text(PLAIN)
    (folder / "sweep.yaml").write_text(SWEEP)
    (folder / "wrong.yaml").write_text("name: wrong\ndata: {corpora: [a]}\nmodle: {}\n")
    (folder / "more" / "deep.yaml").write_text(PLAIN)
    (tmp_path / "outside.yaml").write_text(PLAIN)
    monkeypatch.setattr(launches, "EXPERIMENTS", folder)
    return folder


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No process of a test outlives it."""
    yield
    for launch in launches.launches():
        pid = int(launch.process.rsplit(" ", 2)[1])
        if not launches.report(launch).over:
            for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
                process.kill()


def doing(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Start this Python program where `dfd` would be started."""
    monkeypatch.setattr(launches, "DFD", (sys.executable, "-c", program))


def after(launch: Launch, *states: str) -> Report:
    """The report once the launch is in one of these states."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = launches.report(launch)
        if found.state in states:
            return found
        time.sleep(0.05)
    pytest.fail(f"{launches.report(launch)}, not {states}: {launches.tail(launch)}")


def said(launch: Launch, line: str) -> None:
    deadline = time.monotonic() + 60
    while line not in launches.tail(launch):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_files_below_the_folder_are_offered_those_at_its_top_first() -> None:
    assert launches.experiments() == ["plain.yaml", "sweep.yaml", "wrong.yaml", "more/deep.yaml"]


@pytest.mark.parametrize("name", ["../outside.yaml", "/etc/passwd", "more/../../outside.yaml", "gone.yaml", ""])
def test_nothing_else_can_be_read_or_started(name: str) -> None:
    with pytest.raises(ExperimentError, match="there is no experiment file"):
        launches.read(name)
    with pytest.raises(ExperimentError, match="there is no experiment file"):
        launches.start(name)
    assert launches.launches() == []


def test_a_wrong_file_is_refused_before_a_process_is_started() -> None:
    with pytest.raises(ExperimentError, match="unknown key 'modle'"):
        launches.start("wrong.yaml")
    assert launches.launches() == []


def test_the_verb_is_what_the_file_describes() -> None:
    assert launches.verb_of(launches.read("plain.yaml")) == "train"
    assert launches.verb_of(launches.read("sweep.yaml")) == "sweep"


def test_a_corpus_without_faces_is_named() -> None:
    assert launches.not_preprocessed(launches.read("plain.yaml")) == ["nowhere"]


def test_a_launch_that_ends_well_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    doing(monkeypatch, "import sys; print(*sys.argv[1:]); print('[100%] done')")
    launch = launches.start("sweep.yaml")
    found = after(launch, "done")
    assert (found.code, found.share, found.doing) == (0, 1.0, "done")
    assert found.last == f"sweep {launches.EXPERIMENTS / 'sweep.yaml'}"
    assert found.ended is not None
    assert found.ended >= launch.started
    assert launches.launches() == [launch]


def test_what_a_training_says_is_read_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    doing(monkeypatch, LONG)
    launch = launches.start("plain.yaml")
    said(launch, "[ 40%, 3 min left] epoch 2 of 5")
    found = launches.report(launch)
    assert (found.state, found.share, found.doing, found.last) == (
        "running", 0.4, "epoch 2 of 5 (3 min left)", "reading",
    )  # fmt: skip
    with pytest.raises(LaunchError, match="training already"):
        launches.start("plain.yaml")


def test_a_launch_is_stopped_in_order_and_can_be_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    doing(monkeypatch, ORDERLY)
    launch = launches.start("plain.yaml")
    said(launch, "reading")
    launches.stop(launch)
    found = after(launch, "stopped")
    assert (found.code, found.last) == (130, "the run is recorded as interrupted")
    doing(monkeypatch, QUICK)
    again = launches.start("plain.yaml")
    after(again, "done")
    assert [each.id for each in launches.launches()] == [again.id, launch.id]


def test_one_that_will_not_stop_is_killed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    doing(monkeypatch, STUBBORN)
    monkeypatch.setattr(launches, "PATIENCE", 1.0)
    launch = launches.start("plain.yaml")
    said(launch, "reading")
    launches.stop(launch)
    assert launches.report(launch).state == "stopping"
    assert after(launch, "stopped").code == -9


def test_a_launch_outlives_the_process_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    starter = f"""
from pathlib import Path
from dfd import launches
launches.EXPERIMENTS = Path({str(launches.EXPERIMENTS)!r})
launches.DFD = ({sys.executable!r}, "-c", {LONG!r})
launches.start("plain.yaml")
"""
    subprocess.run([sys.executable, "-c", starter], check=True, timeout=120)
    (launch,) = launches.launches()
    said(launch, "reading")
    assert launches.report(launch).state == "running"
    launches.stop(launch)
    assert after(launch, "stopped").code == -15


def test_a_training_that_fails_says_why_in_the_words_of_dfd() -> None:
    launch = launches.start("plain.yaml")  # the real command
    found = after(launch, "failed")
    assert found.code == 1
    assert found.last.startswith("dfd: corpus 'nowhere' is not preprocessed")


def test_a_process_that_took_over_the_number_is_not_taken_for_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    doing(monkeypatch, QUICK)
    launch = launches.start("plain.yaml")
    after(launch, "done")
    (launch.folder / "ended.json").unlink()  # as if its machine had gone down
    host = launch.process.split(" ")[0]
    other = Launch(launch.id, "train", "plain.yaml", f"{host} {os.getpid()} 1000", launch.started, launch.folder)
    assert (launches.report(other).state, launches.report(other).code) == ("failed", None)
    launches.stop(other)  # this process, were it mistaken


def test_a_launch_on_another_machine_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    doing(monkeypatch, QUICK)
    launch = launches.start("plain.yaml")
    after(launch, "done")
    other = Launch(launch.id, "train", "plain.yaml", "elsewhere 1 1000", launch.started, launch.folder)
    with pytest.raises(LaunchError, match="runs on elsewhere"):
        launches.stop(other)


@pytest.mark.parametrize(
    ("address", "decided", "may"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),
        ("192.168.1.2", None, False),
        ("lab.org", None, False),
        (None, None, False),
        ("", None, False),
        ("127.0.0.1", "0", False),
        ("0.0.0.0", "1", True),
    ],
)
def test_only_this_machine_may_start_processes_unless_it_is_said(
    address: str | None, decided: str | None, may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if decided is not None:
        monkeypatch.setenv("DFD_ALLOW_LAUNCHES", decided)
    assert launches.allowed(address) is may
