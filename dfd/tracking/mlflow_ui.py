"""MLflow's own pages, for what dfd does not show: their address where it is known, else the command that serves them.

An MLflow server is its own page. Beside a database its address is known only where `DFD_MLFLOW_UI` names it.
"""

import os
from urllib.parse import urlsplit, urlunsplit

from dfd.tracking.store import get_run, store_name, store_uri

SETTING = "DFD_MLFLOW_UI"


def ui_address() -> str | None:
    """Where MLflow's own pages are, None where nobody said; without the name and password that an address may hold."""
    address = os.environ.get(SETTING) or store_uri()
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def ui_of_run(run_id: str) -> str | None:
    """MLflow's page of a run, None where the address is not known.

    Raises:
        StoreError: the store has no such run.
    """
    address = ui_address()
    return None if address is None else f"{address}/#/experiments/{get_run(run_id).info.experiment_id}/runs/{run_id}"


def ui_command() -> str:
    """The command that serves MLflow's own pages of this store; a password in its address stays in the environment."""
    uri = store_uri()
    shown = f'"{uri}"' if uri == store_name() else '"$MLFLOW_TRACKING_URI"'
    return f"mlflow ui --backend-store-uri {shown}"
