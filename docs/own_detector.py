"""A detector of one's own, for `dfd evaluate CORPUS --detector docs/own_detector.py`: is the face as sharp as the rest?

What was blended into a frame was resampled once more than what lies around it, which costs it fine detail. That is a
weak trace, and compression wipes it out: an example of how such a file is written, not of how fakes are found.
"""

from pathlib import Path

import numpy as np

from dfd.video import read_frames

NAME = "blurred middle"  # optional, as is THRESHOLD; without one the threshold is chosen on the validation clips


def predict(path: str) -> float | None:
    """p_fake of a clip: the share of its fine detail, for its area, that lies around the middle; None: no verdict."""
    grey = read_frames(Path(path), range(0, 60, 6)).pixels.mean(axis=-1)  # (N, H, W), faces somewhere in the middle
    detail = np.abs(np.diff(grey, axis=1)[:, :, 1:]) + np.abs(np.diff(grey, axis=2)[:, 1:])
    height, width = detail.shape[1:]
    middle = detail[:, height // 4 : -height // 4, width // 4 : -width // 4].mean()
    total = detail.mean() + middle
    return float(detail.mean() / total) if total else None
