"""The registry on the Runs page: versions, aliases, promotion; and the model card and MLflow's page of a run."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dfd import tracking
from tests.test_pages import a_detector, open_page, words


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def asked(run_id: str, alias: str) -> AppTest:
    """A run's page, an alias written into its question."""
    app = open_page("runs", run=run_id)
    app.text_input(key=f"alias_{run_id}").set_value(alias).run()
    assert not app.exception
    return app


def test_every_version_is_listed_with_its_aliases(own_store: Path) -> None:
    version = tracking.set_alias(a_detector(), "champion")
    app = open_page("runs")
    section = next(group for group in app.get("button_group") if "Registered" in group.options)
    section.set_value("Registered").run()
    assert not app.exception
    table = app.dataframe[0].value.set_index("version")
    assert list(table.index) == sorted(tracking.versions()["version"], reverse=True)
    assert "champion" in table.loc[version, "aliases"]
    listed = {alias for names in table["aliases"] for alias in names}
    assert listed == set(tracking.aliases())


def test_a_checkpoint_is_promoted_after_a_question(own_store: Path) -> None:
    run_id = a_detector()
    app = asked(run_id, "champion")
    assert "models:/dfd-detector@champion" in words(app)
    assert "points at nothing yet" in words(app)
    assert "champion" not in tracking.aliases(), "asked first"
    press(app, "Promote it")
    assert tracking.run_of("models:/dfd-detector@champion") == run_id
    (told,) = app.success
    assert told.value == f"`models:/dfd-detector@champion` is version {tracking.aliases()['champion']} now."


def test_a_promotion_that_moves_an_alias_says_from_where(own_store: Path) -> None:
    others = [run for run in tracking.runs()["run_id"] if run != a_detector()]
    version = tracking.set_alias(others[0], "champion")
    app = asked(a_detector(), "champion")
    assert f"It points at version {version} now" in words(app)


@pytest.mark.parametrize(("alias", "said"), [("best", "follows the validation figures"), ("a b", "is no alias")])
def test_an_alias_that_cannot_be_is_refused_in_a_sentence(own_store: Path, alias: str, said: str) -> None:
    app = press(asked(a_detector(), alias), "Promote it")
    (error,) = app.error
    assert said in error.value


def test_a_run_shows_its_model_card_and_the_way_to_mlflow(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = a_detector()
    app = open_page("runs", run=run_id)
    (card,) = [expander for expander in app.expander if expander.label == "Model card"]
    text = "\n".join(part.value for part in card.markdown)
    assert "\n## " not in text, "below the page's own headings"
    assert "#### Intended use" in text
    assert run_id in text
    assert tracking.ui_command() in words(app)
    monkeypatch.setenv("DFD_MLFLOW_UI", "http://lab:5000")
    app.run()
    assert not app.exception
    (link,) = app.get("link_button")
    assert link.proto.url == tracking.ui_of_run(run_id)
    assert link.proto.url.endswith(f"/runs/{run_id}")
