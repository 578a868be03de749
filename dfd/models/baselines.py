"""The detectors that ResNeXt-LSTM is compared with: frame networks, another CNN-LSTM, Meso, and published files."""

from typing import Literal

from dfd.models.backbones import BackboneName, make_backbone
from dfd.models.contract import ClipModel, Pooling
from dfd.models.heads import MesoHead, PublishedHead, TemporalHead


def frame_cnn(*, backbone: BackboneName = "resnext50_32x4d", weights: str = "none", dropout: float = 0.4) -> ClipModel:
    """A network of single frames, and the mean over them: `resnext_mean` under any trunk's name."""
    loaded, trunk = make_backbone(backbone, weights)
    return ClipModel(loaded, trunk, TemporalHead(trunk.features, 0, 0, dropout, "mean", "none"))


def cnn_lstm(
    *,
    backbone: BackboneName = "inception_v3",
    weights: str = "none",
    hidden: int = 2048,
    layers: int = 1,
    dropout: float = 0.5,
    pooling: Pooling = "last",
    dense: int = 512,
) -> ClipModel:
    """In the manner of Güera & Delp (AVSS 2018): InceptionV3 features, an LSTM, a dense layer of its last output.

    Taken from there: trunk, 2048 LSTM units, 512 dense units, dropout 0.5 after each, the last state. Not taken: whole
    frames (dfd reads faces), the frozen trunk, and what the text leaves open (its dropout *in* the LSTM).
    """
    loaded, trunk = make_backbone(backbone, weights)
    head = TemporalHead(trunk.features, hidden, layers, dropout, pooling, "lstm", dense=dense)
    return ClipModel(loaded, trunk, head)


def meso4(
    *, backbone: BackboneName = "meso4", weights: str = "none", hidden: int = 16, dropout: float = 0.5
) -> ClipModel:
    """Meso-4 (Afchar et al. 2018). It reads faces in a tight box, 256 px, RGB in [0, 1]."""
    loaded, trunk = make_backbone(backbone, weights)
    return ClipModel(loaded, trunk, MesoHead(trunk.features, hidden, dropout))


def mesoinception4(
    *, backbone: BackboneName = "mesoinception4", weights: str = "none", hidden: int = 16, dropout: float = 0.5
) -> ClipModel:
    """MesoInception-4 (Afchar et al. 2018); reads what Meso-4 reads."""
    return meso4(backbone=backbone, weights=weights, hidden=hidden, dropout=dropout)


def resnext_published(
    *,
    backbone: BackboneName = "resnext50_32x4d",
    weights: str = "none",
    hidden: int = 2048,
    dropout: float = 0.4,
    pooling: Literal["last", "mean"] = "last",
) -> ClipModel:
    """The public code's ResNeXt-LSTM as that code really runs it; see `PublishedHead`. `dfd.imports` fills it."""
    loaded, trunk = make_backbone(backbone, weights)
    return ClipModel(loaded, trunk, PublishedHead(trunk.features, hidden, dropout, pooling))
