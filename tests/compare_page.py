"""The Compare page as a link opens it, without the pages around it."""

from pathlib import Path
from urllib.parse import parse_qs, urlparse

from streamlit.testing.v1 import AppTest

from pages.ui import frame

PAGE = Path(__file__).resolve().parent.parent / "pages" / "compare.py"


def compare(**query: str | list[str]) -> AppTest:
    """The page with what a link says; run once."""
    app = AppTest.from_file(str(PAGE), default_timeout=120)
    app.session_state[frame.INSIDE] = True  # as app.py says before it runs a page
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def link(app: AppTest) -> dict[str, list[str]]:
    """What the page's own link says: the values of each widget, none for an empty choice."""
    address = next(code.value for code in app.code if code.value.startswith(("?", "http")))
    values = parse_qs(urlparse(address).query, keep_blank_values=True)
    return {key: [value for value in told if value] for key, told in values.items()}
