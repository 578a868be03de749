"""ResNeXt-50 + LSTM, as the paper means it, and the mean-pooling control that shares everything but the LSTM.

A clip's frames go one by one through the backbone (2048 numbers a frame after adaptive average pooling); the head reads
them in order. Per frame: LSTM -> LeakyReLU; over time: mean or last; then dropout 0.4 -> linear to the two logits.
Source: Rathee et al. / Jadhav et al., IJSRD 8(1) 2020, sections III.C to III.E. Where the public code differs from the
text (recurrence over the batch axis, dropout on the logits, LeakyReLU never called) this follows the text.
"""

from dfd.models.backbones import BackboneName, make_backbone
from dfd.models.contract import ClipModel, Pooling
from dfd.models.heads import Temporal, TemporalHead


class ResNeXtLSTM(ClipModel):
    """Backbone on every frame, head over time.

    Args:
        backbone: "resnext50_32x4d", or another trunk of `dfd.models.backbones`; "tiny", of 32 features, is for tests.
        weights: "IMAGENET1K_V2" (downloaded by torchvision once) or "none".
        hidden: LSTM units (2048 as published); ignored without an LSTM.
        layers: LSTM layers (1 as published).
        dropout: chance, before the linear layer.
        pooling: "mean" over the LSTM's outputs, its "last", or a learnt "attention" over them.
        temporal: "lstm", "gru", or "none" for the control that pools the features themselves.
        bidirectional: the recurrent layer reads the frames both ways.
    """

    def __init__(
        self,
        *,
        backbone: BackboneName = "resnext50_32x4d",
        weights: str = "none",
        hidden: int = 2048,
        layers: int = 1,
        dropout: float = 0.4,
        pooling: Pooling = "mean",
        temporal: Temporal = "lstm",
        bidirectional: bool = False,
    ) -> None:
        loaded, trunk = make_backbone(backbone, weights)
        head = TemporalHead(trunk.features, hidden, layers, dropout, pooling, temporal, bidirectional=bidirectional)
        super().__init__(loaded, trunk, head)


def resnext_mean(
    *,
    backbone: BackboneName = "resnext50_32x4d",
    weights: str = "none",
    hidden: int = 2048,
    layers: int = 1,
    dropout: float = 0.4,
    pooling: Pooling = "mean",
) -> ResNeXtLSTM:
    """The control: features pooled as they are. `hidden` and `layers` are taken, and ignored, to stand in for it."""
    return ResNeXtLSTM(
        backbone=backbone,
        weights=weights,
        hidden=hidden,
        layers=layers,
        dropout=dropout,
        pooling=pooling,
        temporal="none",
    )
