"""What others published: complete, sourced, transcribed as printed, and the same in every file that tells it."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dfd import published
from dfd.config import read_experiment
from dfd.errors import DfdError
from dfd.experiments import chosen_clips
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest
from dfd.paths import data_dir
from dfd.splits import divide

FILES = sorted(published.FOLDER.glob("*.yaml"))


def test_the_nine_published_figures_are_there() -> None:
    frame = published.results()
    assert len(frame) == 9
    assert frame["accuracy"].between(0.8, 1).all()
    assert set(frame["sequence_length"]) == {10, 20, 40, 60, 80, 100}
    assert frame["source"].str.len().min() > 10


def test_every_published_figure_has_its_experiment() -> None:
    assert sorted(path.stem for path in FILES) == sorted(published.results()["name"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_says_what_was_published(path: Path) -> None:
    row = published.results().set_index("name").loc[path.stem]
    experiment = read_experiment(path)
    assert experiment.published is not None
    assert experiment.name == path.stem
    assert experiment.published == {"accuracy": pytest.approx(row["accuracy"] * 100), "source": row["source"]}
    assert experiment.model.sequence_length == row["sequence_length"]
    assert experiment.data.videos == row["videos"]
    names = {"FaceForensics++": "faceforensics", "Celeb-DF": "celeb-df", "DFDC": "dfdc"}
    assert experiment.data.corpora == tuple(ours for theirs, ours in names.items() if theirs in row["corpora"])


def test_published_experiments_differ_in_what_was_published_alone() -> None:
    published_facts = {"name": True, "published": True, "data": True, "model": {"sequence_length"}}
    assert len({read_experiment(path).model_dump_json(exclude=published_facts) for path in FILES}) == 1


def clip(corpus: str, clip_id: str, method: str, target: str, source: str = "", **facts: Any) -> Clip:
    return Clip(
        corpus=corpus,
        clip_id=f"{method}/{clip_id}",
        path=Path(f"{clip_id}.mp4"),
        label=Label.REAL if method == "original" else Label.FAKE,
        method=method,
        target_identity=target,
        source_identity=source,
        **{"compression": "", "split": "train", "official_split": False, **facts},
    )


def faceforensics() -> Iterator[Clip]:
    """1000 clips in official pairs, 720, 140 and 140, and four methods of each pair both ways; in two compressions."""
    methods = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
    for compression, number in itertools.product(("c23", "c40"), range(1000)):
        split = "train" if number < 720 else "val" if number < 860 else "test"
        facts = {"compression": compression, "split": split, "official_split": True}
        one, other = f"ff-{number:03d}", f"ff-{number ^ 1:03d}"
        yield clip("faceforensics", f"{compression}/{one}", "original", one, **facts)
        for method in methods:
            yield clip("faceforensics", f"{compression}/{one}_{other}", method, one, other, **facts)


def celeb_df() -> Iterator[Clip]:
    """59 people in 590 clips, 300 strangers, and 5639 fakes of anybody as anybody."""
    draw = random.Random(0)
    for number in range(590):
        yield clip("celeb-df", f"{number}", "original", f"id{number % 59}")
    for number in range(300):
        yield clip("celeb-df", f"youtube-{number}", "original", f"youtube-{number}")
    for number in range(5639):
        target, source = draw.sample(range(59), 2)
        yield clip("celeb-df", f"{number}", "Celeb-synthesis", f"id{target}", f"id{source}")


def dfdc() -> Iterator[Clip]:
    """A tenth of DFDC: fakes of an original, by nobody who is named."""
    for number in range(2400):
        yield clip("dfdc", f"{number}", "original", f"original-{number}")
        for take in range(4):
            yield clip("dfdc", f"{number}-{take}", "dfdc", f"original-{number}")


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("model_95_acc_40_frames_FF_data", {"faceforensics": 2000}),
        ("model_93_acc_100_frames_FF_data", {"faceforensics": 1800, "celeb-df": 1200}),
        ("model_89_acc_40_frames_FF_data", {"faceforensics": 1800, "celeb-df": 1200, "dfdc": 3000}),
    ],
)
def test_corpora_of_the_published_sizes_can_give_the_clips(name: str, sizes: dict[str, int]) -> None:
    """Of FaceForensics++ 2000 clips are all real ones; of Celeb-DF a split by identity leaves half of the fakes."""
    made = {"faceforensics": faceforensics, "celeb-df": celeb_df, "dfdc": dfdc}
    for corpus in sizes:
        divided = divide(Manifest(corpus, tuple(made[corpus]())))
        divided.manifest.write(data_dir() / "faces" / corpus / "manifest.csv")
    chosen = chosen_clips(read_experiment(published.FOLDER / f"{name}.yaml").data).check()
    assert Counter(clip.corpus for clip in chosen) == sizes
    assert {clip.compression for clip in chosen} <= {"c23", ""}
    both = Counter((clip.corpus, clip.split, clip.label) for clip in chosen)
    for corpus, split in itertools.product(sizes, SPLITS):
        assert both[corpus, split, Label.REAL] == both[corpus, split, Label.FAKE] > 50
    methods = Counter(clip.method for clip in chosen if clip.corpus == "faceforensics" and clip.label is Label.FAKE)
    assert max(methods.values()) - min(methods.values()) <= len(SPLITS)


# The README prints each detector's mean within FaceForensics++ and across data sets: a sum to check the copy by.
MEANS = {
    "Meso4": (0.6097, 0.6551),
    "MesoInception": (0.7571, 0.7364),
    "CNN-Aug": (0.8419, 0.7020),
    "Xception": (0.9450, 0.7718),
    "EfficientNet-B4": (0.9389, 0.7718),
    "Capsule": (0.8217, 0.7488),
    "FWA": (0.8549, 0.7239),
    "Face X-ray": (0.9391, 0.6985),
    "FFD": (0.9434, 0.7733),
    "CORE": (0.9431, 0.7694),
    "RECCE": (0.9422, 0.7649),
    "UCF": (0.9527, 0.7801),
    "F3Net": (0.9449, 0.7645),
    "SPSL": (0.9408, 0.7875),
    "SRM": (0.9359, 0.7760),
}


def test_the_benchmarks_figures_come_to_its_printed_means() -> None:
    frame = published.field()
    frame = frame[frame["source"].str.startswith("DeepfakeBench")]
    within = frame["tested_on"].str.startswith("FaceForensics++") & ~frame["tested_on"].str.endswith("FaceShifter")
    found = {
        name: tuple(rows[rows.index.isin(frame.index[chosen])]["value"].mean() for chosen in (within, ~within))
        for name, rows in frame.groupby("detector")
    }
    assert found.keys() == MEANS.keys()
    for name, means in MEANS.items():
        assert found[name] == pytest.approx(means, abs=1.1e-4), name


def test_every_figure_of_the_field_has_its_source_and_level() -> None:
    frame = published.field()
    assert tuple(frame.columns) == published.FIELD_COLUMNS
    assert len(frame["source"].unique()) == 5
    unstated = frame[frame["level"] == ""]
    assert unstated["source"].str.contains("quoting others").all(), "first-hand sources state their level"


def test_what_is_tested_across_data_sets_is_far_from_what_is_tested_within() -> None:
    table = published.auc_within_and_across()
    assert table[["detector", "compression", "level", "source"]].duplicated().sum() == 0
    xception = table[(table["detector"] == "Xception") & (table["level"] == "frame")].iloc[0]
    assert (xception[published.WITHIN], xception["Celeb-DF v2"]) == (0.9637, 0.7365)
    assert table[published.WITHIN].median() > 0.95
    assert table[list(published.ACROSS)].stack().median() < 0.75


def test_reference_series_are_kept_apart() -> None:
    series = published.references()
    assert [len(frame) for frame in series.values()] == [9, 6]
    code = series["the code's README"].set_index("sequence_length")["accuracy"]
    assert code.to_dict() == pytest.approx(
        {10: 0.8421461, 20: 0.8779160, 40: 0.8934681, 60: 0.9059097, 80: 0.9149818, 100: 0.9358794}
    )
    for frame in series.values():
        assert list(frame.columns) == ["name", "accuracy", "sequence_length", "data", "source"]
        assert frame["data"].str.contains("FaceForensics").all()


GOOD = "Net,FaceForensics++,c23,,Celeb-DF v2,frame,auc,0.7,A README"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",FaceForensics++,c23,,Celeb-DF v2,frame,auc,0.7,A README", "line 3 has no detector, data or source"),
        ("Net,FaceForensics++,c23,,Celeb-DF v2,frame,auc,0.7,", "line 3 has no detector, data or source"),
        ("Net,FaceForensics++,c99,,DFDC,frame,auc,0.7,A README", "line 3 has a compression that is not"),
        ("Net,FaceForensics++,c23,,DFDC,clip,auc,0.7,A README", "line 3 has a level that is not frame or video"),
        ("Net,FaceForensics++,c23,,DFDC,frame,eer,0.7,A README", "line 3 has a metric that is not auc or accuracy"),
        ("Net,FaceForensics++,c23,ten,DFDC,frame,auc,0.7,A README", "line 3 has a sequence_length that is no number"),
        ("Net,FaceForensics++,c23,,DFDC,frame,auc,70,A README", r"line 3 has a value that is not in \[0, 1\]"),
        ("Net,FaceForensics++,c23,,DFDC,frame,auc,high,A README", r"line 3 has a value that is not in \[0, 1\]"),
        (GOOD.replace("0.7", "0.8"), "line 3 repeats another"),
        ("a,b,c,d,e,f,g,h,i,j,k", "is not a CSV file"),
    ],
)
def test_a_wrong_row_of_the_field_is_refused_by_its_line(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "field.csv"
    path.write_text("\n".join([",".join(published.FIELD_COLUMNS), GOOD, row]) + "\n", encoding="utf-8")
    with pytest.raises(DfdError, match=said):
        published.field(path)


def test_missing_published_figures_are_told(tmp_path: Path) -> None:
    with pytest.raises(DfdError, match="there is no"):
        published.results(tmp_path / "none.csv")
    pd.DataFrame({"name": ["x"]}).to_csv(tmp_path / "thin.csv", index=False)
    with pytest.raises(DfdError, match="lacks the column 'detector'"):
        published.field(tmp_path / "thin.csv")
