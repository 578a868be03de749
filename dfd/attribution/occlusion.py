"""What covering a place changes: the one method that asks the network and not its gradient.

Source: Zeiler and Fergus 2014.
"""

import torch
from captum.attr import Occlusion
from torch import Tensor

from dfd.attribution.asked import Asked, Found
from dfd.attribution.reading import Judged

WINDOW = 0.25  # side of the window / side of the crop


def occlusion(asked: Asked) -> Found:
    """Score minus the score with the baseline in a window of one frame alone, mean over the windows that cover a pixel.

    A window covers all frames at once in the backbone, which reads each on its own; the head then reads T clips, each
    with one frame covered.
    """
    clip, progress = asked.clip, asked.progress
    view, inputs, features = clip.view, clip.inputs, clip.features
    side = inputs.shape[-1]
    window, stride = max(1, round(WINDOW * side)), max(1, round(asked.stride * side))
    asks = (-(-(side - window) // stride) + 1) ** 2  # windows
    score = view.score_in_parts(features[None])
    done = 0

    def scores(covered: Tensor) -> Tensor:  # (T, 3, H, W) -> (T,): of the clip with only that frame covered
        nonlocal done
        if covered is inputs:  # the library asks for the clip as it is first
            return score.expand(len(features))
        progress(min(1.0, done / asks), f"Occlusion, window {done} of {asks}")
        done += 1
        found = view.features(covered)
        clips = features.repeat(len(features), 1, 1)
        own = torch.arange(len(features))
        clips[own, own] = found
        return view.score_in_parts(clips)

    with torch.no_grad():
        maps = Occlusion(scores).attribute(
            inputs,
            sliding_window_shapes=(3, window, window),
            strides=(3, stride, stride),
            baselines=clip.baseline,
        )
    return Found(maps.sum(dim=1), baseline=clip.baseline_name, clip=Judged(features, score[0]))
