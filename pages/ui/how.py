"""How a clip is explained and its maps are shown: the method's settings, and what is drawn of them."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dfd import attribution, models, overlays
from dfd.attribution import Attribution
from dfd.device import best_device
from dfd.glossary import METHODS, TERMS
from dfd.models.contract import ClipModel

STEPS = (8, 16, 32, 64, 128)
SIDES = {"both": "for and against", "fake": "for fake alone", "real": "for real alone"}
BADGES = {"orange and blue": ("orange", "blue"), "purple and green": ("violet", "green")}


@dataclass(frozen=True, slots=True)
class How:
    """A method and its settings; those that it does not take are at their usual values."""

    method: str
    layer: str = attribution.LAYER
    baseline: str = attribution.BASELINE
    steps: int = attribution.STEPS
    precision: attribution.Precision = "fast"

    def by(self, method: str) -> "How":
        """Another method, with as much of this as it takes."""
        return How(method, **{name: getattr(self, name) for name in attribution.SETTINGS.get(method, ())})


@dataclass(frozen=True, slots=True)
class Look:
    """How maps are drawn."""

    opacity: float
    palette: str
    side: overlays.Side

    def over(self, found: Attribution, crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The maps over their crops: (T, S, S, 3)."""
        return attribution.overlays(found, crops, opacity=self.opacity, palette=self.palette, side=self.side)


def pick(method: str, model: ClipModel) -> tuple[How, Look]:
    """The opacity, the settings in a popover, and the legend, in a row that the caller began."""
    opacity = st.slider("Heat map opacity", 0.0, 1.0, 0.5, 0.05, key="opacity", width=220)
    place = st.container(width="content", vertical_alignment="bottom", height=64, border=False)
    with place, st.popover("Settings", icon=":material/tune:"):
        how = _settings(method, model)
        palette = st.selectbox("Colours", list(overlays.PALETTES), key="palette", bind="query-params")
        sides = list(SIDES) if METHODS[method].signed and palette in BADGES else ["both"]
        side = st.selectbox("Evidence shown", sides, format_func=SIDES.__getitem__, key="side", bind="query-params")
    _legend(method, palette)
    return how, Look(opacity, palette, cast(overlays.Side, side))


def _settings(method: str, model: ClipModel) -> How:
    takes = attribution.SETTINGS.get(method, ())
    how = How(method)
    if "layer" in takes:
        layers = attribution.layers(model)
        usual = layers.index(attribution.LAYER) if attribution.LAYER in layers else len(layers) - 1
        layer = st.selectbox("Layer", layers, index=usual, key="layer", bind="query-params", help=TERMS["layer"])
        how = replace(how, layer=layer)
    if "baseline" in takes:
        names = {name: baseline.label for name, baseline in attribution.BASELINES.items()}
        baseline = st.selectbox(
            "Baseline",
            list(names),
            format_func=names.__getitem__,
            key="baseline",
            bind="query-params",
            help=TERMS["baseline"],
        )
        how = replace(how, baseline=baseline)
    if "steps" in takes:
        steps = st.selectbox(
            "Steps", STEPS, index=STEPS.index(attribution.STEPS), key="steps", bind="query-params", help=TERMS["steps"]
        )
        how = replace(how, steps=steps)
    if "precision" in takes and models.fast_bfloat16(best_device()):
        precision = st.selectbox(
            "Precision",
            attribution.PRECISIONS,
            format_func={"fast": "bfloat16", "float32": "float32"}.__getitem__,
            key="precision",
            bind="query-params",
            help=TERMS["map precision"],
        )
        how = replace(how, precision=precision)
    return how


def _legend(method: str, palette: str) -> None:
    with st.container(
        width="content", horizontal=True, gap="small", vertical_alignment="bottom", height=64, border=False
    ):
        if METHODS[method].signed and palette in BADGES:
            fake, real = BADGES[palette]
            st.badge("speaks for fake", color=fake)
            st.badge("speaks for real", color=real)
        else:
            first = BADGES[palette][0] if palette in BADGES else "yellow"
            st.badge("weighs" if METHODS[method].signed else "looked at", color=first)
