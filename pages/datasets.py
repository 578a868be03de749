"""Data sets: which clips there are, who is in them, what became of them, and the face clips themselves."""

import streamlit as st

from dfd.corpora import inventory
from pages.ui import clip_view, corpora, corpus_numbers, face_clips, frame, store

frame.title("Data sets", "Which clips are there, who is in them, and what of them can a detector be trained on?")
names = inventory.names()
if not names:
    corpora.empty()
    st.stop()

asked, clip_id = st.query_params.get("corpus"), st.query_params.get("clip")
if asked is None:
    corpora.choose(names)
    st.stop()

above = {} if clip_id is None else {"corpus": asked}
if st.button(f"All of {asked}" if above else "All data sets", icon=":material/arrow_back:", type="tertiary"):
    st.query_params.from_dict(above)
    st.rerun()
with store.told():
    corpus = inventory.corpus(asked)
    clips = corpora.clips(corpus)
if clip_id is not None:
    clip_view.show(corpus, clips, clip_id)
    st.stop()

corpora.head(corpus)
corpus_numbers.counts(corpus, clips)
corpus_numbers.leak_check(corpus, clips)
corpus_numbers.spreads(corpus, clips)
corpus_numbers.not_taken(corpus, clips)
if corpus.faces:
    face_clips.browse(corpus, clips)
