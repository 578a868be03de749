"""Trials that processes share: what each draws, who runs it, and what becomes of it if its process is killed."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd import provenance
from dfd.errors import StoreError
from dfd.space import Range
from dfd.study import Database, Draws, Rules, Study, distribution, once, open_database, size
from tests import postgres

ONE = Rules({"x": distribution(Range(low=0, high=1), whole=False)})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path}/trials.db") as opened:
        yield opened


def test_all_processes_together_draw_what_one_random_sampler_draws(database: Database) -> None:
    space = {
        "b": distribution(Range(low=1e-5, high=1, log=True), whole=False),
        "a": distribution((1, "two", None, 0.5), whole=False),
    }
    alone = optuna.create_study(sampler=optuna.samplers.RandomSampler(7))
    one, other = (Study(database, "s", Rules(space, seed=7), 6) for _ in range(2))
    claims = [study.claim() for study in (one, other, other, one, other, one)]
    sorted_space = dict(sorted(space.items()))
    assert [claim and claim.values for claim in claims] == [alone.ask(sorted_space).params for _ in range(6)]
    assert Draws(dict(reversed(space.items())), 7).at(3) == Draws(space, 7).at(3)


@given(
    low=st.floats(1e-6, 1e3),
    width=st.floats(1e-3, 1e3),
    log=st.booleans(),
    whole=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_draws_lie_in_their_range(low: float, width: float, log: bool, whole: bool, seed: int) -> None:
    if whole:
        low, width = float(int(low) + 1), float(int(width) + 1)
    options = Range(low=low, high=low + width, log=log)
    value = Draws({"x": distribution(options, whole=whole)}, seed).at(1)["x"]
    assert isinstance(value, int if whole else float)
    assert low <= value <= low + width


def test_no_trial_is_drawn_twice_while_there_are_others() -> None:
    space = {
        "a": distribution((True, 1, "1"), whole=False),
        "b": distribution(Range(low=0.1, high=0.4, step=0.1), whole=False),
    }
    draws = Draws(space, 3)
    drawn = [repr(draws.at(place)) for place in range(24)]
    assert size(space) == 12
    assert len(set(drawn[:12])) == 12
    assert drawn[12:] == drawn[:12]
    assert size({**space, "c": distribution(Range(low=1, high=2), whole=False)}) == math.inf
    assert size({"n": distribution(Range(low=3, high=9), whole=True)}) == 7


def test_steps_are_drawn_from_the_lowest_value() -> None:
    draws = Draws({"x": distribution(Range(low=256, high=1024, step=256), whole=True)}, 0)
    assert {draws.at(place)["x"] for place in range(40)} == {256, 512, 768, 1024}


def work(url: str, name: str, budget: int) -> None:
    """Run trials until there are none left, as a process of its own does."""
    with open_database(url) as database:
        study = Study(database, name, ONE, budget)
        while (claim := study.claim()) is not None:
            time.sleep(0.01)
            study.complete(claim, 1.0, {"place": claim.place, "process": provenance.this_process()})


def die_with_a_trial(url: str, name: str, budget: int) -> None:
    """Take a trial, and be killed."""
    with open_database(url) as database:
        assert Study(database, name, ONE, budget).claim() is not None
        os.kill(os.getpid(), signal.SIGKILL)


def side_by_side(count: int, target: Callable[..., None], *arguments: object) -> list[int | None]:
    """Run a function in processes that start together; returns their exit codes."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=target, args=arguments) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new/trials.db"
        return
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with postgres.cluster() as address:
        yield address


def test_processes_share_a_budget_and_no_trial_is_run_twice(url: str) -> None:
    assert side_by_side(2, work, url, "first", 3) == [0, 0]  # they make the tables, all at once
    with open_database(url) as database:
        study = Study(database, "second", ONE, 15)
        claims = [claim for claim in (study.claim() for _ in range(12)) if claim is not None]
        for claim in claims:
            with pytest.raises(KeyboardInterrupt), study.held(claim):
                raise KeyboardInterrupt
        assert side_by_side(2, work, url, "second", 15) == [0, 0]  # 12 that are given out again, and 3 new ones
        done = study.tally().complete
    assert sorted(one.result["place"] for one in done) == list(range(15))
    assert len({one.result["process"] for one in done}) > 1


def test_the_trial_of_a_killed_process_is_given_out_again(tmp_path: Path, database: Database) -> None:
    study = Study(database, "killed", ONE, 3)
    first = study.claim()
    assert first is not None
    study.complete(first, 0.5, None)
    assert side_by_side(1, die_with_a_trial, f"sqlite:///{tmp_path}/trials.db", "killed", 3) == [-signal.SIGKILL]
    claims = [study.claim(), study.claim()]
    assert study.claim() is None
    assert [claim and claim.place for claim in claims] == [1, 2]
    assert [claim and claim.values for claim in claims] == [Draws(ONE.space, 0).at(place) for place in (1, 2)]
    assert study.tally().processes == (provenance.this_process(),) * 2


def test_a_trial_that_breaks_is_given_out_again_and_one_that_fails_is_not(database: Database) -> None:
    study = Study(database, "broken", ONE, 2)
    claim = study.claim()
    assert claim is not None
    with pytest.raises(KeyboardInterrupt), study.held(claim):
        raise KeyboardInterrupt
    again = study.claim()
    assert again is not None
    assert (again.place, again.values) == (0, claim.values)
    study.fail(again, "it diverged")
    last = study.claim()
    assert last is not None
    assert last.place == 1
    study.prune(last)
    assert study.claim() is None
    assert study.tally().counts == {"complete": 0, "pruned": 1, "failed": 1}
    assert study.tally().reasons == ("it diverged",)


def test_a_trial_on_another_host_is_waited_for_until_the_host_is_called_lost(database: Database) -> None:
    study = Study(database, "hosts", ONE, 1)
    claim = study.claim()
    assert claim is not None
    claim.trial.set_user_attr("dfd.process", "far away 12 1700000000")
    assert Study(database, "hosts", ONE, 1).claim() is None
    again = Study(database, "hosts", ONE, 1, lost=["far away"]).claim()
    assert again is not None
    assert (again.place, again.number) == (0, 1)


def test_a_trial_that_nobody_wrote_his_name_on_is_given_out_again(database: Database) -> None:
    """Its process was killed in the moment between taking it and writing that down."""
    Study(database, "unsigned", ONE, 1)
    optuna.load_study(study_name="unsigned", storage=database).ask()
    again = Study(database, "unsigned", ONE, 1, signed_within=0.2).claim()
    assert again is not None
    assert (again.place, again.values) == (0, Draws(ONE.space, 0).at(0))


def test_a_budget_can_grow(database: Database) -> None:
    for budget in (2, 5):
        study = Study(database, "grows", ONE, budget)
        while (claim := study.claim()) is not None:
            study.complete(claim, 1.0, claim.place)
    assert [done.result for done in study.tally().complete] == [0, 1, 2, 3, 4]


def make_once(url: str, folder: str) -> None:
    """Make one file, unless another process does."""

    def make() -> str:
        path = Path(folder) / f"{os.getpid()}.txt"
        time.sleep(0.5)
        path.touch()
        return str(path)

    with open_database(url) as database:
        assert Path(once(database, "thing", make)).is_file()


def test_what_is_needed_once_is_made_by_one_process(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    assert side_by_side(2, make_once, f"sqlite:///{tmp_path}/trials.db", str(tmp_path / "made")) == [0, 0]
    assert len(list((tmp_path / "made").iterdir())) == 1


def test_what_a_killed_process_should_have_made_is_made_by_another(tmp_path: Path, database: Database) -> None:
    assert side_by_side(1, die_with_a_trial, f"sqlite:///{tmp_path}/trials.db", "thing", 1) == [-signal.SIGKILL]
    assert once(database, "thing", lambda: "made") == "made"
    assert once(database, "thing", lambda: "again") == "made"


def test_what_is_worse_than_the_median_is_hopeless_after_the_first_epochs(database: Database) -> None:
    study = Study(database, "pruned", Rules(ONE.space, startup=3, warm_up=1), 9)
    for value in (0.6, 0.7, 0.8):
        claim = study.claim()
        assert claim is not None
        assert not any(study.is_hopeless(claim, value, epoch) for epoch in (1, 2, 3))
        study.complete(claim, value, None)
    bad, good = study.claim(), study.claim()
    assert bad is not None
    assert good is not None
    assert [study.is_hopeless(bad, 0.65, epoch) for epoch in (1, 2)] == [False, True]
    assert [study.is_hopeless(good, 0.75, epoch) for epoch in (1, 2)] == [False, False]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("trials.db", "database \\(no URL\\) cannot be opened"),
        ("mysterious://host/trials", "cannot be opened"),
        ("sqlite:////proc/nowhere/trials.db", "cannot be opened"),
        ("nothing+at+all://me:secret@host/trials", "cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_opened_is_told_without_its_password(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as refused, open_database(url):
        pass
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_store_of_runs_is_no_database_of_trials(store: Path) -> None:
    with (
        pytest.raises(StoreError, match="another program's tables, such as MLflow's"),
        open_database(f"sqlite:///{store}/mlruns/mlflow.db"),
    ):
        pass


def test_optuna_says_nothing_of_its_own(tmp_path: Path) -> None:
    code = (
        "import sys, warnings; warnings.simplefilter('error'); from dfd.study import *\n"
        "with open_database(sys.argv[1]) as database:\n"
        "    study = Study(database, 's', Rules(), 1); study.complete(study.claim(), 1.0, None)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{tmp_path}/trials.db"], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
