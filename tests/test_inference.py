"""From a clip to a verdict: the frames read, the face that counts, and never a number without one."""

import dataclasses
import gc
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dfd import frames, inference, video
from dfd.checkpoints import Checkpoint, load
from dfd.errors import CheckpointError, VideoError
from dfd.face_only import load_crops
from dfd.faces import FaceFinder, face_clips
from dfd.inference import Detector, Verdict, device_name, judge_together
from dfd.labels import Label
from dfd.manifest import Clip, Manifest
from dfd.models import frame_permutation, to_input
from dfd.preprocess import preprocess
from dfd.training import score
from dfd.video import write_video
from tests import videos


@pytest.fixture
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load(tiny_checkpoint)


def changed(checkpoint: Checkpoint, **meta: object) -> Checkpoint:
    return dataclasses.replace(checkpoint, meta=checkpoint.meta.model_copy(update=meta))


@pytest.fixture(scope="module")
def swaying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "swaying head.mp4"
    write_video(path, videos.face_frames(12), 30)
    return path


def test_a_verdict_says_what_was_scored_and_how(checkpoint: Checkpoint, swaying: Path) -> None:
    verdict = Detector(checkpoint).judge(swaying)
    assert verdict.p_fake is not None
    assert 0 <= verdict.p_fake <= 1
    assert verdict.decision == ("fake" if verdict.p_fake >= verdict.threshold else "real")
    assert verdict.frames_scored == verdict.sequence_length == len(verdict.frame_p_fake) == 4
    assert verdict.faces == 1
    assert verdict.face_clip is not None
    assert verdict.face_clip.track.indices.tolist() == [0, 1, 2, 3]
    assert set(verdict.stages) == {"read", "faces", "score"}
    assert verdict.seconds == pytest.approx(sum(verdict.stages.values()))
    assert f"threshold {verdict.threshold:.3f}" in verdict.message


def test_the_json_form_is_json(checkpoint: Checkpoint, swaying: Path) -> None:
    verdict = Detector(checkpoint).judge(swaying)
    told = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert told["clip"] == str(swaying)
    assert told["p_fake"] == verdict.p_fake
    assert len(told["frame_p_fake"]) == len(told["times"]) == told["frames_scored"] == 4
    named = {"clip", "decision", "p_fake", "threshold", "sequence_length", "frames_scored", "faces", "seconds"}
    assert named | {"checkpoint", "message", "threshold_fpr"} <= set(told)


@pytest.mark.parametrize("order", ["natural", "shuffled"])
def test_serving_scores_a_clip_as_evaluation_does(
    checkpoint: Checkpoint, swaying: Path, tmp_path: Path, order: str
) -> None:
    """The number on the page is the number in the table, but for the face-only video's compression."""
    meta = checkpoint.meta
    checkpoint = changed(checkpoint, frame_order=order, seed=3)
    verdict = Detector(checkpoint, "cpu").judge(swaying)
    clip = Clip("c", "a", swaying, Label.REAL, "original", "", "a", "", "test", False)
    preprocess(Manifest("c", (clip,)), tmp_path, meta.recipe, workers=1)
    crops = load_crops(next(tmp_path.glob("clips/*.mp4")), meta.sequence_length)
    permutation = frame_permutation(len(crops), checkpoint.meta.frame_order, checkpoint.meta.seed)
    evaluated = score(checkpoint.model, to_input(crops[permutation], meta.recipe)[None], torch.device("cpu"))
    assert verdict.p_fake == pytest.approx(evaluated[0], abs=0.003)


@pytest.mark.usefixtures("float32")
def test_the_clips_score_rests_on_its_frames(checkpoint: Checkpoint, swaying: Path) -> None:
    detector = Detector(checkpoint, "cpu")
    verdict = detector.judge(swaying)
    assert verdict.face_clip is not None
    crops = verdict.face_clip.crops
    with torch.inference_mode():
        logits = checkpoint.model(to_input(crops, checkpoint.meta.recipe)[None])
    assert verdict.p_fake == pytest.approx(logits.softmax(-1)[0, 1].item(), abs=1e-5)


@pytest.mark.usefixtures("float32")
def test_shuffled_frames_are_shown_in_their_own_order(checkpoint: Checkpoint, swaying: Path) -> None:
    shuffled = changed(checkpoint, frame_order="shuffled", seed=1)
    order = frame_permutation(4, "shuffled", 1)
    assert order.tolist() != [0, 1, 2, 3]
    verdict = Detector(shuffled, "cpu").judge(swaying)
    assert verdict.face_clip is not None
    inputs = to_input(verdict.face_clip.crops[order.numpy()], checkpoint.meta.recipe)[None]
    with torch.inference_mode():
        read = checkpoint.model.head.frame_logits(checkpoint.model.features(inputs))[0].softmax(-1)[:, 1].numpy()
    np.testing.assert_allclose(verdict.frame_p_fake[order.numpy()], read, atol=1e-5)


def test_a_clip_without_a_face_has_no_number(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "wall.mp4"
    write_video(path, videos.wall(12, 120, 160), 30)
    verdict = Detector(checkpoint).judge(path)
    assert (verdict.decision, verdict.p_fake, verdict.face_clip) == ("no face", None, None)
    assert (verdict.frames_scored, verdict.faces, len(verdict.frame_p_fake)) == (0, 0, 0)
    assert "no face was found" in verdict.message
    assert str(path) in verdict.message


def test_too_few_frames_with_the_face_are_inconclusive(checkpoint: Checkpoint, swaying: Path) -> None:
    verdict = Detector(changed(checkpoint, sequence_length=25)).judge(swaying)
    assert (verdict.decision, verdict.p_fake, verdict.frames_scored, verdict.faces) == ("inconclusive", None, 0, 1)
    assert "12 frames of" in verdict.message
    assert "fewer than half of the 25" in verdict.message
    assert "longer clip" in verdict.message


def test_between_half_and_all_of_the_frames_are_scored_and_said_so(checkpoint: Checkpoint, swaying: Path) -> None:
    verdict = Detector(changed(checkpoint, sequence_length=20)).judge(swaying)
    assert verdict.decision in ("real", "fake")
    assert verdict.frames_scored == 12
    assert "only 12 of the 20 frames" in verdict.message


def test_a_still_picture_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "still.mp4"
    write_video(path, videos.face_frames(1), 30)
    with pytest.raises(VideoError, match=r"still\.mp4 has one frame only.*give a video clip"):
        Detector(checkpoint).judge(path)


def test_of_two_people_the_most_suspicious_counts(checkpoint: Checkpoint, tmp_path: Path) -> None:
    pixels = videos.wall(8, 160, 320)
    for at in range(8):
        videos.put(pixels, at, 110, (85, 80))
        videos.put(pixels, at, 80, (240, 80), flip=True)
    path = tmp_path / "two.mp4"
    write_video(path, pixels, 30)
    detector = Detector(checkpoint, "cpu")
    verdict = detector.judge(path)
    clips = face_clips(path, FaceFinder(checkpoint.meta.recipe), frames=4)
    scores = [detector._score(clip)[0] for clip in clips]
    assert verdict.faces == len(scores) == 2
    assert verdict.p_fake == pytest.approx(max(scores))
    assert verdict.face_clip is not None
    np.testing.assert_array_equal(verdict.face_clip.crops, clips[int(np.argmax(scores))].crops)
    assert "2 faces were found" in verdict.message


@pytest.mark.parametrize(("threshold", "decision"), [(0.0, "fake"), (1.0, "real")])
def test_fake_is_at_or_above_the_threshold(
    checkpoint: Checkpoint, swaying: Path, threshold: float, decision: str
) -> None:
    detector = Detector(changed(checkpoint, threshold=threshold, threshold_fpr=0.05))
    verdict = detector.judge(swaying)
    assert verdict.decision == decision
    assert "5% of the real validation clips" in verdict.message
    exact = Detector(changed(checkpoint, threshold=verdict.p_fake)).judge(swaying)
    assert exact.decision == "fake"


def test_damaged_weights_give_an_error_and_no_number(tiny_checkpoint: Path, swaying: Path) -> None:
    checkpoint = load(tiny_checkpoint)
    with torch.no_grad():
        checkpoint.model.head.linear.weight.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="weights are damaged"):
        Detector(checkpoint).judge(swaying)


def test_progress_rises_to_one_through_every_stage(checkpoint: Checkpoint, swaying: Path) -> None:
    told: list[tuple[float, str]] = []
    Detector(checkpoint).judge(swaying, progress=lambda fraction, message: told.append((fraction, message)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {"Reading the clip", "Finding faces", "Scoring"} <= {message for _, message in told}


def test_sessions_share_a_detector(checkpoint: Checkpoint, swaying: Path) -> None:
    detector = Detector(checkpoint, "cpu")
    alone = detector.judge(swaying)
    seen: list[Verdict] = []
    threads = [threading.Thread(target=lambda: seen.append(detector.judge(swaying))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [verdict.p_fake for verdict in seen] == pytest.approx([alone.p_fake] * 3)


def two_people(path: Path) -> Path:
    """A large head through the clip, and a smaller one that comes after four frames."""
    pixels = videos.wall(12, 160, 320)
    for at in range(12):
        videos.put(pixels, at, 110, (85, 80))
        if at >= 4:
            videos.put(pixels, at, 80, (240, 80), flip=True)
    write_video(path, pixels, 30)
    return path


def test_each_person_has_a_track_of_their_own(checkpoint: Checkpoint, tmp_path: Path) -> None:
    even = checkpoint.meta.recipe.model_copy(update={"sampling": "even", "detect_every": 1})
    detector = Detector(changed(checkpoint, sequence_length=12, recipe=even, temperature=2.0), "cpu")
    verdict = detector.judge(two_people(tmp_path / "two.mp4"))
    first, second = verdict.tracks
    assert (first.number, second.number) == (1, 2)
    assert (len(first.face_clip.crops), len(second.face_clip.crops)) == (12, 8)
    assert first.missed.tolist() == []
    np.testing.assert_allclose(second.missed, np.arange(4) / 30, atol=0.001)
    counts = max(verdict.tracks, key=lambda track: track.p_fake)
    assert verdict.track == counts.number
    assert (verdict.p_fake, verdict.face_clip) == (counts.p_fake, counts.face_clip)
    odds = verdict.p_fake / (1 - verdict.p_fake)
    assert verdict.calibrated == pytest.approx(odds**0.5 / (1 + odds**0.5), abs=1e-6)
    told = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert [track["p_fake"] for track in told["tracks"]] == [track.p_fake for track in verdict.tracks]
    assert len(told["tracks"][1]["missed"]) == 4
    assert told["frame_p_fake"] == told["tracks"][told["track"] - 1]["frame_p_fake"]
    assert told["p_fake_calibrated"] == pytest.approx(verdict.calibrated, abs=1e-6)


def test_a_person_seen_too_briefly_is_inconclusive_beside_one_who_is_judged(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    pixels = videos.wall(20, 160, 320)
    for at in range(20):
        videos.put(pixels, at, 110, (85, 80))
        if at >= 11:
            videos.put(pixels, at, 80, (240, 80), flip=True)
    write_video(tmp_path / "brief.mp4", pixels, 30)
    recipe = checkpoint.meta.recipe.model_copy(update={"detect_every": 1})
    detector = Detector(changed(checkpoint, sequence_length=20, recipe=recipe), "cpu")
    verdict = detector.judge(tmp_path / "brief.mp4")
    assert [track.decision for track in verdict.tracks][1:] == ["inconclusive"]
    assert verdict.tracks[1].p_fake is None
    assert (verdict.track, verdict.decision) == (1, verdict.tracks[0].decision)
    assert verdict.judged == 1
    assert "2 faces were found, and one of them in enough frames to be judged" in verdict.message


def assert_same(one: Verdict, other: Verdict) -> None:
    """Two verdicts agree, but for the last bits that move with the size of MTCNN's batches."""
    assert (one.decision, one.faces, one.track, one.checkpoint) == (
        other.decision,
        other.faces,
        other.track,
        other.checkpoint,
    )
    assert one.p_fake == pytest.approx(other.p_fake, abs=1e-3)
    for ours, theirs in zip(one.tracks, other.tracks, strict=True):
        assert ours.face_clip.track.indices.tolist() == theirs.face_clip.track.indices.tolist()
        np.testing.assert_allclose(ours.face_clip.track.boxes, theirs.face_clip.track.boxes, atol=0.01)
        np.testing.assert_allclose(ours.missed, theirs.missed)


@pytest.mark.parametrize("sampling", ["consecutive", "even"])
def test_detectors_that_judge_together_say_what_each_says_alone(
    checkpoint: Checkpoint, tmp_path: Path, sampling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = two_people(tmp_path / "two.mp4")
    recipe = checkpoint.meta.recipe.model_copy(update={"sampling": sampling})
    reversed_colours = recipe.model_copy(update={"colour": "bgr"})
    tighter = recipe.model_copy(update={"margin": 1.0})
    detectors = [
        Detector(changed(checkpoint, recipe=recipe), "cpu"),
        Detector(changed(checkpoint, recipe=recipe, sequence_length=11), "cpu"),
        Detector(changed(checkpoint, recipe=reversed_colours, sequence_length=11), "cpu"),
        Detector(changed(checkpoint, recipe=tighter, sequence_length=6), "cpu"),
    ]
    alone = [detector.judge(clip) for detector in detectors]
    opened: list[object] = []
    decode = frames.iter_frames
    monkeypatch.setattr(frames, "iter_frames", lambda *given, **named: opened.append(given) or decode(*given, **named))
    looked: list[int] = []
    detect = FaceFinder.detect
    monkeypatch.setattr(
        FaceFinder, "detect", lambda self, pixels, least=0.0: looked.append(len(pixels)) or detect(self, pixels, least)
    )
    together = judge_together(clip, detectors)
    for one, other in zip(together, alone, strict=True):
        assert_same(one, other)
    assert [verdict.face_clip.recipe for verdict in together] == [each.checkpoint.meta.recipe for each in detectors]
    assert len(opened) == 2, "once for each way of cutting, not once for each detector"
    if sampling == "consecutive":
        assert sum(looked) == 3 + 2, (
            "frames 0, 5, 10 once for three detectors, and 0, 5 for the one that cuts otherwise"
        )


class GivenUp(BaseException):
    """As Streamlit ends a script."""


@pytest.mark.parametrize("held", [True, False])
def test_a_judging_may_be_given_up_at_any_moment_and_leaves_nothing(
    checkpoint: Checkpoint, swaying: Path, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not held:
        monkeypatch.setattr(frames, "HELD_BYTES", 0)
        monkeypatch.setattr(frames, "CHUNK_BYTES", 1)
    detectors = [Detector(checkpoint, "cpu"), Detector(changed(checkpoint, sequence_length=8), "cpu")]
    told: list[float] = []
    whole = judge_together(swaying, detectors, progress=lambda fraction, _: told.append(fraction))
    assert told == sorted(told)
    for moment in range(1, len(told) + 1):
        left = iter(range(moment - 1))

        def give_up(fraction: float, message: str, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise GivenUp

        try:
            judge_together(swaying, detectors, progress=give_up)
        except GivenUp as error:
            assert not [decoder for decoder in decoders() if decoder not in video._idle], f"after {moment} reports"
            del error
        else:
            pytest.fail("it was not given up")
        assert not any(detector._lock.locked() or detector._finder._lock.locked() for detector in detectors)
    again = judge_together(swaying, detectors)
    assert [verdict.p_fake for verdict in again] == pytest.approx([verdict.p_fake for verdict in whole])


def decoders() -> list[object]:
    """The decoding processes that run."""
    return [found for found in gc.get_objects() if type(found) is video._Decoder and found.alive]


def test_judging_leaves_the_clip_and_its_folder_alone(checkpoint: Checkpoint, swaying: Path, tmp_path: Path) -> None:
    clip = Path(shutil.copy(swaying, tmp_path / "mine.mp4"))
    before = clip.read_bytes()
    Detector(checkpoint).judge(clip)
    assert list(tmp_path.glob("*.mp4")) == [clip]
    assert clip.read_bytes() == before


def test_the_device_is_named() -> None:
    assert device_name(torch.device("cpu")) == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_verdict_of_the_cpu(checkpoint: Checkpoint, swaying: Path) -> None:
    on_cpu, on_gpu = Detector(checkpoint, "cpu").judge(swaying), Detector(checkpoint, "cuda").judge(swaying)
    assert on_gpu.device.startswith("cuda (NVIDIA")
    assert on_gpu.p_fake == pytest.approx(on_cpu.p_fake, abs=0.02)
    assert next(checkpoint.model.parameters()).device.type == "cpu"
    assert inference.device_name().startswith("cuda (NVIDIA")
