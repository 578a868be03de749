"""Overview: what is in the store, what is training, which detectors are best, and what this machine is."""

import streamlit as st

from pages.ui import frame, store
from pages.ui import overview as parts


def show() -> None:
    """What the store has; first steps while it has nothing and nothing is on its way."""
    with st.spinner("Reading the store"):
        if not store.readable():
            return
    runs = store.detectors()
    store.follow(store.everything(), store.everything, badge=False)
    working = parts.training_now()
    if runs.empty:
        if not working:
            parts.first_steps()
        return
    parts.numbers(runs)
    parts.best_checkpoints(runs)
    parts.lengths(runs)


frame.title("Overview", "What is in the store, what is training now, and how good the detectors are so far.")
body, foot = st.container(), st.container()
with foot:
    device = parts.surroundings()
with body:
    show()
with device:  # last: torch takes seconds to answer
    parts.device()
