"""Whether a heat map is true: against the mask of a clip whose manipulation is known, and over a whole corpus."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dfd import audit, tracking
from dfd.attribution import Attribution
from dfd.attribution.truth import MaskFigures, against_mask, edge_map
from dfd.glossary import METHODS, TERMS
from dfd.truth_masks import mask_in_crops
from pages.ui import explained
from pages.ui.judging import Tried

LABELS = {
    "pointing": "Pointing game",
    "energy": "Energy in the mask",
    "iou": "Overlap",
    "deletion": "Deletion",
    "insertion": "Insertion",
    "infidelity": "Infidelity",
    "max_sensitivity": "Max-sensitivity",
    "after_random_weights": "Like random weights",
}


def show(found: Attribution, tried: Tried) -> None:
    """The map against what was manipulated, where that is known, and the methods' table over a corpus, if measured."""
    st.subheader("Is it true?", anchor=False, help=TERMS["truth"])
    _against_mask(found, tried)
    _over_a_corpus(tried.run_id, tried.clip.ref.partition(":")[0] or "CORPUS")


def _measured(found: Attribution, tried: Tried) -> tuple[MaskFigures, MaskFigures] | None:
    """Of the map and of the picture's edges; None where what was manipulated is not known."""
    face = tried.verdict.face_clip
    mask = mask_in_crops(face)
    if mask is None:
        return None
    return against_mask(found.maps, mask >= 0.5), against_mask(edge_map(face.crops), mask >= 0.5)


def _against_mask(found: Attribution, tried: Tried) -> None:
    figures = explained.kept(tried, f"truth {explained.known_by(found)}", partial(_measured, found, tried))
    if figures is None:
        st.caption(
            "What was manipulated in this clip, if anything, is not known; of sample fakes and pseudo-fakes it is."
        )
        return
    told, edges = figures
    with st.container(horizontal=True, gap="large"):
        for name in ("pointing", "energy", "iou"):
            _figure(name, told, edges)
    st.caption(
        f"The manipulated part is {told.area:.0%} of the picture: a map that knows nothing comes to that share of the "
        "pointing game and of the energy. Under each figure: how far it is from that of the picture's own edges."
    )


def _figure(name: str, told: MaskFigures, edges: MaskFigures) -> None:
    value, control = getattr(told, name), getattr(edges, name)
    if np.isnan(value):
        return
    change = f"{value - control:+.0%}".replace("%", " points")
    st.metric(LABELS[name], f"{value:.0%}", delta=change, help=TERMS[name], width="content")


def _over_a_corpus(run_id: str, corpus: str) -> None:
    recorded = _recorded(tracking.store_uri())
    own = recorded[recorded["evaluated_run"] == run_id]
    if own.empty:
        st.caption("Which methods are true for this detector, over many clips, is not measured yet:")
        st.code(f"dfd explain --corpus {corpus} --checkpoint {run_id}", language=None, wrap_lines=True)
        return
    on_clips = own[own["corpus"] == corpus]
    newest = (own if on_clips.empty else on_clips).iloc[0]
    asked = recorded.set_index("run_id", drop=False).loc[[newest["run_id"], *_beside(recorded, newest)]]
    found = {name: _table(tracking.store_uri(), audit_id) for audit_id, name in _names(asked).items()}
    _method_by_detector(found)
    where = f"{newest['split']} clips of {newest['corpus']}"
    for name, (table, sentences, effort) in found.items():
        whose = f"{name}: " if len(found) > 1 else ""
        told = f" Each clip: {effort}." if effort else ""
        st.caption(f"{whose}{table['clips'].max()} {where}. " + " · ".join(sentences) + f".{told}")


def _beside(recorded: pd.DataFrame, newest: "pd.Series[Any]") -> list[str]:
    """The audits of other detectors on the same clips that are asked for, of each its newest."""
    same = (recorded["corpus"] == newest["corpus"]) & (recorded["split"] == newest["split"])
    others = recorded[same & (recorded["evaluated_run"] != newest["evaluated_run"])].drop_duplicates("evaluated_run")
    if others.empty:
        return []
    return st.multiselect(
        "Compare with",
        others["run_id"],
        format_func=_names(others).__getitem__,
        placeholder="Other detectors whose maps were put to the test on this data set",
        key="truth_beside",
    )


def _names(audits: pd.DataFrame) -> dict[str, str]:
    """What the detector of each audit is called; two of one name, which may be seeds, are told apart by their runs."""
    twice = audits["detector"].duplicated(keep=False)
    ids = audits["evaluated_run"].str[:6]
    return dict(zip(audits["run_id"], audits["detector"].where(~twice, audits["detector"] + " " + ids), strict=True))


def _method_by_detector(found: dict[str, tuple[pd.DataFrame, list[str], str]]) -> None:
    """One table: the rows of a method stand together, a detector each."""
    table = pd.concat([each[0].assign(detector=name) for name, each in found.items()])
    order = {way: at for at, way in enumerate(table["way"].unique())}
    table = table.sort_values("way", key=lambda ways: ways.map(order), kind="stable", ignore_index=True)
    shown = [name for name in audit.FIGURES if table[name].notna().any()]
    labels = {name: look.label for name, look in METHODS.items()}
    written = table.assign(way=table["way"].map(labels).fillna(table["way"].str.capitalize()))
    for name in shown:
        written[name] = [audit.written(row, name) for row in table.to_dict("records")]
    st.dataframe(
        written,
        hide_index=True,
        column_order=["way", *(["detector"] if len(found) > 1 else []), *shown],
        column_config={"way": "Method", "detector": "Detector"}
        | {name: st.column_config.TextColumn(LABELS[name], help=TERMS[name]) for name in shown},
        alt="Figures of truth of each method, with 95 % intervals, beside a random map and the picture's edges",
    )


@st.cache_data(ttl=10, max_entries=5, show_spinner=False)
def _recorded(store: str) -> pd.DataFrame:
    return tracking.measured(None, audit.KIND)


@st.cache_data(max_entries=20, show_spinner=False)
def _table(store: str, run_id: str) -> tuple[pd.DataFrame, list[str], str]:
    """A finished audit: its table, which methods beat the edges, and what was spent on a clip, in words."""
    called = LABELS | {name: look.label for name, look in METHODS.items()}
    words = audit.beats_edges(tracking.table(run_id, audit.CLIPS), called)
    effort = tracking.params(run_id).get("truth.effort", "")  # not said by audits of an earlier dfd
    return tracking.table(run_id, audit.TABLE), words, effort
