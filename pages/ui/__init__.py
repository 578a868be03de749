"""Widgets that pages share; with app.py and pages/, streamlit's only home."""
