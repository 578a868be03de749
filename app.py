"""The dashboard: pages and their order; everything else is in pages/ and dfd/."""

import streamlit as st

from pages.ui import frame

RINGS = """<circle cx="13" cy="16" r="10" fill="none" stroke="#2A7DBF" stroke-width="3"/>
<circle cx="23" cy="16" r="10" fill="none" stroke="#D55E00" stroke-width="3"/>"""
MARK = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 32" width="36" height="32">{RINGS}</svg>'
LOGO = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 92 32" width="92" height="32">{RINGS}
<text x="43" y="23" font-family="Helvetica, Arial, sans-serif" font-size="22" font-weight="700"
 fill="#7B8794">dfd</text></svg>"""

st.set_page_config(page_title="dfd", page_icon=MARK, layout="wide", initial_sidebar_state="auto")
st.logo(LOGO, icon_image=LOGO, size="large")

overview = st.Page("pages/overview.py", title="Overview", icon=":material/space_dashboard:", default=True)
compare = st.Page("pages/compare.py", title="Compare", icon=":material/show_chart:")
try_clip = st.Page("pages/try_clip.py", title="Try a clip", icon=":material/movie:")
attribution = st.Page("pages/attribution.py", title="Attribution", icon=":material/blur_on:")
datasets = st.Page("pages/datasets.py", title="Data sets", icon=":material/database:")
runs = st.Page("pages/runs.py", title="Runs", icon=":material/table_rows:")
train = st.Page("pages/train.py", title="Train", icon=":material/play_circle:")

page = st.navigation([overview, compare, try_clip, attribution, datasets, runs, train], position="top")
frame.settle()
frame.arrive([compare, try_clip, attribution, datasets, runs, train])
with st.container(horizontal_alignment="center"), st.container(width=1240):
    if page in (try_clip, attribution):
        frame.wake("pages.ui.judging")
    if page == train:
        frame.wake("dfd.launches")
    page.run()
