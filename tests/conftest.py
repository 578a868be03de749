"""Fixtures that many tests share: a clean environment, a small real store of runs, a checkpoint, a clip with a face."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dfd import checkpoints, models, tracking
from dfd.config import Experiment
from dfd.data import Table, feature_table
from dfd.experiments import backbone, head
from dfd.labels import Label
from dfd.manifest import Clip, Manifest
from dfd.models import build
from dfd.recipe import CropRecipe
from dfd.sweep import members
from dfd.video import write_video
from tests.stores import copied

CORPORA = ("sample-swap", "sample-reenact")
TINY_MODEL = {"name": "resnext_lstm", "backbone": "tiny", "weights": "none", "hidden": 8}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the developer's own store or data."""
    for name in list(os.environ):
        if name.startswith("MLFLOW_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DFD_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _same_main_module() -> Iterator[None]:
    """AppTest leaves the page it ran as `__main__`, which a worker process that a later test starts would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network computes in float32, whatever this machine multiplies fast: what is compared to 1e-4 needs it."""
    monkeypatch.setattr(models, "fast_bfloat16", lambda device: False)


def tiny_experiment(**changes: object) -> Experiment:
    """A sweep that trains in seconds; `changes` replace top-level settings."""
    stage = {"epochs": 2, "batch": 8, "learning_rate": 0.01}
    settings = {
        "name": "tiny",
        "data": {"corpora": CORPORA},
        "crop": {"size": 32, "max_frames": 8},
        "model": {**TINY_MODEL, "sequence_length": 4},
        "train": {"mode": "two_stage", "backbone": {**stage, "optimiser": "adamw"}, "head": stage},
        "sweep": {"sequence_lengths": [4, 8], "mean_pool": [4], "shuffled": [8]},
    }
    return Experiment.model_validate({**settings, **changes})


def tiny_table(corpora: tuple[str, ...] = CORPORA, *, clips: int = 24, frames: int = 8, size: int = 32) -> Table:
    """Crops of noise in which fakes are somewhat brighter in a corner: learnable, not trivially so."""
    generator = np.random.default_rng(0)
    rows: list[Clip] = []
    pixels: list[NDArray[np.uint8]] = []
    for corpus in corpora:
        for number in range(clips):
            fake, identity = number % 2 == 1, f"p{number // 2:02d}"
            split = ("train", "train", "val", "test")[number // 2 % 4]
            crops = generator.normal(110, 40, (frames, size, size, 3))
            if fake:
                crops[:, : size // 2, : size // 2] += generator.uniform(5, 60)
            pixels.append(crops.clip(0, 255).astype(np.uint8))
            rows.append(
                Clip(
                    corpus=corpus,
                    clip_id=f"{'fake' if fake else 'real'}/{identity}",
                    path=Path(f"{corpus}-{number}.mp4"),
                    label=Label.FAKE if fake else Label.REAL,
                    method=corpus.removeprefix("sample-") if fake else "original",
                    compression="crf23",
                    target_identity=identity,
                    source_identity="",
                    split=split,  # type: ignore[arg-type]
                    official_split=False,
                    frames=frames,
                )
            )
    manifest = Manifest("+".join(corpora), tuple(rows)).check()
    recipe = CropRecipe(size=size, max_frames=frames)
    return Table(manifest, np.stack(pixels), np.arange(len(rows)), np.full(len(rows), frames), recipe)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated store without runs: MLflow takes seconds to make one, and a copy none."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path.as_posix()}")
        tracking.client()
    return path


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Path:
    """dfd's home for one test, with a fresh empty store in it."""
    home = tmp_path / "home"
    (home / "mlruns").mkdir(parents=True)
    shutil.copy(empty_database, home / "mlruns" / "mlflow.db")
    return home


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A dfd home with a finished tiny sweep: a backbone run and 4 heads a corpus, all really trained. Read only."""
    home = tmp_path_factory.mktemp("tiny_home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("MLFLOW_"):
                patch.delenv(name)
        patch.setenv("DFD_HOME", str(home))
        experiment = tiny_experiment()
        table = tiny_table()
        fitted = backbone(experiment, table)
        for corpus in CORPORA:
            features = feature_table(table.where(corpus=corpus), fitted.model.backbone, torch.device("cpu"))
            for member in members(experiment, corpus):
                head(member, fitted, features, parent=fitted.run_id)
        made = set(tracking.runs()["run_id"])
    yield home
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFD_HOME", str(home))
        assert set(tracking.runs()["run_id"]) == made, "a test wrote to the store that all share; take own_store"


@pytest.fixture
def tiny_store(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`tiny_home` as dfd's home for one test; its store's address is `tracking.store_uri()`."""
    monkeypatch.setenv("DFD_HOME", str(tiny_home))
    return tiny_home


@pytest.fixture
def own_store(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `tiny_store` that a test may write to."""
    home = copied(tiny_store, tmp_path / "mine")
    monkeypatch.setenv("DFD_HOME", str(home))
    return home


@pytest.fixture
def tiny_checkpoint(tmp_path: Path) -> Path:
    """The folder of a saved, untrained, tiny ResNeXt-LSTM that reads 4 frames at 112 px."""
    meta = checkpoints.CheckpointMeta(
        name="tiny", model=TINY_MODEL, recipe=CropRecipe(), sequence_length=4, threshold=0.5, threshold_fpr=0.1
    )
    folder = tmp_path / "tiny_checkpoint"
    checkpoints.save(build(**TINY_MODEL), meta, folder)
    return folder


@pytest.fixture(scope="session")
def face_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 30-frame, 256 px, 30 fps H.264 clip of one slowly moving face (scikit-image's public-domain portrait)."""
    from skimage.data import astronaut

    portrait = astronaut()
    frames = np.stack([portrait[shift : 256 + shift, 90 + shift : 346 + shift] for shift in range(30)])
    path = tmp_path_factory.mktemp("clips") / "face.mp4"
    write_video(path, frames, 30.0)
    return path


@pytest.fixture
def best_ref(tiny_store: Path) -> str:
    """The registered best of `tiny_store`."""
    ref = tracking.best()
    assert ref is not None
    return ref
