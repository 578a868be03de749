"""Experiment files: every shipped one is read; a wrong one is refused by name."""

from pathlib import Path

import pytest

from dfd import published
from dfd.config import read_experiment
from dfd.errors import DfdError, ExperimentError

EXPERIMENTS = sorted((Path(__file__).parent.parent / "experiments").rglob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_shipped_experiments_are_valid(path: Path) -> None:
    experiment = read_experiment(path)
    assert experiment.flat()["model.name"]


def test_extending_changes_only_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("name: base\ndata: {corpora: [a]}\nmodel: {hidden: 7, dropout: 0.1}\n")
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\nname: mine\nmodel: {hidden: 9}\n")
    mine = read_experiment(tmp_path / "mine.yaml")
    assert (mine.name, mine.model.hidden, mine.model.dropout, mine.data.corpora) == ("mine", 9, 0.1, ("a",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\ndata: {corpora: [a], zorp: 1}", "unknown key 'data.zorp'; known here: corpora, frame_order"),
        ("name: x\ndata: {corpora: [a]}\ntrain: {head: {epochs: 0}}", "train.head.epochs.*greater than or equal to 1"),
        ("name: x\ndata: {corpora: [a]}\nmodel: {name: foo}", "unknown model 'foo'"),
        ("name: x\ndata: {corpora: [a]}\nmodel: {dropout: 1.5}", "model.dropout"),
        ("name: x\ndata: {corpora: [a]}\nmodel: {sequence_length: 200}", "more than crop.max_frames, 150"),
        ("name: x\ndata: {corpora: []}", "data.corpora"),
        ("data: {corpora: [a]}", "'name': field required"),
        ("- 1", "YAML mapping"),
        ("name: [x", "not a readable YAML file"),
        ("", "YAML mapping"),
        ("extends: bad.yaml", "extends itself"),
        ("extends: other.yaml", "no experiment file .*other.yaml"),
        ("!!python/object/apply:os.system ['true']", "not a readable YAML file"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ExperimentError, match=said) as refused:
        read_experiment(path)
    assert "\n" not in str(refused.value)


def test_the_nine_published_figures_are_there() -> None:
    frame = published.results()
    assert len(frame) == 9
    assert frame.accuracy.between(0.8, 1).all()
    assert set(frame.sequence_length) == {10, 20, 40, 60, 80, 100}
    assert frame.source.str.len().min() > 10


def test_missing_published_figures_are_told(tmp_path: Path) -> None:
    with pytest.raises(DfdError, match="there is no"):
        published.results(tmp_path / "none.csv")
