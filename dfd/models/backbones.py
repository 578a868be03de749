"""Trunks by name, with the published weights they may start from."""

import logging
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torchvision.models import (
    EfficientNet,
    EfficientNet_B4_Weights,
    Inception3,
    Inception_V3_Weights,
    ResNet,
    ResNet18_Weights,
    ResNeXt50_32X4D_Weights,
    efficientnet_b4,
    inception_v3,
    resnet18,
    resnext50_32x4d,
)

from dfd.models import meso
from dfd.models.contract import Backbone
from dfd.models.xception import xception
from dfd.recipe import IMAGENET_MEAN, IMAGENET_STD

log = logging.getLogger(__name__)

BackboneName = Literal[
    "resnext50_32x4d", "resnet18", "efficientnet_b4", "inception_v3", "xception", "meso4", "mesoinception4", "tiny"
]
NAMES: tuple[BackboneName, ...] = get_args(BackboneName)


@dataclass(frozen=True, slots=True)
class _Published:
    """A network of torchvision: how it is made, where its trunk is, and its weights."""

    make: Callable[[], Any]
    trunk: Callable[[Any], Backbone]
    weights: Any  # an enumeration of torchvision's


def make_backbone(name: str, weights: str) -> tuple[str, Backbone]:
    """A trunk, and the weights it really starts from: "none" too if their download failed, which is logged.

    Raises:
        ValueError: unknown name, or weights that this trunk does not have.
    """
    check_weights(name, weights)
    if name in _WRITTEN_HERE:
        return "none", _WRITTEN_HERE[name]()
    published = _PUBLISHED[name]
    network = published.make()
    return _load(network, published.weights, weights), published.trunk(network)


def check_weights(name: str, weights: str) -> None:
    """Refuse an unknown trunk, and weights that a trunk does not have.

    Raises:
        ValueError: saying what there is.
    """
    if name not in NAMES:
        raise ValueError(f"unknown backbone '{name}'; choose one of {', '.join(NAMES)}")
    known = known_weights(name)
    if weights not in known:
        have = f"choose one of {', '.join(known)}" if len(known) > 1 else "it has no pretrained weights; say none"
        raise ValueError(f"unknown weights '{weights}' of the backbone '{name}'; {have}")


def known_weights(name: str) -> tuple[str, ...]:
    """What a trunk may start from: the newest weights first, "none" last."""
    if name not in _PUBLISHED:
        return ("none",)
    return (*reversed([entry.name for entry in _PUBLISHED[name].weights]), "none")


def _load(network: nn.Module, published: Any, weights: str) -> str:
    """Load torchvision's published weights; return what was loaded, "none" if the download failed (and say so)."""
    if weights == "none":
        return "none"
    try:
        network.load_state_dict(published[weights].get_state_dict(progress=False, check_hash=True))
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        # RuntimeError: torch.hub found another hash than the published one, a broken download.
        log.warning("weights: none. %s could not be had (%s); the backbone starts from random numbers", weights, error)
        return "none"
    return weights


def resnet_trunk(network: ResNet) -> Backbone:
    """A ResNet's or ResNeXt's own four layers."""
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    layers = (network.layer1, network.layer2, network.layer3, network.layer4)
    return Backbone(stem, layers, features=network.fc.in_features)


def _efficientnet_trunk(network: EfficientNet) -> Backbone:
    stages = network.features
    layers = (stages[2], stages[3], stages[4:6], stages[6:])  # strides 4, 8, 16 and 32
    return Backbone(nn.Sequential(*stages[0], stages[1]), layers, features=network.classifier[-1].in_features)


def _inception_trunk(network: Inception3) -> Backbone:
    stem = nn.Sequential(
        _TensorFlowScale(), network.Conv2d_1a_3x3, network.Conv2d_2a_3x3, network.Conv2d_2b_3x3
    )  # stride 2; the layers have 4, 8, 16 and 32
    layer1 = nn.Sequential(network.maxpool1, network.Conv2d_3b_1x1, network.Conv2d_4a_3x3)
    layer2 = nn.Sequential(network.maxpool2, network.Mixed_5b, network.Mixed_5c, network.Mixed_5d)
    middle = (network.Mixed_6a, network.Mixed_6b, network.Mixed_6c, network.Mixed_6d, network.Mixed_6e)
    last = (network.Mixed_7a, network.Mixed_7b, network.Mixed_7c)
    return Backbone(stem, (layer1, layer2, nn.Sequential(*middle), nn.Sequential(*last)), network.fc.in_features)


class _TensorFlowScale(nn.Module):
    """From ImageNet's normalisation, which recipes have, to [-1, 1], which InceptionV3's published weights want."""

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) in and out."""
        mean = frames.new_tensor(IMAGENET_MEAN)[:, None, None]
        std = frames.new_tensor(IMAGENET_STD)[:, None, None]
        return (frames * std + mean - 0.5) / 0.5


def _tiny() -> Backbone:
    def stage(inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

    stem = nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    return Backbone(stem, (stage(8, 8, 1), stage(8, 16, 2), stage(16, 32, 2), stage(32, 32, 1)), features=32)


_PUBLISHED = {
    "resnext50_32x4d": _Published(resnext50_32x4d, resnet_trunk, ResNeXt50_32X4D_Weights),
    "resnet18": _Published(resnet18, resnet_trunk, ResNet18_Weights),
    "efficientnet_b4": _Published(efficientnet_b4, _efficientnet_trunk, EfficientNet_B4_Weights),
    "inception_v3": _Published(lambda: inception_v3(init_weights=False), _inception_trunk, Inception_V3_Weights),
}
_WRITTEN_HERE: dict[str, Callable[[], Backbone]] = {
    "xception": xception,
    "meso4": meso.meso4,
    "mesoinception4": meso.mesoinception4,
    "tiny": _tiny,
}
