"""From a clip to a verdict: read, find the faces, score. The page and the command line both come through here.

Every face that stays in the clip is judged, and the most suspicious one is the clip's verdict: one manipulated person
is enough. Evaluation and training read one face a clip, the longest track, so that figures such as the threshold's
false-positive rate are of one face; with several, a real clip is likelier to be called fake than that rate says.
"""

import copy
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from dfd.checkpoints import Checkpoint
from dfd.device import best_device
from dfd.errors import CheckpointError, VideoError
from dfd.faces import FaceClip, FaceFinder, Search, no_face_message, searches
from dfd.metrics.calibration import calibrated, fits
from dfd.models import autocast, frame_permutation, p_fake, to_input
from dfd.progress import Progress, part, silent

Decision = Literal["real", "fake", "inconclusive", "no face"]
MOST_FACES = 16  # of a clip that are judged, the longest tracks: a crowd must not cost minutes
FRAMES_AT_ONCE = 20  # through the backbone: bounds memory, and how long a judging that is given up goes on


@dataclass(frozen=True, slots=True)
class TrackVerdict:
    """What a detector says of one person's face track."""

    number: int  # 1 is the longest track
    decision: Decision  # "inconclusive": fewer than half of the frames show this face
    p_fake: float | None  # in [0, 1]; None where it is inconclusive
    frame_p_fake: NDArray[np.float32]  # (T,) in the order shown: what is said at each frame, having read those before
    face_clip: FaceClip  # the crops that were scored, or were too few
    missed: NDArray[np.float64]  # (M,) seconds of the frames that were read and do not show this face

    def to_json(self) -> dict[str, Any]:
        """Everything but the pixels, as JSON types."""
        return {
            "track": self.number,
            "decision": self.decision,
            "p_fake": self.p_fake,
            "frames": len(self.face_clip.crops),
            "frame_p_fake": [round(float(value), 6) for value in self.frame_p_fake],
            "times": _seconds(self.face_clip.track.times),
            "missed": _seconds(self.missed),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a detector says of a clip: of its most suspicious face. Without enough of one there is no score at all."""

    clip: str
    checkpoint: str
    decision: Decision
    p_fake: float | None  # in [0, 1]; fake if at or above the threshold
    calibrated: float | None  # p_fake after the checkpoint's temperature, fitted on validation; None without a fit
    frame_p_fake: NDArray[np.float32]  # (T,) in the order shown: what is said at each frame, having read those before
    threshold: float
    threshold_fpr: float | None  # share of real validation clips, of one face each, that the threshold calls fake
    sequence_length: int  # frames the detector was trained to read
    frames_scored: int  # T
    faces: int  # tracks found
    tracks: tuple[TrackVerdict, ...]  # of those that were judged, the longest first
    track: int | None  # the number of the one that counts
    seconds: float
    stages: dict[str, float]  # seconds for "read", "faces" (shared by detectors that judge together) and "score"
    face_clip: FaceClip | None  # the crops that were scored
    message: str  # for people; says what to do where there is no decision
    device: str

    @property
    def judged(self) -> int:
        """How many faces have a score."""
        return sum(track.p_fake is not None for track in self.tracks)

    def to_json(self) -> dict[str, Any]:
        """Everything but the pixels, as JSON types."""
        return {
            "clip": self.clip,
            "checkpoint": self.checkpoint,
            "decision": self.decision,
            "p_fake": self.p_fake,
            "p_fake_calibrated": None if self.calibrated is None else round(self.calibrated, 6),
            "threshold": self.threshold,
            "threshold_fpr": self.threshold_fpr,
            "sequence_length": self.sequence_length,
            "frames_scored": self.frames_scored,
            "faces": self.faces,
            "track": self.track,
            "tracks": [track.to_json() for track in self.tracks],
            "seconds": round(self.seconds, 3),
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "device": self.device,
            "message": self.message,
            "frame_p_fake": [round(float(value), 6) for value in self.frame_p_fake],
            "times": [] if self.face_clip is None else _seconds(self.face_clip.track.times),
        }


def judge_together(path: Path, detectors: Sequence["Detector"], *, progress: Progress = silent) -> list[Verdict]:
    """Judge a clip with several detectors: those of one recipe share its decoding and the search for faces.

    Each gives the verdict that it gives alone, in the order of the detectors.

    Args:
        path: A video file.
        detectors: They may read different numbers of frames.
        progress: Told how far it is, at least each time some frames are read or scored. An exception it raises ends
            the judging there, and leaves nothing running.

    Raises:
        VideoError: the file cannot be read, or is a still picture.
        CheckpointError: the weights of a detector give no number.
    """
    kinds: dict[tuple[str, str], list[int]] = {}  # what decides which crops there are -> places of detectors
    for place, detector in enumerate(detectors):
        recipe = detector.checkpoint.meta.recipe
        kinds.setdefault((recipe.key(), recipe.sampling), []).append(place)
    verdicts: dict[int, Verdict] = {}
    done = 0
    for places in kinds.values():
        share = part(progress, done / len(detectors), (done + len(places)) / len(detectors))
        for place, verdict in zip(places, _alike(path, [detectors[place] for place in places], share), strict=True):
            verdicts[place] = verdict
        done += len(places)
    return [verdicts[place] for place in range(len(detectors))]


def _alike(path: Path, detectors: Sequence["Detector"], progress: Progress) -> list[Verdict]:
    """The verdicts of detectors of one recipe."""
    started = time.perf_counter()
    lengths = [detector.checkpoint.meta.sequence_length for detector in detectors]
    different = sorted(set(lengths))
    found = dict(
        zip(
            different,
            searches(path, detectors[0]._finder, different, most=MOST_FACES, progress=part(progress, 0.0, 0.6)),
            strict=True,
        )
    )
    first = found[lengths[0]]
    if first.info.frames == 1:
        raise VideoError(f"{path} has one frame only, a still picture; give a video clip")
    looked = time.perf_counter() - started
    verdicts = []
    for number, (detector, length) in enumerate(zip(detectors, lengths, strict=True)):
        begin, end = (0.6 + 0.4 * (number + more) / len(detectors) for more in (0, 1))
        seen = found[length]
        stages = {"read": seen.read_seconds, "faces": looked - seen.read_seconds}
        verdicts.append(detector._verdict(path, seen, stages, part(progress, begin, end)))
    progress(1.0, "Done")
    return verdicts


class Detector:
    """A checkpoint ready to judge clips. Sessions may share one: scoring takes turns."""

    def __init__(self, checkpoint: Checkpoint, device: str | None = None) -> None:
        self.checkpoint = checkpoint
        self._device = torch.device(device) if device else best_device()
        on_cpu = self._device.type == "cpu"  # a checkpoint's own model stays where it is: others read it too
        self._model = checkpoint.model if on_cpu else copy.deepcopy(checkpoint.model).to(self._device)
        self._finder = FaceFinder(checkpoint.meta.recipe, str(self._device))
        self._lock = threading.Lock()

    @property
    def device_name(self) -> str:
        """Where the network runs, as shown to people."""
        return device_name(self._device)

    def judge(self, path: Path, *, progress: Progress = silent) -> Verdict:
        """Judge a clip.

        Reads `sequence_length` frames, chosen by the checkpoint's recipe. With several people, each is scored and the
        most suspicious one is the verdict. With less than half of the frames it is "inconclusive".

        Raises:
            VideoError: the file cannot be read, or is a still picture.
            CheckpointError: the weights give no number.
        """
        return judge_together(path, [self], progress=progress)[0]

    def _score(self, face: FaceClip, progress: Progress = silent) -> tuple[float, NDArray[np.float32]]:
        """A face clip's p_fake, and that of each frame in the order shown."""
        meta = self.checkpoint.meta
        order = frame_permutation(len(face.crops), meta.frame_order, meta.seed)
        inputs = to_input(face.crops[order.numpy()], meta.recipe)[None]
        features = []
        for start in range(0, len(face.crops), FRAMES_AT_ONCE):
            progress(start / len(face.crops), "Scoring")
            some = inputs[:, start : start + FRAMES_AT_ONCE]
            with self._lock, torch.inference_mode(), autocast(self._device):
                features.append(self._model.features(some.to(self._device)))
        with self._lock, torch.inference_mode(), autocast(self._device):
            said = self._model.head.logits(torch.cat(features, dim=1))
        frames = said.frames[0].float().cpu()
        score = p_fake(said.clip[0]).item()
        if not np.isfinite(score):
            raise CheckpointError(
                f"checkpoint {self.checkpoint.ref} gives no number for this clip: its weights are damaged; "
                "copy it again or train it anew"
            )
        return score, p_fake(frames)[order.argsort()].numpy()

    def _verdict(self, path: Path, found: Search, stages: dict[str, float], progress: Progress) -> Verdict:
        started = time.perf_counter()
        meta = self.checkpoint.meta
        tracks = tuple(
            self._judged(
                number, face, found, part(progress, (number - 1) / len(found.clips), number / len(found.clips))
            )
            for number, face in enumerate(found.clips, start=1)
        )
        progress(1.0, "Scoring")
        stages = {**stages, "score": time.perf_counter() - started}
        scored = [track for track in tracks if track.p_fake is not None]
        # Without a score the longest track says why there is none.
        counts = max(scored, key=lambda track: track.p_fake or 0.0) if scored else next(iter(tracks), None)
        score = counts.p_fake if counts else None
        return Verdict(
            clip=str(path),
            checkpoint=self.checkpoint.ref,
            decision=counts.decision if counts else "no face",
            p_fake=score,
            calibrated=None if score is None else _tempered(score, meta.temperature),
            frame_p_fake=counts.frame_p_fake if counts else np.empty(0, np.float32),
            threshold=meta.threshold,
            threshold_fpr=meta.threshold_fpr,
            sequence_length=meta.sequence_length,
            frames_scored=len(counts.frame_p_fake) if counts else 0,
            faces=found.faces,
            tracks=tracks,
            track=counts.number if counts else None,
            seconds=sum(stages.values()),
            stages=stages,
            face_clip=counts.face_clip if counts else None,
            message=self._message(path, found, counts, len(scored)),
            device=self.device_name,
        )

    def _judged(self, number: int, face: FaceClip, found: Search, progress: Progress) -> TrackVerdict:
        meta = self.checkpoint.meta
        face = replace(face, recipe=meta.recipe)  # which may differ from that of the look in colours, not in crops
        missed = _missed(found, face, meta.sequence_length)
        if 2 * len(face.crops) < meta.sequence_length:
            return TrackVerdict(number, "inconclusive", None, np.empty(0, np.float32), face, missed)
        score, frames = self._score(face, progress)
        return TrackVerdict(number, "fake" if score >= meta.threshold else "real", score, frames, face, missed)

    def _message(self, path: Path, found: Search, counts: TrackVerdict | None, scored: int) -> str:
        meta = self.checkpoint.meta
        if counts is None:
            return no_face_message(path, found.looked_at)
        shown, score = len(counts.face_clip.crops), counts.p_fake
        if score is None:
            return (
                f"{shown} frames of {path} show the face, fewer than half of the {meta.sequence_length} "
                "that this detector reads; give a longer clip, or choose a detector for shorter sequences"
            )
        side = "at or above" if score >= meta.threshold else "below"
        told = f"p_fake {score:.3f} is {side} the threshold {meta.threshold:.3f}"
        if meta.threshold_fpr is not None:
            told += f", which calls {meta.threshold_fpr:.0%} of the real validation clips fake"
        else:
            told += ", which was not chosen on validation clips"
        if shown < meta.sequence_length:
            told += f"; only {shown} of the {meta.sequence_length} frames it should read show the face"
        if scored > 1:
            told += f"; {found.faces} faces were found and the most suspicious of {scored} counts"
        elif found.faces > 1:
            told += f"; {found.faces} faces were found, and one of them in enough frames to be judged"
        return told


def _missed(found: Search, face: FaceClip, wanted: int) -> NDArray[np.float64]:
    absent = ~np.isin(found.indices, face.track.indices)
    if len(face.crops) >= wanted:  # what comes after the last crop was looked at, not read
        absent &= found.indices < face.track.indices[-1]
    return found.times[absent]


def _tempered(score: float, temperature: float | None) -> float | None:
    """A calibrated p_fake; none where the temperature is an end of the range, which is no fit."""
    if temperature is None or not fits(temperature):
        return None
    return float(calibrated(score, temperature))


def _seconds(times: NDArray[np.float64]) -> list[float]:
    return [round(time, 6) for time in times.tolist()]


def device_name(device: torch.device | None = None) -> str:
    """The device the network runs on, as shown to people: "cpu" or "cuda (NVIDIA ...)"."""
    device = device or best_device()
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
