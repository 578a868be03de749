"""An attribution to take away: a strip of every frame, a video, the numbers."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dfd import overlays as pictures
from dfd.attribution.regions import REGIONS, region_shares, regions
from dfd.attribution.result import Attribution, facts_of
from dfd.attribution.timeline import Timeline
from dfd.faces import FaceClip
from dfd.paths import atomic_file
from dfd.video import write_video

COLUMNS = 10  # of a strip
LARGE = 336  # px of a video's side, about; small crops are enlarged
STRIP, VIDEO, ARRAYS = "strip.png", "overlay.mp4", "maps.npz"


def everything(found: Attribution, told: Timeline, face_clip: FaceClip) -> dict[str, Any]:
    """All that was found but the maps, as JSON types: facts, the verdict along time, and the parts of the face."""
    parts = regions(face_clip)
    shares = None if parts is None else region_shares(found.maps, parts)
    return {
        **facts_of(found, face_clip),
        "over_time": told.over_time,
        "over_time_baseline_score": told.baseline_score,
        "importance": told.weights.tolist(),
        "without_frame": [None if np.isnan(value) else value for value in told.without.tolist()],
        "p_fake_after": told.p_fake_after.tolist(),
        "p_fake_shuffled": told.p_fake_shuffled.tolist(),
        "order_effect": told.order_effect,
        "regions": None
        if shares is None
        else {
            name: {"share": share, "area": area, "balance": balance}
            for name, share, area, balance in zip(
                REGIONS, shares.share.tolist(), shares.area.tolist(), shares.balance.tolist(), strict=True
            )
        },
    }


def strip_png(frames: NDArray[np.uint8]) -> bytes:
    """Pictures (T, H, W, 3), ten a row, as one PNG."""
    file = io.BytesIO()
    Image.fromarray(pictures.strip(frames, COLUMNS)).save(file, "PNG")
    return file.getvalue()


def video_mp4(frames: NDArray[np.uint8], times: NDArray[np.float64]) -> bytes:
    """Pictures (T, H, W, 3) at their clip's speed, T times at (T,) seconds, as H.264 that browsers play."""
    steps = np.diff(times)
    rate = 1 / float(np.median(steps)) if len(steps) and np.median(steps) > 0 else 1.0
    factor = max(1, round(LARGE / frames.shape[1]))
    size = (frames.shape[2] * factor, frames.shape[1] * factor)
    large = np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in frames])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / VIDEO
        write_video(path, large, min(rate, 60.0))
        return path.read_bytes()


def arrays_npz(found: Attribution, told: Timeline, face_clip: FaceClip) -> bytes:
    """The maps (T, H, W), the crops and the numbers along time as NumPy arrays, and `facts`, a JSON string."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        maps=found.maps,
        crops=face_clip.crops,
        times=found.times,
        importance=told.weights,
        without_frame=told.without,
        p_fake_after=told.p_fake_after,
        p_fake_shuffled=told.p_fake_shuffled,
        facts=np.array(json.dumps(everything(found, told, face_clip))),
    )
    return file.getvalue()


def write_extras(found: Attribution, told: Timeline, face_clip: FaceClip, out: Path) -> list[Path]:
    """Write `strip.png`, `overlay.mp4` and `maps.npz` into an existing folder; return their paths."""
    frames = pictures.blend(found.maps, face_clip.crops)
    contents = {
        STRIP: strip_png(frames),
        VIDEO: video_mp4(frames, found.times),
        ARRAYS: arrays_npz(found, told, face_clip),
    }
    for name, content in contents.items():
        with atomic_file(out / name) as part:
            part.write_bytes(content)
    return [out / name for name in contents]
