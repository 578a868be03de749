"""From a clip to a verdict: read, find the face, score. The page and the command line both come through here."""

import copy
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from dfd.checkpoints import Checkpoint
from dfd.errors import CheckpointError, VideoError
from dfd.faces import FaceClip, FaceFinder, Search, no_face_message, search
from dfd.models import autocast, best_device, frame_permutation, p_fake, to_input
from dfd.progress import Progress, part, silent

Decision = Literal["real", "fake", "inconclusive", "no face"]
MOST_FACES = 4  # of a clip that are scored, the longest tracks first


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a detector says of a clip. Without a face, or with too few frames of it, there is no score at all."""

    clip: str
    checkpoint: str
    decision: Decision
    p_fake: float | None  # in [0, 1]; fake if at or above the threshold
    frame_p_fake: NDArray[np.float32]  # (T,) in the order shown: what is said at each frame, having read those before
    threshold: float
    threshold_fpr: float | None  # share of real validation clips that the threshold calls fake
    sequence_length: int  # frames the detector was trained to read
    frames_scored: int  # T
    faces: int  # tracks found
    seconds: float
    stages: dict[str, float]  # seconds for "read", "faces" and "score"
    face_clip: FaceClip | None  # the crops that were scored
    message: str  # for people; says what to do where there is no decision
    device: str

    def to_json(self) -> dict[str, Any]:
        """Everything but the pixels, as JSON types."""
        times = [] if self.face_clip is None else self.face_clip.track.times.tolist()
        return {
            "clip": self.clip,
            "checkpoint": self.checkpoint,
            "decision": self.decision,
            "p_fake": self.p_fake,
            "threshold": self.threshold,
            "threshold_fpr": self.threshold_fpr,
            "sequence_length": self.sequence_length,
            "frames_scored": self.frames_scored,
            "faces": self.faces,
            "seconds": round(self.seconds, 3),
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "device": self.device,
            "message": self.message,
            "frame_p_fake": [round(float(value), 6) for value in self.frame_p_fake],
            "times": [round(time, 6) for time in times],
        }


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
        started = time.perf_counter()
        meta = self.checkpoint.meta
        found = search(path, self._finder, frames=meta.sequence_length, progress=part(progress, 0.0, 0.6))
        if found.info.frames == 1:
            raise VideoError(f"{path} has one frame only, a still picture; give a video clip")
        looked = time.perf_counter()
        enough = [face for face in found.clips[:MOST_FACES] if 2 * len(face.crops) >= meta.sequence_length]
        progress(0.6, "Scoring")
        scores = []
        for number, face in enumerate(enough, start=1):
            scores.append(self._score(face))
            progress(0.6 + 0.4 * number / len(enough), "Scoring")
        progress(1.0, "Done")
        done = time.perf_counter()
        stages = {
            "read": found.read_seconds,
            "faces": looked - started - found.read_seconds,
            "score": done - looked,
        }
        return self._verdict(path, found, enough, scores, stages)

    def _score(self, face: FaceClip) -> tuple[float, NDArray[np.float32]]:
        """A face clip's p_fake, and that of each frame in the order shown."""
        meta = self.checkpoint.meta
        order = frame_permutation(len(face.crops), meta.frame_order, meta.seed)
        inputs = to_input(face.crops[order.numpy()], meta.recipe)[None]
        with self._lock, torch.inference_mode(), autocast(self._device):
            said = self._model.head.logits(self._model.features(inputs.to(self._device)))
        frames = said.frames[0].float().cpu()
        score = p_fake(said.clip[0]).item()
        if not np.isfinite(score):
            raise CheckpointError(
                f"checkpoint {self.checkpoint.ref} gives no number for this clip: its weights are damaged; "
                "copy it again or train it anew"
            )
        return score, p_fake(frames)[order.argsort()].numpy()

    def _verdict(
        self,
        path: Path,
        found: Search,
        enough: list[FaceClip],
        scores: list[tuple[float, NDArray[np.float32]]],
        stages: dict[str, float],
    ) -> Verdict:
        meta = self.checkpoint.meta
        score: float | None = None
        frames = np.empty(0, np.float32)
        face = found.clips[0] if found.clips else None
        decision: Decision = "inconclusive" if found.clips else "no face"
        if enough:
            most = max(range(len(scores)), key=lambda place: scores[place][0])
            (score, frames), face = scores[most], enough[most]
            decision = "fake" if score >= meta.threshold else "real"
        return Verdict(
            clip=str(path),
            checkpoint=self.checkpoint.ref,
            decision=decision,
            p_fake=score,
            frame_p_fake=frames,
            threshold=meta.threshold,
            threshold_fpr=meta.threshold_fpr,
            sequence_length=meta.sequence_length,
            frames_scored=len(frames),
            faces=len(found.clips),
            seconds=sum(stages.values()),
            stages=stages,
            face_clip=face,
            message=self._message(path, found, face, score, len(enough)),
            device=self.device_name,
        )

    def _message(self, path: Path, found: Search, face: FaceClip | None, score: float | None, scored: int) -> str:
        meta = self.checkpoint.meta
        if face is None:
            return no_face_message(path, found.looked_at)
        if score is None:
            return (
                f"{len(face.crops)} frames of {path} show the face, fewer than half of the {meta.sequence_length} "
                "that this detector reads; give a longer clip, or choose a detector for shorter sequences"
            )
        side = "at or above" if score >= meta.threshold else "below"
        told = f"p_fake {score:.3f} is {side} the threshold {meta.threshold:.3f}"
        if meta.threshold_fpr is not None:
            told += f", which calls {meta.threshold_fpr:.0%} of the real validation clips fake"
        else:
            told += ", which was not chosen on validation clips"
        if len(face.crops) < meta.sequence_length:
            told += f"; only {len(face.crops)} of the {meta.sequence_length} frames it should read show the face"
        if scored > 1:
            told += f"; {len(found.clips)} faces were found and the most suspicious of {scored} counts"
        return told


def device_name(device: torch.device | None = None) -> str:
    """The device the network runs on, as shown to people: "cpu" or "cuda (NVIDIA ...)"."""
    device = device or best_device()
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
