"""`dfd corpora`: what the verbs print, and their exit codes."""

import json
from pathlib import Path

import pytest

from dfd.corpora import registry
from dfd.manifest import read_manifest
from tests import corpora_trees as trees
from tests.commands import dfd


def test_add_list_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    root = trees.faceforensics(tmp_path / "FF")
    command = ["corpora", "add", root, "--name", "ff", "--methods", "Deepfakes, FaceSwap", "--json"]
    assert dfd(monkeypatch, *command) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["kind"], told["clips"], told["coverage"]) == ("ff", "faceforensics", 30, 1.0)
    assert told["options"] == {"methods": ["Deepfakes", "FaceSwap"]}

    assert dfd(monkeypatch, "corpora", "list", "--json") == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["ff"]

    assert dfd(monkeypatch, "corpora", "check", "ff", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sound"] is True
    (root / "original_sequences/youtube/c23/videos/071.mp4").unlink()
    assert dfd(monkeypatch, "corpora", "check", "ff", "--json") == 1
    assert json.loads(capsys.readouterr().out)["gone"] == ["original/c23/071"]


def test_a_person_reads_counts_notes_and_what_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = trees.celeb_df(tmp_path / "Celeb-DF-v2")
    (root / "YouTube-real" / "00001.mp4").unlink()
    assert dfd(monkeypatch, "corpora", "add", root) == 0
    shown = capsys.readouterr().out
    for part in ("Celeb-DF-v2: 31 clips", "Celeb-DF v2: 16 of 590", "1 of 38 clips are missing: YouTube-real/00001.mp4",
                 "6 are left out: Celeb-real/id0_0001 ("):  # fmt: skip
        assert part in shown
    assert dfd(monkeypatch, "corpora", "list") == 0
    assert "97.4%" in capsys.readouterr().out
    trees.put(root, ["YouTube-real/00001.mp4"])
    assert dfd(monkeypatch, "corpora", "check", "Celeb-DF-v2") == 1
    shown = capsys.readouterr().out
    assert "1 files are new: YouTube-real/00001" in shown
    assert "not sound, coverage 100.0%" in shown


def test_bad_input_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = trees.celeb_df(tmp_path / "celeb")
    assert dfd(monkeypatch, "corpora", "add", root, "--compression", "c40") == 1
    told = capsys.readouterr().err
    assert told.startswith("dfd: a corpus of kind celeb_df does not take --compression")
    assert told.count("\n") == 1
    assert dfd(monkeypatch, "corpora", "check", "nothing") == 1
    assert "no corpus 'nothing' was added" in capsys.readouterr().err
    assert dfd(monkeypatch, "corpora", "add", root, "--split", "random") == 2
    assert dfd(monkeypatch, "corpora", "add", root, "--fake-label", "2") == 2
    assert registry.registered() == []


def test_an_empty_list_says_how_to_fill_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert dfd(monkeypatch, "corpora", "list") == 0
    assert "`dfd corpora add`" in capsys.readouterr().out
    assert dfd(monkeypatch, "corpora", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_registered_corpus_is_preprocessed_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trees.put(tmp_path / "few", ["real/a.mp4", "fake/a.mp4"], trees.moving)
    assert dfd(monkeypatch, "corpora", "add", tmp_path / "few", "--name", "mine") == 0
    assert dfd(monkeypatch, "preprocess", "mine", "--out", tmp_path / "faces", "--workers", "1", "--json") == 0
    faces = read_manifest(tmp_path / "faces" / "manifest.csv")
    assert {clip.clip_id: clip.frames for clip in faces} == {"real/a.mp4": 12, "fake/a.mp4": 12}
