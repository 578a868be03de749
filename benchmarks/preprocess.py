"""`dfd preprocess` beside facenet-pytorch's MTCNN as its README uses it, and beside its own limits, in one run.

    python -m benchmarks.preprocess [FOLDER] [--parts peer workers length corpus] [--clips 40] [--repeats 3]

FOLDER holds clips of any label; without it the sample corpus is made. The parts:

- peer: clips a minute of two workers, from the first finished clip to the last, against `MTCNN(keep_all=True).detect`
  on one full-size frame after the other, as facenet-pytorch's face_tracking example calls it, once it is loaded. The
  peer gets every 30th of the same 150 frames and the 17th after each, and its seconds are scaled to all of them; its
  decoding is not counted. It is timed with all threads, as it comes, and with one, times the cores, as it is best used.
  Limits: 10 times the clips of the former; overlap of boxes 0.85 (median), on frames that dfd looks at (the 30ths) and
  on frames that it interpolates; 1 % of the frames in which the peer sees a face without one.
- workers: two workers against one, counted likewise, and as whole commands. Limit 1.7 for the former.
- length: resident memory of all processes on a 720p clip of 30 minutes, beside one of 10 seconds. Limit 1.5 GiB.
- corpus: resident memory of the parent of two workers with 500 clips, beside 50. Limit 1.1 times.

Exit code 1 if a limit is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import psutil
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from benchmarks.timing import timed
from dfd.corpora.sample import SampleSpec, make
from dfd.labels import Label
from dfd.manifest import Clip, Manifest, read_manifest
from dfd.tracks import iou
from dfd.video import probe, read_frames, write_video

FRAMES = 150
MIB = 1 << 20
Boxes = NDArray[np.float32]


@dataclass(slots=True)
class Run:
    """One `dfd preprocess` and what it cost."""

    out: Path
    seconds: float = 0.0
    finished: list[float] = field(default_factory=list)  # when each clip's files were there, in s
    tree: float = 0.0  # MiB resident in all its processes, at most; what they share counts in each
    parent: float = 0.0  # MiB resident in the first process, at most

    @property
    def clips_a_minute(self) -> float:
        """Of the whole command, from its start to its end."""
        return 60 * len(self.finished) / self.seconds

    @property
    def steady(self) -> float:
        """Clips a minute from the first that is finished to the last."""
        return 60 * (len(self.finished) - 1) / (self.finished[-1] - self.finished[0])


@dataclass(slots=True)
class Agreement:
    """How dfd's boxes lie on the peer's, over the frames in which the peer sees a face."""

    looked_at: list[float] = field(default_factory=list)  # intersection over union
    interpolated: list[float] = field(default_factory=list)
    missed: int = 0  # frames without a box of ours that overlaps one of the peer's by 0.3

    def add(self, peer: dict[int, Boxes], facts: dict[str, list[int]] | None) -> None:
        """The frames of one clip; `facts` is the track in its face-only video's `.json`, None where there is none."""
        ours = (
            {}
            if facts is None
            else dict(zip(facts["indices"], zip(facts["boxes"], facts["detected"], strict=True), strict=True))
        )
        for index, boxes in peer.items():
            box, detected = ours.get(index, (None, False))
            overlap = 0.0 if box is None else float(iou(np.array([box], np.float32), boxes).max())
            if overlap < 0.3:
                self.missed += 1
            else:
                (self.looked_at if detected else self.interpolated).append(overlap)


def line(name: str, values: Sequence[float], unit: str) -> str:
    """A row of the table: median, and least to most where there are several."""
    spread = f"  ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{name:<44}{statistics.median(values):9.2f} {unit}{spread}"


def preprocess(corpus: Path, out: Path, workers: int) -> Run:
    """Run the command, with an eye on its memory."""
    command = [sys.executable, "-m", "dfd.cli", "preprocess", str(corpus), "--out", str(out), "--workers", str(workers)]
    run, started = Run(out), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    watcher = threading.Thread(target=watch, args=(psutil.Process(process.pid), run))
    watcher.start()
    said = process.communicate()[1]
    run.seconds = time.perf_counter() - started
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {said}")
    run.finished = sorted(path.stat().st_mtime for path in out.glob("clips/*.json"))
    return run


def watch(process: psutil.Process, run: Run) -> None:
    """Note the most memory that a process and its children hold, until it ends."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            sizes = [part.memory_info().rss / MIB for part in (process, *process.children(recursive=True))]
        except psutil.NoSuchProcess:
            continue  # one that ended meanwhile
        run.parent, run.tree = max(run.parent, sizes[0]), max(run.tree, sum(sizes))
        time.sleep(0.02)


def corpus_of(folder: Path, clips: Sequence[Path]) -> Path:
    """A corpus whose manifest leads to these clips; one may be named several times, and labels do not matter here."""
    rows = [
        Clip("clips", f"{at}-{path.name}", path.resolve(), Label.REAL, "original", "", f"p{at}", "", "train", False)
        for at, path in enumerate(clips)
    ]
    Manifest("clips", tuple(rows)).write(folder / "manifest.csv")
    return folder


def peer(clip: Path, mtcnn: MTCNN, threads: int) -> tuple[tuple[float, float], dict[int, Boxes]]:
    """Seconds for all frames of a clip with so many threads and with one, and the boxes in the frames looked at."""
    frames = min(probe(clip).frames, FRAMES)
    looked = read_frames(clip, [*range(0, frames, 30), *range(17, frames, 30)])
    pictures = [Image.fromarray(pixels) for pixels in looked.pixels]
    seconds, found = [], []
    for count in (threads, 1):
        torch.set_num_threads(count)
        mtcnn.detect(pictures[0])
        seconds.append(timed(lambda: found.append([mtcnn.detect(picture) for picture in pictures])))
    boxes = {
        int(index): np.asarray(boxes, np.float32)[np.asarray(scores) >= 0.9]
        for index, (boxes, scores) in zip(looked.indices, found[0], strict=True)
        if boxes is not None
    }
    scale = frames / len(pictures)
    return (scale * seconds[0], scale * seconds[1]), {index: faces for index, faces in boxes.items() if len(faces)}


def compare_with_peer(clips: Sequence[Path], runs: Sequence[Run]) -> bool:
    """Clips a minute and boxes of facenet-pytorch and of dfd."""
    assert "dfd.faces" not in sys.modules  # it makes facenet-pytorch faster
    mtcnn, threads, cores = MTCNN(keep_all=True), torch.get_num_threads(), os.cpu_count() or 1
    cut = {clip.clip_id: clip.path for clip in read_manifest(runs[0].out / "manifest.csv") if clip.frames}
    seconds, agreement = [], Agreement()
    for at, clip in enumerate(clips):
        taken, boxes = peer(clip, mtcnn, threads)
        seconds.append(taken)
        path = cut.get(f"{at}-{clip.name}")
        agreement.add(boxes, None if path is None else json.loads(path.with_suffix(".json").read_text())["track"])
    as_it_comes, at_best = (60 / statistics.mean(column) for column in zip(*seconds, strict=True))
    rates = [run.steady for run in runs]
    faces = len(agreement.looked_at) + len(agreement.interpolated) + agreement.missed
    overlaps = statistics.median(agreement.looked_at), statistics.median(agreement.interpolated)
    ratio, missed = statistics.median(rates) / as_it_comes, agreement.missed / faces
    print(line("dfd, 2 workers", rates, "clips/min"))
    print(line(f"facenet-pytorch, {threads} threads", [as_it_comes], "clips/min"))
    print(line(f"facenet-pytorch, 1 thread, times {cores} cores", [cores * at_best], "clips/min"))
    print(line("dfd / facenet-pytorch (limit 10)", [ratio], "times"))
    print(line("dfd / facenet-pytorch at its best", [statistics.median(rates) / (cores * at_best)], "times"))
    print(line("overlap where dfd looked (limit 0.85)", [overlaps[0]], f"IoU, median of {len(agreement.looked_at)}"))
    print(line("overlap where it interpolated (0.85)", [overlaps[1]], f"IoU, median of {len(agreement.interpolated)}"))
    print(line("faces missed (limit 1)", [100 * missed], f"% of {faces} frames"), flush=True)
    return ratio >= 10 and min(overlaps) >= 0.85 and missed <= 0.01


def compare_workers(two: Sequence[Run], one: Sequence[Run]) -> bool:
    """Two workers and one."""
    ratios = [both.steady / alone.steady for both, alone in zip(two, one, strict=True)]
    print(line("2 workers, from first clip to last", [run.steady for run in two], "clips/min"))
    print(line("1 worker", [run.steady for run in one], "clips/min"))
    print(line("2 workers / 1 (limit 1.7)", ratios, "times"))
    whole = [both.clips_a_minute / alone.clips_a_minute for both, alone in zip(two, one, strict=True)]
    print(line("2 workers / 1, whole command", whole, "times"), flush=True)
    return statistics.median(ratios) >= 1.7


def compare_lengths(folder: Path) -> bool:
    """A clip of 30 minutes and one of ten seconds."""
    segment = sway(folder / "segment.mp4")
    sizes = []
    for name, seconds in (("10 seconds", 10), ("30 minutes", 1800)):
        place = folder / name
        place.mkdir()
        loop(segment, place / "clip.mp4", seconds // 2)
        run = preprocess(corpus_of(place, [place / "clip.mp4"]), place / "out", 1)
        sizes.append(run.tree)
        print(line(f"all processes, 720p clip of {name}", [run.tree], "MiB"))
    print(line("limit", [1536], "MiB"), flush=True)
    return max(sizes) < 1536


def compare_corpora(folder: Path) -> bool:
    """Five hundred clips and fifty."""
    clip = folder / "clip.mp4"
    portrait = astronaut()
    write_video(clip, np.stack([portrait[:256, 96 + shift : 352 + shift] for shift in range(12)]), 30)
    parents = []
    for count in (50, 500):
        place = folder / str(count)
        place.mkdir()
        run = preprocess(corpus_of(place, [clip] * count), place / "out", 2)
        parents.append(run.parent)
        print(line(f"parent, {count} clips", [run.parent], "MiB"))
    print(line("500 clips / 50 (limit 1.1)", [parents[1] / parents[0]], "times"), flush=True)
    return parents[1] / parents[0] <= 1.1


def sway(path: Path) -> Path:
    """Two seconds of 720p in which a head moves there and back."""
    portrait = np.asarray(Image.fromarray(astronaut()).resize((720, 720)))
    wide = np.pad(portrait, ((0, 0), (340, 340), (0, 0)), mode="reflect")
    places = [round(60 + 60 * np.sin(2 * np.pi * at / 60)) for at in range(60)]
    write_video(path, np.stack([wide[:, place : place + 1280] for place in places]), 30, crf=30)
    return path


def loop(segment: Path, path: Path, times: int) -> None:
    """A clip that shows another one so many times; nothing is encoded again."""
    with av.open(str(segment)) as source, av.open(str(path), "w") as target:
        shown = source.streams.video[0]
        stream, length = target.add_stream_from_template(shown), shown.duration or 0
        packets = [packet for packet in source.demux(shown) if packet.size]
        for turn in range(times):
            for packet in packets:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts = (packet.pts or 0) + turn * length, (packet.dts or 0) + turn * length
                copy.time_base, copy.is_keyframe, copy.stream = packet.time_base, packet.is_keyframe, stream
                target.mux(copy)


def chosen(folder: Path | None, most: int, temporary: Path) -> list[Path]:
    """At most so many clips of a folder, evenly spread, or of the sample corpus."""
    if folder is None:
        made = make(temporary / "sample", SampleSpec(identities=10))
        clips = [clip.path for manifest in made.values() for clip in manifest]
    else:
        clips = sorted(
            path for path in folder.iterdir() if path.suffix in (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg")
        )
    return [clips[at] for at in np.unique(np.linspace(0, len(clips) - 1, most).round().astype(int))]


def main() -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("peer", "workers", "length", "corpus")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    kept = []
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        if {"peer", "workers"} & set(asked.parts):
            clips = chosen(asked.folder, asked.clips, temporary)
            (temporary / "corpus").mkdir()
            corpus = corpus_of(temporary / "corpus", clips)
            runs: dict[int, list[Run]] = {2: [], 1: []}
            for at in range(asked.repeats):  # in turns, so that what else the machine does falls on both
                for workers in (2, 1) if "workers" in asked.parts else (2,):
                    runs[workers].append(preprocess(corpus, temporary / f"{workers}-{at}", workers))
            print(f"{len(clips)} clips, {os.cpu_count()} cores, {asked.repeats} repeats: median (least to most)")
            if "workers" in asked.parts:
                kept.append(compare_workers(runs[2], runs[1]))
            if "peer" in asked.parts:
                kept.append(compare_with_peer(clips, runs[2]))
        for part, compare in (("length", compare_lengths), ("corpus", compare_corpora)):
            if part in asked.parts:
                (temporary / f"{part} part").mkdir()
                kept.append(compare(temporary / f"{part} part"))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
