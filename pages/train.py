"""Train: start an experiment file, watch it, stop it, go on with it."""

import streamlit as st

from dfd import launches
from pages.ui import frame, launching, store

frame.title("Train", "Start a training, a sweep or a search from an experiment file, watch it, stop it, go on with it.")
with store.told():
    if launches.allowed(st.get_option("server.address")):
        launching.choose()
    else:
        launching.not_here()
    found = launches.launches()
    if found:
        launching.watch(launching.which(found))
