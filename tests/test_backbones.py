"""Trunks by name: the networks they say they are, in four stages that attribution reads, from the weights they say."""

import logging
import urllib.error
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models as published

from dfd.attribution import explain
from dfd.checkpoints import Checkpoint, CheckpointMeta
from dfd.faces import FaceClip
from dfd.models import build
from dfd.models.backbones import NAMES, known_weights, make_backbone
from dfd.models.frozen import private, split
from dfd.models.meso import Branches
from dfd.recipe import IMAGENET_MEAN, IMAGENET_STD, CropRecipe
from dfd.threads import one_thread
from dfd.tracks import FaceTrack

WIDTHS = {
    "resnext50_32x4d": 2048,
    "resnet18": 512,
    "efficientnet_b4": 1792,
    "inception_v3": 2048,
    "xception": 2048,
    "meso4": 1024,
    "mesoinception4": 1024,
    "tiny": 32,
}
SIZE = 80  # the least that InceptionV3 reads is 75
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _small_and_exact(float32: None) -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module", params=NAMES)
def named(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    """Every trunk, in eval mode, with batch norms that are not the identity; made once, for some are large."""
    torch.manual_seed(0)
    backbone = make_backbone(request.param, "none")[1]
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return request.param, backbone.eval()


@torch.no_grad()
def test_a_trunk_gives_its_features_in_stages_of_growing_stride(named: tuple[str, nn.Module]) -> None:
    name, backbone = named
    assert backbone.features == WIDTHS[name]
    assert [child for child, _ in backbone.named_children()] == ["stem", "layer1", "layer2", "layer3", "layer4", "pool"]
    maps, sides = torch.randn(2, 3, 256, 256), []
    frames = maps
    for stage in backbone.children():
        maps = stage(maps)
        sides.append(maps.shape[-1])
    torch.testing.assert_close(maps.flatten(1), backbone(frames), rtol=1e-3, atol=1e-5 * maps.abs().max().item())
    if not name.startswith(("meso", "tiny")):
        strides = [256 / side for side in sides[:-1]]
        # InceptionV3 pads nowhere, so its maps are somewhat smaller.
        assert np.allclose(np.log2(strides[1:]), [2, 3, 4, 5], atol=0.5), strides


@torch.no_grad()
def test_what_attribution_folds_is_the_same_function(named: tuple[str, nn.Module]) -> None:
    _, backbone = named
    frames = torch.randn(2, 3, SIZE, SIZE)
    expected = backbone(frames)
    entry, rest = split(dict(private(backbone, CPU).named_children()))
    entered = entry(frames)
    before = entered.clone()
    torch.testing.assert_close(rest(entered), expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())
    assert torch.equal(entered, before), "what the caller gave was overwritten"
    torch.testing.assert_close(backbone(frames), expected)


def test_integrated_gradients_and_grad_cam_read_every_trunk(named: tuple[str, nn.Module]) -> None:
    _, backbone = named
    model = build("frame_cnn", backbone="tiny")
    model.backbone = backbone
    model.head.linear = nn.Linear(backbone.features, 2)
    recipe = CropRecipe(size=SIZE)
    crops = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    track = FaceTrack(
        *(np.zeros(shape, np.float32) for shape in ((2, 4), (2, 5, 2), 2)), np.arange(2), np.ones(2, bool)
    )
    meta = CheckpointMeta(name="x", model={}, recipe=recipe, sequence_length=2, threshold=0.5)
    for method in ("gradcam", "integrated_gradients"):
        loaded = Checkpoint(model.eval(), meta, "x")
        found = explain(loaded, FaceClip(crops, track, recipe, "clip.mp4"), method, steps=2, device=CPU)
        assert found.maps.shape == (2, SIZE, SIZE)
        assert np.isfinite(found.maps).all()
        assert np.abs(found.maps).max(axis=(1, 2)).min() > 0


@pytest.mark.parametrize(
    ("name", "layer"),
    [("resnet18", "fc"), ("efficientnet_b4", "classifier"), ("inception_v3", "fc")],
)
@torch.no_grad()
def test_a_trunk_of_torchvision_is_its_network_without_the_last_layer(
    name: str, layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = getattr(published, name)(**({"init_weights": False} if name == "inception_v3" else {})).eval()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: network.state_dict())
    weights, backbone = make_backbone(name, known_weights(name)[0])
    assert weights == known_weights(name)[0] != "none"
    setattr(network, layer, nn.Identity())
    network.transform_input = True  # as torchvision sets it for these weights, which want [-1, 1]
    frames = torch.randn(1, 3, 96, 96)
    expected = network(frames)
    torch.testing.assert_close(backbone.eval()(frames), expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())


def test_inception_reads_pixels_from_minus_one_to_one() -> None:
    scale = make_backbone("inception_v3", "none")[1].stem[0]
    for pixel in (0.0, 1.0):
        crops = (pixel - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
        torch.testing.assert_close(scale(crops[None, :, None, None]), torch.full((1, 3, 1, 1), 2 * pixel - 1))


@pytest.mark.parametrize("name", [name for name in NAMES if len(known_weights(name)) > 1])
def test_weights_that_cannot_be_had_are_told(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with caplog.at_level(logging.WARNING), torch.device("meta"):
        weights, _ = make_backbone(name, known_weights(name)[0])
    assert weights == "none"
    assert f"weights: none. {known_weights(name)[0]} could not be had (<urlopen error no network>)" in caplog.text


def test_the_newest_weights_come_first() -> None:
    assert known_weights("resnext50_32x4d") == ("IMAGENET1K_V2", "IMAGENET1K_V1", "none")
    assert known_weights("xception") == ("none",)


@pytest.mark.parametrize(
    ("name", "weights", "said"),
    [
        ("vgg16", "none", "unknown backbone 'vgg16'; choose one of resnext50_32x4d"),
        ("resnet18", "IMAGENET1K_V2", "unknown weights 'IMAGENET1K_V2' of the backbone 'resnet18'; choose one of"),
        ("xception", "IMAGENET1K_V1", "'xception'; it has no pretrained weights; say none"),
    ],
)
def test_what_a_trunk_does_not_have_is_refused(name: str, weights: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_backbone(name, weights)


def test_meso_has_the_size_of_the_paper() -> None:
    """27,977 and 28,615 weights in the paper's section III, batch norms' running statistics not counted."""
    for name, weights in (("meso4", 27_977), ("mesoinception4", 28_615)):
        assert sum(weight.numel() for weight in build(name).parameters()) == weights


@torch.no_grad()
def test_the_branches_of_mesoinception_reach_one_two_and_three_places() -> None:
    layer = Branches(1, (1, 1, 1, 1)).eval()
    for weight in layer.parameters():
        weight.fill_(1.0 if weight.dim() > 1 else 0.0)
    point = torch.zeros(1, 1, 9, 9)
    point[..., 4, 4] = 1
    for place, reach in enumerate((0, 1, 2, 3)):
        rows = torch.nonzero(layer(point)[0, place])[:, 0] - 4
        assert sorted(set(rows.tolist())) == sorted({-reach, 0, reach})


def test_xception_has_the_size_of_the_paper() -> None:
    """22,855,952 weights with its 1000 classes, as Keras counts them: of the trunk 20,806,952."""
    assert sum(weight.numel() for weight in make_backbone("xception", "none")[1].parameters()) == 20_806_952
