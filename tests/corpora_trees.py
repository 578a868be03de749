"""Miniature trees of the field's corpora, named and listed as the real ones are.

Every function takes the folder to make, and how a clip is made: by default an empty file, which is all that a listing
needs; `moving` writes a small clip with a head in it for what decodes.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dfd.video import write_video
from tests import videos

Make = Callable[[Path], object]

PAIRS: Mapping[str, Sequence[tuple[str, str]]] = {
    "train": (("071", "054"), ("087", "081"), ("469", "481")),
    "val": (("720", "672"),),
    "test": (("953", "974"),),
}
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")


def empty(path: Path) -> None:
    """A clip as far as a listing knows."""
    path.touch()


def moving(path: Path) -> None:
    """A clip of 12 frames with a head that sways, and a corner of its own, so that no two clips are the same."""
    pixels = videos.face_frames(12, 120, 160, size=90)
    pixels[:, :16, :16] = list(zlib.crc32(str(path).encode()).to_bytes(4)[:3])
    write_video(path, pixels, 25)


def cropped(path: Path) -> None:
    """As `moving`, as somebody cut it: a square of nothing but the head."""
    pixels = videos.face_frames(12, 112, 112, size=96)
    pixels[:, :16, :16] = list(zlib.crc32(str(path).encode()).to_bytes(4)[:3])
    write_video(path, pixels, 25)


def put(root: Path, names: Sequence[str], make: Make = empty) -> None:
    """Clips at paths below a root."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        make(root / name)


def write_json(path: Path, facts: Any) -> None:
    """A file of the corpus's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts), encoding="utf-8")


def pair_lists(folder: Path, pairs: Mapping[str, Sequence[tuple[str, str]]] = PAIRS) -> Path:
    """FaceForensics++'s train.json, val.json and test.json."""
    for split, listed in pairs.items():
        write_json(folder / f"{split}.json", [list(pair) for pair in listed])
    return folder


def faceforensics(
    root: Path,
    make: Make = empty,
    *,
    methods: Sequence[str] = METHODS,
    compression: str = "c23",
    actors: bool = False,
    lists: bool = True,
) -> Path:
    """Ten clips of youtube, and both fakes of each of their five pairs, by each method."""
    pairs = [pair for listed in PAIRS.values() for pair in listed]
    names = [f"original_sequences/youtube/{compression}/videos/{one}.mp4" for pair in pairs for one in pair]
    for method in methods:
        below = f"manipulated_sequences/{method}/{compression}/videos"
        names += [f"{below}/{a}_{b}.mp4" for pair in pairs for a, b in (pair, pair[::-1])]
    if actors:
        names += [f"original_sequences/actors/{compression}/videos/{one:02}__kitchen_pan.mp4" for one in range(1, 9)]
        fakes = [f"{one:02}_{one + 1:02}__kitchen_pan__Y{one}GY8LOK.mp4" for one in range(1, 8, 2)]
        names += [f"manipulated_sequences/DeepFakeDetection/{compression}/videos/{fake}" for fake in fakes]
    put(root, names, make)
    if lists:
        pair_lists(root / "splits")
    return root


def real_alone(root: Path, make: Make = empty) -> Path:
    """Real clips by themselves."""
    put(root, ["ann.mp4", "bob.mov"], make)
    return root


def celeb_df(root: Path, make: Make = empty) -> Path:
    """Eight celebrities, each swapped with a neighbour, and six strangers; id0, id1 and stranger 00001 are the test."""
    names = [f"Celeb-real/id{one}_{take:04}.mp4" for one in range(8) for take in range(2)]
    names += [f"Celeb-synthesis/id{one}_id{one ^ 1}_{take:04}.mp4" for one in range(8) for take in range(2)]
    names += [f"YouTube-real/{one:05}.mp4" for one in range(6)]
    put(root, names, make)
    listed = ["1 Celeb-real/id0_0000.mp4", "1 YouTube-real/00001.mp4", "0 Celeb-synthesis/id0_id1_0000.mp4"]
    (root / "List_of_testing_videos.txt").write_text("\n".join(listed) + "\n", encoding="utf-8")
    return root


def dfdc(root: Path, make: Make = empty, *, parts: int = 2, originals: int = 8, fakes: int = 2) -> Path:
    """Parts of the full set: each with its metadata, real clips, and some fakes of each."""
    for part in range(parts):
        folder = root / f"dfdc_train_part_{part}"
        metadata: dict[str, dict[str, str]] = {}
        for one in range(originals):
            real = f"real{part}{one:05}.mp4"
            metadata[real] = {"label": "REAL", "split": "train"}
            for fake in range(fakes):
                metadata[f"fake{part}{one:05}{'abcdefgh'[fake]}.mp4"] = {
                    "label": "FAKE", "split": "train", "original": real,
                }  # fmt: skip
        put(folder, list(metadata), make)
        write_json(folder / "metadata.json", metadata)
    return root


def dfdc_preview(root: Path, make: Make = empty) -> Path:
    """Twelve actors in pairs; each gives a clip and two fakes with the other's face; the last pair is the test."""
    metadata: dict[str, dict[str, Any]] = {}
    for actor in range(1001, 1013):
        other, split = ((actor - 1001) ^ 1) + 1001, "test" if actor > 1010 else "train"
        facts = {"set": split, "target_id": actor, "augmentations": []}
        metadata[f"original_videos/{actor}/{actor}_A_001.mp4"] = {"label": "real", "swapped_id": None, **facts}
        for method in ("method_A", "method_B"):
            fake = f"{method}/{actor}/{actor}_A/{other}_{actor}_A_001.mp4"
            metadata[fake] = {"label": "fake", "swapped_id": other, **facts}
    put(root, list(metadata), make)
    write_json(root / "dataset.json", metadata)
    return root


def face_only(
    root: Path,
    make: Make = empty,
    *,
    words: tuple[str, str] = ("REAL", "FAKE"),
    header: bool = False,
    celebrities: int = 4,
) -> Path:
    """Face videos in three folders, and Gobal_metadata.csv, which names them without their folders."""
    real, fake = words
    rows = [(f"FF_Face/{a}.mp4", real) for pair in PAIRS["train"] for a in pair]
    rows += [(f"FF_Face/{a}_{b}.mp4", fake) for a, b in PAIRS["train"]]
    rows += [(f"Celeb_real_face_only/id{one}_0000.mp4", real) for one in range(celebrities)]
    rows += [(f"Celeb_fake_face_only/id{one}_id{one ^ 1}_0000.mp4", fake) for one in range(celebrities)]
    rows += [("DFDC_FAKE_Face/aagfhgtpmv.mp4", fake), ("DFDC_REAL_Face/abarnvbtwb.mp4", real)]
    put(root, [name for name, _ in rows], make)
    lines = ["file,label"] * header + [f"{name.rpartition('/')[2]},{label}" for name, label in rows]
    (root / "Gobal_metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def folder(root: Path, make: Make = empty, *, people: int = 20) -> Path:
    """Everybody once real and once fake."""
    put(root, [f"{label}/person{one:02}.mp4" for label in ("real", "fake/swap") for one in range(people)], make)
    return root


def csv_list(root: Path, make: Make = empty, *, people: int = 20) -> Path:
    """Everybody once real and once fake, by a table with identities."""
    lines = ["file,label,method,identity,source"]
    for one in range(people):
        lines += [f"clips/{one}a.mp4,real,,p{one},", f"clips/{one}b.mp4,Fake,swap,p{one},p{one ^ 1}"]
    put(root, [line.partition(",")[0] for line in lines[1:]], make)
    (root / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
