"""The table of all runs that is kept up with: the same as a whole reading, whatever happens between two looks."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfd import tracking
from dfd.tracking import kept, many


def same(kept: pd.DataFrame, whole: pd.DataFrame) -> None:
    """The kept table is the whole reading; runs that started in the same millisecond may stand in another order."""
    assert set(whole.columns) <= set(kept.columns)
    assert kept["started"].is_monotonic_decreasing
    one, other = (table.sort_values("run_id", ignore_index=True)[whole.columns] for table in (kept, whole))
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


def begun(name: str = "one") -> str:
    """A run that is left running."""
    started = tracking.client().create_run(_experiment(), run_name=name, tags={"dfd.kind": "detector"})
    return str(started.info.run_id)


def _experiment() -> str:
    found = tracking.client().get_experiment_by_name(tracking.EXPERIMENT)
    return str(found.experiment_id if found else tracking.client().create_experiment(tracking.EXPERIMENT))


@pytest.mark.parametrize("margin", [-3600.0, 600.0, 1e9])  # none, some and all of the runs are asked for again
def test_an_unchanged_store_gives_the_same_table(
    own_store: Path, monkeypatch: pytest.MonkeyPatch, margin: float
) -> None:
    monkeypatch.setattr(many, "MARGIN", margin)
    first = tracking.current_runs()
    same(first, tracking.runs())
    assert tracking.current_runs() is first


def test_an_empty_store_gets_its_first_run(store: Path) -> None:
    assert tracking.current_runs().empty
    begun()
    same(tracking.current_runs(), tracking.runs())


def test_a_run_is_seen_to_start_to_learn_and_to_end(own_store: Path) -> None:
    before = len(tracking.current_runs())
    with tracking.start_run("swap 10 frames", tags={"dfd.kind": "detector", "dfd.corpus": "swap"}) as run:
        assert len(tracking.current_runs()) == before + 1
        run.metrics({"val/auc": 0.6}, step=1)
        assert tracking.current_runs()["val/auc"].iloc[0] == 0.6
        run.metrics({"test/another": 0.5})
        same(tracking.current_runs(), tracking.runs())
    assert tracking.current_runs()["status"].iloc[0] == "FINISHED"
    same(tracking.current_runs(), tracking.runs())


def test_a_run_that_was_stopped_is_seen_to_go_on(own_store: Path) -> None:
    run_id = begun()
    tracking.client().set_terminated(run_id, "KILLED")
    assert tracking.current_runs()["status"].iloc[0] == "KILLED"
    with tracking.resume_run(run_id):
        assert tracking.current_runs()["status"].iloc[0] == "RUNNING"
    same(tracking.current_runs(), tracking.runs())


def test_a_deleted_run_goes_and_a_restored_one_comes_back(own_store: Path) -> None:
    first = tracking.current_runs()["run_id"].iloc[-1]
    tracking.client().delete_run(first)
    assert first not in set(tracking.current_runs()["run_id"])
    tracking.client().restore_run(first)
    many.reread(100)
    same(tracking.current_runs(), tracking.runs())


def test_a_running_run_that_is_deleted_goes(own_store: Path) -> None:
    run_id = begun()
    tracking.current_runs()
    tracking.client().delete_run(run_id)
    same(tracking.current_runs(), tracking.runs())


def test_what_changes_long_after_the_end_is_seen_once_its_turn_has_come(
    own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "MARGIN", -1.0)  # as if all had ended long ago
    before = tracking.current_runs()
    changed = before["run_id"].iloc[0]
    tracking.client().log_metric(changed, "test/later", 0.25)
    tracking.client().set_tag(changed, "dfd.registered", "77")
    assert "test/later" not in tracking.current_runs()
    for _ in range(len(before) // 2 + 1):
        many.reread(2)
    row = tracking.current_runs().set_index("run_id").loc[changed]
    assert (row["test/later"], row["registered"]) == (0.25, "77")
    same(tracking.current_runs(), tracking.runs())


def test_rounds_begin_again_after_the_last_run(own_store: Path) -> None:
    count = len(tracking.current_runs())
    for _ in range(2 * count):
        many.reread(3)
    same(tracking.current_runs(), tracking.runs())


def test_a_run_that_was_wiped_out_unseen_goes_after_a_round(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tracking.current_runs()
    wiped = table["run_id"].iloc[0]
    tracking.client().delete_run(wiped)
    monkeypatch.setattr(many, "DELETED", 0)  # as `mlflow gc` leaves it: nothing tells that it was deleted
    assert wiped in set(tracking.current_runs()["run_id"])
    for _ in range(2 * len(table)):
        many.reread(1)
    same(tracking.current_runs(), tracking.runs())


def test_runs_are_read_anew_at_a_pace_whoever_looks(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(many.time, "time", lambda: now)
    asked: list[int] = []
    monkeypatch.setattr(many, "search_page", lambda count, token: (asked.append(count), ([], None))[1])
    tracking.current_runs()
    for moment in (1000.1, 1001.0, 1001.0, 1001.1, 2000.0):
        now = moment
        tracking.keep_fresh()
    assert asked == [6, many.AT_ONCE], "six a second, and never very many at once"


def test_a_look_asks_for_few_runs(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking.current_runs()
    monkeypatch.setattr(many, "MARGIN", -1.0)
    read: list[int] = []
    whole = many.search

    def counted(*asked: object, **named: object) -> list[object]:
        found = whole(*asked, **named)  # type: ignore[arg-type]
        read.append(len(found))
        return found

    monkeypatch.setattr(many, "search", counted)
    begun()
    tracking.current_runs()
    assert sum(read) <= 2, "the one that began, as running and as started"


@pytest.fixture
def large(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that counts as a large one."""
    monkeypatch.setattr(kept, "SMALLEST", 2)
    return own_store


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "_stores", {})


def test_a_new_process_goes_on_from_the_table_on_disk(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = begun("meanwhile")
    tracking.current_runs()
    tracking.client().delete_run(tracking.runs()["run_id"].iloc[-1])
    tracking.client().set_terminated(running, "FAILED")
    begun("after")
    another_process(monkeypatch)
    monkeypatch.setattr(many, "runs", lambda: pytest.fail("it reads the store whole"))
    same(tracking.current_runs(), tracking.runs())


def test_a_store_that_took_anothers_place_is_read_anew(
    large: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(tracking.current_runs()) > 2
    another_process(monkeypatch)
    monkeypatch.setattr("dfd.tracking.store._clients", {})
    shutil.copy(empty_database, large / "mlruns" / "mlflow.db")
    begun()
    assert len(tracking.current_runs()) == 1


def test_a_damaged_table_on_disk_costs_only_time(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking.current_runs()
    (file,) = (large / "data" / "cache" / "runs").glob("*.parquet")
    file.write_bytes(b"not a table")
    another_process(monkeypatch)
    same(tracking.current_runs(), tracking.runs())


def test_a_small_store_is_not_written_down(own_store: Path) -> None:
    tracking.current_runs()
    assert not (own_store / "data").exists()


def test_two_stores_are_kept_apart(own_store: Path, tiny_home: Path) -> None:
    begun()
    mine = tracking.current_runs()
    with tracking.another_store(f"sqlite:///{(tiny_home / 'mlruns' / 'mlflow.db').as_posix()}"):
        assert len(tracking.current_runs()) == len(mine) - 1


@given(st.lists(st.sampled_from(["begin", "tell", "end", "fail", "delete", "restore", "look"]), max_size=12))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_the_table_is_as_a_whole_reading(own_store: Path, happenings: list[str]) -> None:
    store, ours = tracking.client(), [begun()]
    tracking.current_runs()
    for place, what in enumerate(happenings):
        run_id = ours[place % len(ours)]
        deleted = {run.info.run_id for run in many.search(deleted=True)}
        if what == "begin":
            ours.append(begun(f"number {place}"))
        elif what == "restore" and run_id in deleted:
            store.restore_run(run_id)
        elif what == "delete" and run_id not in deleted:
            store.delete_run(run_id)
        elif what == "tell" and run_id not in deleted:
            store.log_metric(run_id, f"test/{place % 3}", place)
        elif what in ("end", "fail") and run_id not in deleted:
            store.set_terminated(run_id, "FINISHED" if what == "end" else "FAILED")
        elif what == "look":
            tracking.current_runs()
    same(tracking.current_runs(), tracking.runs())
