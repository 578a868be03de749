"""The Overview page: the store in numbers, the best checkpoints, what is training, the machine."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dfd import charts, overview, tracking
from tests.stores import copied
from tests.test_pages import open_page, words


def figures(app: AppTest) -> dict[str, str]:
    return {figure.label: figure.value for figure in app.metric}


def links(app: AppTest, page: str) -> list[str]:
    """The runs that links to a page name."""
    found = [link.proto for link in app.get("page_link") if link.proto.page == page]
    return [re.sub("^run=", "", link.query_string) for link in found if link.query_string]


def test_the_store_is_told_in_numbers(tiny_store: Path) -> None:
    told = figures(open_page("overview"))
    assert (told["Runs"], told["Detectors"], told["Data sets"], told["Searches"]) == ("8", "8", "2", "0")


def test_contents_tell_how_runs_ended(tiny_store: Path) -> None:
    runs = (
        tracking.runs()
        .head(4)
        .assign(
            status=["RUNNING", "FAILED", "KILLED", "FINISHED"], checkpoint=["", "", "", "x"], search=["a", "a", "b", ""]
        )
    )
    found = overview.contents(runs)
    assert (found.runs, found.finished, found.training, found.broken) == (4, 1, 1, 2)
    assert (found.detectors, found.searches) == (1, 2)


def test_the_best_of_each_corpus_is_the_one_that_validation_chose(tiny_store: Path) -> None:
    runs = tracking.runs()
    for one in overview.best(runs, tracking.aliases()):
        assert one.run_id == tracking.run_of(one.ref) == tracking.run_of(f"models:/dfd-detector@best-{one.corpus}")
        rivals = runs[
            (runs["corpus"] == one.corpus) & (runs["kind"] == "detector") & (runs["frame_order"] == "natural")
        ]
        assert tracking.metrics(one.run_id)["val/auc"] == rivals["val/auc"].max()
        assert one.figures["test/auc"] == tracking.metrics(one.run_id)["test/auc"]
    assert [one.corpus for one in overview.best(runs, tracking.aliases())] == ["sample-reenact", "sample-swap"]


def test_a_best_that_is_not_in_the_table_is_left_out(tiny_store: Path) -> None:
    runs = tracking.runs()
    assert overview.best(runs.head(0), tracking.aliases()) == []
    assert overview.best(runs, {}) == []


def test_a_best_checkpoint_links_to_its_run_and_is_taken_to_try_and_attribution(tiny_store: Path) -> None:
    app = open_page("overview")
    best = [one.run_id for one in overview.best(tracking.runs(), tracking.aliases())]
    assert links(app, "runs") == best
    assert "validation" in words(app)
    app.button(key=f"try_clip_{best[1]}").click().run()
    assert not app.exception
    assert app.multiselect(key="detectors").value == [best[1]]
    app.switch_page("pages/overview.py").run()
    app.button(key=f"attribution_{best[0]}").click().run()
    assert not app.exception
    assert app.selectbox(key="detector").value == best[0]


def test_an_aliasless_store_says_that_none_is_registered(
    tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFD_HOME", str(copied(tiny_store, tmp_path / "mine")))
    tracking.client().delete_registered_model(tracking.REGISTERED)
    assert tracking.aliases() == {}
    assert "None is registered yet" in words(open_page("overview"))


def test_a_run_in_training_is_shown_with_its_share(store: Path) -> None:
    with tracking.start_run("swap 10 frames", tags={"dfd.kind": "detector", "dfd.corpus": "swap"}) as run:
        run.params({"model.name": "resnext_lstm", "model.sequence_length": 10, "train.head.epochs": 8})
        run.metrics({"val/loss": 0.6}, step=1)
        run.metrics({"val/loss": 0.5}, step=2)
        (found,) = tracking.training()
        assert (found.run_id, found.epoch, found.epochs, found.share) == (run.run_id, 2, 8, 0.25)
        app = open_page("overview")
        (bar,) = app.get("progress")
        assert (bar.proto.value, bar.proto.text) == (25, "swap 10 frames · epoch 2 of 8")
        assert links(app, "runs") == [run.run_id]
    assert tracking.training() == []


def test_work_without_epochs_is_training_without_a_share(store: Path) -> None:
    with tracking.start_run("heat maps", tags={"dfd.kind": "audit"}):
        (found,) = tracking.training()
        assert (found.epochs, found.share) == (None, 0.0)


def test_machine_store_and_versions_are_told_without_a_password(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("overview")
    text = words(app)
    assert tracking.store_name() in text
    assert "CPU, " in text or "GiB" in text
    for name in ("dfd", "torch", "mlflow", "streamlit"):
        assert re.search(rf"\b{name} \d", text)
    assert f'mlflow ui --backend-store-uri "{tracking.store_uri()}"' in text


def test_the_device_is_told_without_loading_torch_here() -> None:
    program = "import sys; from dfd import overview; print(overview.device()); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == overview.device(), "torch is loaded in this process"


def test_a_store_that_cannot_be_reached_gets_one_sentence_beside_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.db"
    broken.write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{broken}")
    app = open_page("overview")
    (error,) = app.error
    assert "cannot be" in error.value
    assert "\n" not in error.value
    assert "Versions" in words(app)
    assert "CPU, " in words(app) or "GiB" in words(app)


@pytest.mark.parametrize(
    ("uri", "setting", "address", "command"),
    [
        ("sqlite:////data/mlflow.db", None, None, 'mlflow ui --backend-store-uri "sqlite:////data/mlflow.db"'),
        ("postgresql://me:secret@db/runs", None, None, 'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"'),
        ("postgresql://me:secret@db/runs", "http://lab:5000/", "http://lab:5000", None),
        ("https://me:secret@lab.org/mlflow", None, "https://lab.org/mlflow", None),
        ("http://lab:5000", "https://elsewhere", "https://elsewhere", None),
    ],
)
def test_mlflows_own_pages_are_named_without_a_password(
    uri: str, setting: str | None, address: str | None, command: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    if setting is not None:
        monkeypatch.setenv("DFD_MLFLOW_UI", setting)
    assert tracking.ui_address() == address
    assert "secret" not in tracking.ui_command()
    if command is not None:
        assert tracking.ui_command() == command


def test_the_small_chart_has_a_point_for_each_length_however_many_runs() -> None:
    seeds = range(40)
    runs = pd.DataFrame(
        {
            "run_id": [f"{length}-{seed}" for length in (10, 20) for seed in seeds],
            "corpus": "swap",
            "model": "resnext_lstm",
            "backbone": "tiny",
            "head": "LSTM",
            "control": "",
            "sequence_length": [length for length in (10, 20) for _ in seeds],
            "seed": [seed for _ in (10, 20) for seed in seeds],
            "test/accuracy": [0.5 + seed / 100 for _ in (10, 20) for seed in seeds],
            "test/accuracy_low": 0.4,
            "test/accuracy_high": 0.95,
        }
    )
    figure = charts.length_summary(runs, "accuracy", charts.corpus_colours(["swap"]))
    markers = [trace for trace in figure.data if trace.mode == "markers" and trace.customdata is not None]
    assert [list(trace.x) for trace in markers] == [[10, 20]]
    assert list(markers[0].y) == pytest.approx([0.695, 0.695])
    (band,) = [trace for trace in figure.data if trace.fill == "toself"]
    assert (min(band.y), max(band.y)) == (0.4, 0.95)
