"""The multi-attentional network: a frame is judged by what several attention maps find in its texture, and as a whole.

Maps A come from a middle layer; texture F from a shallow one, less its local average D, through densely connected
convolutions. Bilinear attention pooling reads F once a map and the last layer once under all maps together; a linear
layer judges both. A clip's logits are the mean of its frames'. Training adds the regional independence loss on what the
maps pool from D, and a second look at the clip, blurred where one map looks. There are no stages within the model: all
of it is trained from the first step, and all of it is evaluated. Source: Zhao et al., CVPR 2021 (arXiv 2103.02406).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize

from dfd.models.attention_augment import blur_attended
from dfd.models.backbones import BackboneName, make_backbone
from dfd.models.contract import Backbone, ClipModel, Criterion
from dfd.models.heads import TemporalHead
from dfd.models.regional_loss import RegionalIndependence

Layer = Literal["stem", "layer1", "layer2", "layer3", "layer4"]
"""A stage of any trunk, from shallow to deep."""


class Attention(BaseModel):
    """Hyperparameters of the network besides its trunk, with the paper's values where it gives them.

    By default texture is of 1/4 of the picture's side and attention of 1/16, as the paper chose on EfficientNet-B4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    maps: int = Field(4, ge=1, description="attention maps")
    layer: Layer = Field("layer3", description="of the trunk, where attention comes from")
    texture_layer: Layer = Field("layer1", description="of the trunk, where texture comes from")
    texture_channels: int = Field(64, ge=1, description="of each texture convolution, and of what the maps pool")
    independence: float = Field(1.0, ge=0, description="weight of the regional independence loss")
    augmented: float = Field(1.0, ge=0, description="weight of the loss on clips blurred where a map looks; 0: none")
    margin_real: float = Field(0.05, ge=0, description="how far a real frame may be from a map's centre")
    margin_fake: float = Field(0.1, ge=0, description="how far a fake frame may be from a map's centre")
    margin_between: float = Field(0.2, ge=0, description="how far apart the centres of two maps should be")
    centre_rate: float = Field(0.05, gt=0, le=1, description="of the centres' update, in the first epoch")
    centre_decay: float = Field(0.9, gt=0, le=1, description="what that rate is multiplied by with each epoch")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        order = get_args(Layer)
        if order.index(self.texture_layer) >= order.index(self.layer):
            raise ValueError(
                f"texture comes from before attention; '{self.texture_layer}' is not before '{self.layer}'"
            )
        return self


AS_PUBLISHED = Attention()


class TextureEnhancement(nn.Module):
    """What a feature map has beyond its local average, through three densely connected convolutions."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_convolution(channels + place * growth, growth, 3) for place in range(3))

    def forward(self, features: Tensor, average: Tensor) -> Tensor:
        """(N, C, H, W) and its local average (N, C, h, w) -> (N, growth, H, W)."""
        found = [features - interpolate(average, size=features.shape[-2:], mode="nearest")]
        for layer in self.layers:
            found.append(layer(torch.cat(found, dim=1)))
        return found[-1]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network finds in N frames."""

    features: Tensor  # (N, F) what the head reads
    maps: Tensor  # (N, M, h, w) not negative
    averages: Tensor  # (N, M, C) what each map pools from the local average of the shallow features


class AttentionPooling(nn.Module):
    """The trunk's last stage: from its deep, shallow and middle layers to a frame's features."""

    def __init__(self, deep: int, shallow: int, middle: int, settings: Attention) -> None:
        super().__init__()
        self.attention = _convolution(middle, settings.maps, 1)
        self.texture = TextureEnhancement(shallow, settings.texture_channels)
        self.averages = shallow
        self.features = settings.maps * settings.texture_channels + deep

    def forward(self, state: tuple[Tensor, ...]) -> Tensor:
        """-> (N, F)."""
        return self.see(state).features

    def see(self, state: tuple[Tensor, ...]) -> Seen:
        """Everything that is found. The state is the deep layer, the shallow one and, if it is another, the middle."""
        deep, shallow = state[:2]
        maps = self.attention(state[-1] if len(state) == 3 else deep)
        average = adaptive_avg_pool2d(shallow, maps.shape[-2:])
        textures = pooled(self.texture(shallow, average), maps)
        whole = pooled(deep, maps.sum(dim=1, keepdim=True))
        # A vector of length 1 has components near 0; a linear layer starts from inputs of about 1.
        parts = [part.flatten(1) * part.shape[-1] ** 0.5 for part in (textures, whole)]
        return Seen(torch.cat(parts, dim=1), maps, pooled(average, maps))


def pooled(features: Tensor, maps: Tensor) -> Tensor:
    """Bilinear attention pooling: features (N, C, H, W) under maps (N, M, h, w) -> (N, M, C), each of length 1.

    The length is taken out (the paper's normalised average) so that neither the strength nor the size of a map counts.
    """
    maps = interpolate(maps, size=features.shape[-2:], mode="bilinear")
    with torch.autocast(features.device.type, enabled=False):  # the margins of the loss are below bfloat16's steps
        return normalize(torch.einsum("nmhw,nchw->nmc", maps.float(), features.float()), dim=2)


class _Beside(nn.Module):
    """A stage of the trunk that hands on, beside its output, what the pooling will ask for."""

    def __init__(self, stage: nn.Module, keeps: bool) -> None:
        super().__init__()
        self.stage = stage
        self.keeps = keeps

    def forward(self, state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        now, *kept = state if isinstance(state, tuple) else (state,)
        return self.stage(now), *kept, *([now] if self.keeps else [])


class AttentiveTrunk(Backbone):
    """A trunk whose pooling is `AttentionPooling`.

    From the stage after the texture layer on, what passes between its stages is a tuple: the stage's own output first.
    """

    pool: AttentionPooling

    def __init__(self, trunk: Backbone, settings: Attention) -> None:
        stages = {name: stage for name, stage in trunk.named_children() if name != "pool"}
        channels = _channels(stages)
        texture, attention = settings.texture_layer, settings.layer
        pool = AttentionPooling(channels["layer4"], channels[texture], channels[attention], settings)
        beside = False
        for before, name in pairwise(stages):
            beside = beside or before == texture
            if beside:
                stages[name] = _Beside(stages[name], keeps=before in (texture, attention))
        stem, layer1, layer2, layer3, layer4 = stages.values()
        super().__init__(stem, (layer1, layer2, layer3, layer4), pool.features, pool)

    def see(self, frames: Tensor) -> Seen:
        """(N, 3, H, W) -> everything that is found in them."""
        frames = frames.contiguous(memory_format=torch.channels_last)
        return self.pool.see(self.layer4(self.layer3(self.layer2(self.layer1(self.stem(frames))))))


class MultiAttention(ClipModel):
    """The network on every frame, the mean of the frames' logits over time.

    Args:
        backbone: a trunk by name, as for `ResNeXtLSTM`.
        weights: what the trunk starts from.
        dropout: chance, before the linear layer.
        attention: see `Attention`.
    """

    backbone: AttentiveTrunk

    def __init__(
        self,
        *,
        backbone: BackboneName = "resnext50_32x4d",
        weights: str = "none",
        dropout: float = 0.4,
        attention: Attention | Mapping[str, Any] = AS_PUBLISHED,
    ) -> None:
        settings = _settings(attention)
        loaded, plain = make_backbone(backbone, weights)
        trunk = AttentiveTrunk(plain, settings)
        super().__init__(loaded, trunk, TemporalHead(trunk.features, 0, 0, dropout, "mean", "none"))
        self.regional = RegionalIndependence(
            settings.maps,
            trunk.pool.averages,
            within=(settings.margin_real, settings.margin_fake),
            between=settings.margin_between,
            rate=settings.centre_rate,
            decay=settings.centre_decay,
        )
        self.independence, self.augmented = settings.independence, settings.augmented
        self.attention_layer = settings.layer

    def attention_maps(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) normalised -> (B, T, M, h, w): where each map looks; it speaks for no side."""
        return self.backbone.see(clips.flatten(0, 1)).maps.unflatten(0, clips.shape[:2])

    def training_loss(self, clips: Tensor, labels: Tensor, criterion: Criterion, epoch: int) -> Tensor:
        """The criterion on the clips and on their blurred copies, and the regional independence loss.

        Args:
            clips: (B, T, 3, H, W) normalised.
            labels: (B,).
            epoch: counted from 1; the centres' rate follows it.
        """
        frames, shape = clips.flatten(0, 1), clips.shape[:2]
        seen = self.backbone.see(frames)
        loss = criterion(self.head(seen.features.unflatten(0, shape)), labels)
        loss = loss + self.independence * self.regional(seen.averages, labels.repeat_interleave(shape[1]), epoch)
        if self.training and self.augmented > 0:
            maps = seen.maps.detach().unflatten(0, shape)
            chosen = torch.randint(maps.shape[2], (len(clips),)).to(clips.device)
            loss = loss + self.augmented * criterion(self(blur_attended(clips, maps, chosen)), labels)
        return loss


def _convolution(inputs: int, outputs: int, size: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def _settings(given: Attention | Mapping[str, Any]) -> Attention:
    try:
        return Attention.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, ('attention', *first['loc'])))}: {first['msg']}") from None


@torch.no_grad()
def _channels(stages: Mapping[str, nn.Module]) -> dict[str, int]:
    """How many channels each stage gives, seen on an empty picture of a crop's size."""
    found, state = {}, torch.zeros(1, 3, 112, 112)
    for name, stage in stages.items():
        state = stage.eval()(state)
        found[name] = state.shape[1]
        stage.train()
    return found
