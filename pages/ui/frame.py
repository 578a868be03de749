"""What every page begins with; and the way in where a link to a page is the first thing a new server is asked for."""

import base64
import gc
import importlib
import io
import sys
from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

# While no session of a server has run app.py, Streamlit takes pages/ for its older kind of app and runs the page that
# a link names alone, without app.py (streamlit issue 9624). Such a page goes to app.py, which sends it back.
INSIDE, ASKED = "inside_app", "asked_for"
BARE = {"displayModeBar": False}  # a chart without its bar of tools
THUMB = 92  # px of a picture's side in a strip
MANY = 100  # modules that came since the last look, from which on it is worth one
_settled = 0  # modules that had been imported at the last look


def arrive(pages: Sequence[st.Page]) -> None:
    """Called by app.py before it runs a page: go on to the page that was asked for before app.py ran."""
    st.session_state[INSIDE] = True
    if ASKED in st.session_state:
        name, query = st.session_state.pop(ASKED)
        for page in pages:
            if page.url_path == name:
                st.switch_page(page, query_params=query)


def settle() -> None:
    """Spare Python's collector what was imported for good, where much was imported since the last time.

    Streamlit has all objects looked through after every drawing, and waits for it; torch, MLflow and Plotly are nearly
    all of them, and never go.
    """
    global _settled
    if len(sys.modules) >= _settled + MANY:
        _settled = len(sys.modules)
        gc.freeze()


def wake(module: str) -> None:
    """Import what takes seconds the first time (torch), and say so meanwhile."""
    with st.spinner("Waking the detectors"):
        importlib.import_module(module)
    settle()


def title(heading: str, lead: str) -> None:
    """The head of a page: its name, and in a sentence what it is for."""
    if INSIDE not in st.session_state:
        query = {key: st.query_params.get_all(key) for key in st.query_params}  # a list's every value
        st.session_state[ASKED] = ((st.context.url or "").rstrip("/").rpartition("/")[2], query)
        st.switch_page("app.py")
    st.title(heading, anchor=False)
    st.markdown(f":gray[{lead}]")
    st.space("small")


def ink() -> str | None:
    """The colour of text in the theme the browser shows."""
    return st.get_option(f"theme.{st.context.theme.type or 'light'}.textColor")


def hint(text: str, icon: str) -> None:
    """What to do next, where there is nothing to show yet."""
    with st.container(border=True, height=180, horizontal_alignment="center", vertical_alignment="center"):
        st.markdown(f":gray[:material/{icon}: {text}]", text_alignment="center")


def strip(pictures: NDArray[np.uint8], times: NDArray[np.float64], what: str) -> None:
    """Every frame's picture with its time; long clips scroll."""
    st.html("<style>[data-testid=stImage] {column-gap: 0.4rem} [data-testid=stImageContainer] {gap: 0.1rem}</style>")
    with st.container(height=340 if len(pictures) > 36 else "content", border=False):
        st.image(
            [_thumb(picture) for picture in pictures],
            width=THUMB,
            caption=[f"{time:.2f} s" for time in times],
            alt=[f"{what} at {time:.2f} s" for time in times],
        )


def _thumb(picture: NDArray[np.uint8]) -> str:
    """A JPEG as small as it is shown (Streamlit would encode it large, and again small), as an address that holds it.

    Sixty files would be asked for one by one, whenever the strip changes.
    """
    file = io.BytesIO()
    Image.fromarray(picture).resize((THUMB, THUMB), Image.Resampling.BILINEAR).save(file, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
