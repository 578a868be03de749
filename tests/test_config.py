"""Experiment files: every shipped one is read; a wrong one is refused by name."""

from pathlib import Path

import pytest

from dfd.config import read_experiment
from dfd.errors import ExperimentError

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
        ("name: x\ndata: {corpora: [a], videos: 7}", "'data.videos': input should be a multiple of 2 .it is 7"),
        ("name: x\ndata: {corpora: [a], videos: 0}", "'data.videos': .*greater than or equal to 2"),
        ("name: x\ndata: {corpora: [a], methods: []}", "'data.methods'"),
        ("name: x\ndata: {corpora: [a], compression: ''}", "'data.compression'"),
        ("name: x\ndata: {corpora: [a], split: mine}", "'data.split': input should be 'official' or 'any'"),
        ("name: x\ndata: {corpora: [a], balance: x}", "'data.balance': input should be 'weights', 'sampler' or 'none'"),
        ("name: x\ndata: {corpora: [a], shares: {a: 1}}", "'data': shares are parts of 'videos'"),
        ("name: x\ndata: {corpora: [a, b], videos: 4, shares: {a: 1}}", "'data': shares must name each .* 'b' is"),
        ("name: x\ndata: {corpora: [a], videos: 4, shares: {a: 0.5, b: 0.5}}", "'b' is in one of them only"),
        ("name: x\ndata: {corpora: [a, b], videos: 4, shares: {a: 0.5, b: 0.4}}", "sum to 1, they sum to 0.9"),
        ("name: x\ndata: {corpora: [a, b], videos: 4}\nsweep: {sequence_lengths: [10]}", "name one corpus a sweep"),
        ("name: x\ndata: {corpora: [a]}\ntrain: {head: {epochs: 0}}", "train.head.epochs.*greater than or equal to 1"),
        ("name: x\ndata: {corpora: [a]}\nmodel: {name: foo}", "unknown model 'foo'"),
        ("name: x\ndata: {corpora: [a]}\nmodel: {dropout: 1.5}", "model.dropout"),
        ("name: x\ndata: {corpora: [a]}\nmodel: {sequence_length: 200}", "more than crop.max_frames, 150"),
        ("name: x\ndata: {corpora: []}", "data.corpora"),
        ("name: x\ndata: {corpora: a}", "'data.corpora': input should be a list .it is 'a'"),
        ("name: x\ndata: {corpora: [a]}\ncrop: {std: [0, 0, 0]}", "'crop.std.0': .*greater than 0"),
        ("name: x\ndata: {corpora: [a]}\ntrain: {head: {learning_rate: .inf}}", "learning_rate': .*finite number"),
        ("name: x\nseed: -1\ndata: {corpora: [a]}", "'seed': .*greater than or equal to 0"),
        ("name: x\nseed: 9223372036854775808\ndata: {corpora: [a]}", "'seed': .*less than"),
        ("name: x\ndata: {corpora: [a]}\nsweep: {sequence_lengths: [4, 0]}", "sequence_lengths.1': .*greater than"),
        ("name: x\ndata: {corpora: [a]}\nsweep: {sequence_lengths: [4, 4]}", "4 stands there twice"),
        ("name: x\ndata: {corpora: [a]}\nsweep: {sequence_lengths: [4], seeds: [1, 1]}", "1 stands there twice"),
        ("name: x\ndata: {corpora: [a]}\nsweep: {sequence_lengths: [4], mean_pool: [200]}", "length 200 is more than"),
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


def test_the_clips_of_an_experiment_are_chosen_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\npublished: {accuracy: 95.22, source: a table}\n"
        "data: {corpora: [faceforensics], compression: c23, videos: 2000, split: official}\n"
    )
    mine = read_experiment(tmp_path / "mine.yaml")
    assert (mine.data.compression, mine.data.videos, mine.data.split) == ("c23", 2000, "official")
    assert mine.published == {"accuracy": 95.22, "source": "a table"}
    assert mine.flat()["data.videos"] == "2000"


def test_by_default_every_clip_is_read_and_classes_are_weighed(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("name: old\ndata: {corpora: [a, b], frame_order: shuffled}\n")
    data = read_experiment(tmp_path / "old.yaml").data
    assert (data.compression, data.methods, data.videos, data.shares) == (None, None, None, None)
    assert (data.split, data.balance) == ("any", "weights")
