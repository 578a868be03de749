"""Published files become checkpoints with the logits of the code they came from, which is worked out again here.

The published .pt and .h5 are written with random weights in their own layout, as their own programs write them.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnext50_32x4d
from typer.testing import CliRunner

from dfd import checkpoints, tracking
from dfd.cli import app
from dfd.errors import CheckpointError
from dfd.imports import MESO_RECIPE, RESNEXT_RECIPE, import_file, read_published
from dfd.inference import Detector
from dfd.models import p_fake, to_input
from dfd.threads import one_thread

HIDDEN = 24
NAME = "model_97_acc_60_frames_FF_data.pt"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


class PublicModel(nn.Module):
    """The public code's network: the LSTM is not told that the batch comes first, nor of its biases."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        network = resnext50_32x4d(weights=None)
        self.model = nn.Sequential(*list(network.children())[:-2])
        self.lstm = nn.LSTM(2048, hidden, 1, False)
        self.dropout = nn.Dropout(0.4)
        self.linear1 = nn.Linear(hidden, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)

    def forward(self, clips: Tensor, temporal: str) -> Tensor:
        """(B, T, 3, H, W) -> (B, 2) in the order fake, real."""
        batch, frames = clips.shape[:2]
        features = self.avgpool(self.model(clips.flatten(0, 1))).view(batch, frames, 2048)
        states, _ = self.lstm(features, None)
        pooled = states.mean(dim=1) if temporal == "legacy_mean" else states[:, -1, :]
        return self.dropout(self.linear1(pooled))


@pytest.fixture(scope="module")
def public() -> PublicModel:
    torch.manual_seed(1)
    model = PublicModel(HIDDEN)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    nn.init.normal_(model.linear1.weight)
    return model.eval()


@pytest.fixture(scope="module")
def published_pt(public: PublicModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / NAME
    torch.save(public.state_dict(), path)
    return path


def test_the_layout_written_here_is_the_published_one(public: PublicModel) -> None:
    names = list(public.state_dict())
    assert len(names) == 322
    assert {name for name in names if name.startswith(("lstm", "linear1"))} == {
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
        "linear1.weight",
        "linear1.bias",
    }
    assert public.state_dict()["model.4.0.conv1.weight"].shape == (128, 64, 1, 1)


@pytest.mark.parametrize("temporal", ["legacy_last", "legacy_mean"])
@torch.no_grad()
def test_the_logits_are_those_of_the_public_code(public: PublicModel, published_pt: Path, temporal: str) -> None:
    model = read_published(published_pt, temporal).model  # type: ignore[arg-type]
    clip = torch.randn(1, 5, 3, 64, 64)
    expected = public(clip, temporal).flip(1)  # there 0 is fake
    torch.testing.assert_close(model(clip), expected, rtol=0, atol=1e-5)
    assert expected.diff().abs().item() > 1e-3


@torch.no_grad()
def test_a_batch_no_longer_mixes_clips(public: PublicModel, published_pt: Path) -> None:
    """What the public code says of a clip depends on the clips beside it; ours is what it says of the clip alone."""
    model = read_published(published_pt).model
    clips = torch.randn(2, 2, 3, 64, 64)
    alone = torch.cat([public(clip[None], "legacy_last") for clip in clips]).flip(1)
    torch.testing.assert_close(model(clips), alone, rtol=0, atol=1e-5)
    assert not torch.allclose(public(clips, "legacy_last").flip(1), alone, atol=1e-4)


@torch.no_grad()
def test_an_imported_checkpoint_judges_clips_and_says_what_it_reads(
    public: PublicModel, published_pt: Path, store: Path, face_video: Path, float32: None
) -> None:
    done = CliRunner().invoke(app, ["import", str(published_pt), "--sequence-length", "4", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    loaded = checkpoints.load(told["checkpoint"])
    clip = torch.randn(1, 3, 3, 64, 64)
    torch.testing.assert_close(loaded.model(clip), public(clip, "legacy_last").flip(1), rtol=0, atol=1e-5)
    assert "one frame, the last" in told["reads"] == loaded.meta.reads
    assert loaded.meta.recipe == RESNEXT_RECIPE
    assert (loaded.meta.recipe.colour, loaded.meta.recipe.margin, loaded.meta.recipe.size) == ("bgr", 1.0, 112)
    assert (loaded.meta.threshold, loaded.meta.threshold_fpr) == (0.5, None)
    verdict = Detector(loaded, "cpu").judge(face_video)
    assert verdict.face_clip is not None
    frames = to_input(verdict.face_clip.crops, RESNEXT_RECIPE)[None]
    assert verdict.p_fake == pytest.approx(p_fake(public(frames, "legacy_last").flip(1)).item(), abs=1e-5)
    assert verdict.p_fake == pytest.approx(verdict.frame_p_fake[-1], abs=1e-6)
    assert "not chosen on validation clips" in verdict.message


def test_an_import_is_no_measurement_and_is_made_once(published_pt: Path, store: Path) -> None:
    run_id = import_file(published_pt)
    assert import_file(published_pt, "legacy_last") == run_id
    assert tracking.detectors() == []
    assert tracking.best() is None
    (row,) = tracking.runs().to_dict("records")
    assert (row["kind"], row["status"], row["checkpoint"]) == ("imported", "FINISHED", run_id)
    assert (row["name"], row["model"], row["sequence_length"]) == (Path(NAME).stem, "resnext_published", 60)
    assert checkpoints.read_meta(tracking.checkpoint_folder(f"models:/{tracking.REGISTERED}/1")).run_id == run_id
    assert import_file(published_pt, "legacy_mean") != run_id


def test_the_try_page_offers_an_imported_detector_and_the_others_pass_it_by(published_pt: Path, store: Path) -> None:
    import_file(published_pt)
    root = Path(__file__).resolve().parent.parent
    page = AppTest.from_file(str(root / "app.py"), default_timeout=120).run()
    assert not page.exception
    page.switch_page("pages/compare.py").run()
    assert [heading.value for heading in page.subheader] == ["No measured runs yet"]
    page.switch_page("pages/try_clip.py").run()
    assert not page.exception
    assert page.multiselect(key="detectors").options == [f"{Path(NAME).stem} · imported · 60 frames"]
    page.switch_page("pages/runs.py").run()
    assert not page.exception
    assert [heading.value for heading in page.subheader] == ["No runs yet"]


def rewritten(path: Path, state: object, name: str = NAME) -> Path:
    torch.save(state, path / name)
    return path / name


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: without(state, "model.5.3.conv2.weight"), r"lacks 'model\.5\.3\.conv2\.weight'"),
        (lambda state: without(state, "lstm.weight_hh_l0"), r"no whole 'lstm\.weight_hh_l0'"),
        (lambda state: without(state, "linear1.bias"), r"lacks 'linear1\.bias'"),
        (lambda state: {**state, "lstm.bias_ih_l0": torch.zeros(4)}, r"has 'lstm\.bias_ih_l0', which .* has not"),
        (lambda state: {**state, "fc.weight": torch.zeros(4)}, r"has 'fc\.weight', which .* has not"),
        (lambda state: {**state, "linear1.weight": torch.zeros(3, HIDDEN)}, r"has the shape \(3, 24\), not \(2, 24\)"),
        (lambda state: {"state_dict": state, "epoch": 3}, "not a state dict"),
        (lambda state: [1, 2], "not a state dict"),
        (lambda state: nn.Linear(2, 2), "runs no code that a file brings"),
    ],
)
def test_a_pt_that_is_not_the_published_one_is_told_in_a_sentence(
    public: PublicModel, tmp_path: Path, change: Callable[[dict[str, Tensor]], object], said: str
) -> None:
    path = rewritten(tmp_path, change(public.state_dict()))
    with pytest.raises(CheckpointError, match=said) as refused:
        read_published(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


class Trap:
    """Pickled, it would write a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "sprung"))


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    path = rewritten(tmp_path, {"model.0.weight": Trap(tmp_path / "sprung")})
    with pytest.raises(CheckpointError, match="runs no code"):
        read_published(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "length", "said"),
    [
        ("my_model.pt", None, "does not say how many frames it reads.*--sequence-length"),
        ("model_1_acc_900_frames.pt", None, "does not say how many frames"),
        (NAME, 0, "must be from 1 to 150, not 0"),
        (NAME, 151, "must be from 1 to 150, not 151"),
        ("weights.onnx", None, "no file that can be imported; give a .pt"),
    ],
)
def test_what_cannot_be_known_is_asked_for(tmp_path: Path, name: str, length: int | None, said: str) -> None:
    path = rewritten(tmp_path, {}, name)
    with pytest.raises(CheckpointError, match=said):
        read_published(path, None, length)


def test_a_file_that_is_not_there_is_told_by_the_command(tmp_path: Path, store: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        import_file(tmp_path / NAME)


@pytest.fixture(scope="module")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    """A folder, and the bytes of a small .pt and of a small .h5."""
    folder = tmp_path_factory.mktemp("small")
    torch.save({"lstm.weight_hh_l0": torch.randn(8, 2)}, folder / NAME)
    keras_file(folder / "x.h5", meso4_layers(np.random.default_rng(0))[:3])
    return folder, (folder / NAME).read_bytes(), (folder / "x.h5").read_bytes()


@given(kind=st.sampled_from(["pt", "h5"]), cut=st.integers(0, 4000), seed=st.integers(0, 99), noise=st.integers(0, 40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_damaged_file_is_told_and_never_half_read(
    small_files: tuple[Path, bytes, bytes], kind: str, cut: int, seed: int, noise: int
) -> None:
    folder, pt, h5 = small_files
    data = bytearray(pt if kind == "pt" else h5)
    generator = np.random.default_rng(seed)
    for at in generator.integers(0, len(data), noise):
        data[at] = generator.integers(256)
    path = folder / (NAME if kind == "pt" else "x.h5")
    path.write_bytes(data[: len(data) - cut] if cut < len(data) else b"")
    with pytest.raises(CheckpointError) as refused:
        read_published(path)
    assert str(path) in str(refused.value)


# MesoNet. A layer is its Keras kind and its arrays by Keras's names.

Layer = tuple[str, dict[str, NDArray[np.float32]]]


def keras_file(
    path: Path, layers: list[Layer], *, first: int = 1, root: str = "", order: list[int] | None = None
) -> None:
    """Write weights as Keras 2 does: a group a layer, in it a group of the same name, and the order as attributes."""
    counts = {"conv2d": first, "batch_normalization": first, "dense": first}
    named = []
    for kind, arrays in layers:
        named.append((f"{kind}_{counts[kind]}" if counts[kind] else kind, arrays))
        counts[kind] += 1
    with h5py.File(path, "w") as file:
        base = file.create_group(root) if root else file
        for name in ("input_1", "max_pooling2d_1", "flatten_1"):
            base.create_group(name).attrs["weight_names"] = np.array([], "S1")
        for at in order or range(len(named)):
            name, arrays = named[at]
            group = base.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{array}:0".encode() for array in arrays]
            for array, values in arrays.items():
                group.create_dataset(f"{name}/{array}:0", data=values)
        base.attrs["layer_names"] = [name.encode() for name, _ in named]


def convolution(generator: np.random.Generator, side: int, inputs: int, outputs: int) -> Layer:
    kernel = generator.normal(0, (side * side * inputs) ** -0.5, (side, side, inputs, outputs))
    return "conv2d", {"kernel": kernel.astype(np.float32), "bias": generator.normal(0, 0.1, outputs).astype(np.float32)}


def norm(generator: np.random.Generator, channels: int) -> Layer:
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return "batch_normalization", {
        name: generator.uniform(0.01 if name == "moving_variance" else 0.5, 1.5, channels).astype(np.float32)
        for name in names
    }


def dense(generator: np.random.Generator, inputs: int, outputs: int) -> Layer:
    kernel = generator.normal(0, inputs**-0.5, (inputs, outputs)).astype(np.float32)
    return "dense", {"kernel": kernel, "bias": generator.normal(0, 0.1, outputs).astype(np.float32)}


def last_layers(generator: np.random.Generator, channels: int) -> list[Layer]:
    layers: list[Layer] = []
    for inputs in (channels, 16):
        layers += [convolution(generator, 5, inputs, 16), norm(generator, 16)]
    return [*layers, dense(generator, 1024, 16), dense(generator, 16, 1)]


def meso4_layers(generator: np.random.Generator) -> list[Layer]:
    first = [convolution(generator, 3, 3, 8), norm(generator, 8), convolution(generator, 5, 8, 8), norm(generator, 8)]
    return first + last_layers(generator, 8)


def mesoinception_layers(generator: np.random.Generator) -> list[Layer]:
    layers: list[Layer] = []
    for inputs, (alone, *others) in ((3, (1, 4, 4, 2)), (11, (2, 4, 4, 2))):
        layers.append(convolution(generator, 1, inputs, alone))
        for width in others:
            layers += [convolution(generator, 1, inputs, width), convolution(generator, 3, width, width)]
        layers.append(norm(generator, alone + sum(others)))
    return layers + last_layers(generator, 12)


def recomputed(image: NDArray[np.float64], layers: list[Layer]) -> float:
    """Probability of real that Keras's network of these layers gives an image (256, 256, 3) in [0, 1]."""
    queue = iter([arrays for _, arrays in layers])
    maps = torch.from_numpy(image).permute(2, 0, 1)[None].double()

    def convolved(maps: Tensor, dilation: int = 1) -> Tensor:
        arrays = next(queue)
        kernel = torch.from_numpy(arrays["kernel"].transpose(3, 2, 0, 1)).double()
        bias = torch.from_numpy(arrays["bias"]).double()
        return functional.conv2d(maps, kernel, bias, padding="same", dilation=dilation).relu()

    def normed(maps: Tensor, pool: int) -> Tensor:
        arrays = {name: torch.from_numpy(values).double()[:, None, None] for name, values in next(queue).items()}
        scaled = (maps - arrays["moving_mean"]) / torch.sqrt(arrays["moving_variance"] + 1e-3)
        return functional.max_pool2d(scaled * arrays["gamma"] + arrays["beta"], pool)

    def branched(maps: Tensor) -> Tensor:
        branches = [convolved(maps)]
        for dilation in (1, 2, 3):
            branches.append(convolved(convolved(maps), dilation))
        return torch.cat(branches, dim=1)

    inception = sum(kind == "conv2d" for kind, _ in layers) == 16
    for pool, block in ((2, branched), (2, branched), (2, convolved), (4, convolved)):
        maps = normed(block(maps) if inception else convolved(maps), pool)
    flat = maps[0].permute(1, 2, 0).flatten().numpy()  # channels last
    hidden, out = next(queue), next(queue)
    states = flat @ hidden["kernel"] + hidden["bias"]
    score = np.where(states > 0, states, 0.1 * states) @ out["kernel"] + out["bias"]
    return float(1 / (1 + np.exp(-score[0])))


# In a file, layers come by their depth in the graph: the first convolutions of an inception layer's three long branches
# before its short branch.
BY_DEPTH = [1, 3, 5, 0, 2, 4, 6, 7, 9, 11, 13, 8, 10, 12, 14, 15, *range(16, 22)]
FILES: dict[str, tuple[Callable[[np.random.Generator], list[Layer]], dict[str, object]]] = {
    "Meso4_DF": (meso4_layers, {"first": 5}),
    "Meso4_whole_model": (meso4_layers, {"first": 0, "root": "model_weights"}),
    "Meso4_numbers_past_9": (meso4_layers, {"first": 8}),
    "MesoInception_DF": (mesoinception_layers, {"order": BY_DEPTH}),
}


@pytest.mark.parametrize("name", FILES)
@torch.no_grad()
def test_meso_gives_keras_probability_of_each_frame(name: str, tmp_path: Path) -> None:
    make, layout = FILES[name]
    layers = make(np.random.default_rng(3))
    keras_file(tmp_path / f"{name}.h5", layers, **layout)  # type: ignore[arg-type]
    published = read_published(tmp_path / f"{name}.h5")
    assert published.described["name"] == ("mesoinception4" if "Inception" in name else "meso4")
    crops = np.random.default_rng(4).integers(0, 256, (2, 256, 256, 3), dtype=np.uint8)
    crops[1] //= 4
    real = [recomputed(crop / 255, layers) for crop in crops]
    said = published.model(to_input(crops, published.recipe)[None])
    assert p_fake(said).item() == pytest.approx(1 - np.mean(real), abs=1e-5)
    assert abs(real[0] - real[1]) > 1e-3


def test_an_imported_meso_has_its_own_recipe(tmp_path: Path, store: Path, face_video: Path) -> None:
    keras_file(tmp_path / "Meso4_DF.h5", meso4_layers(np.random.default_rng(3)))
    done = CliRunner().invoke(app, ["import", str(tmp_path / "Meso4_DF.h5")])
    assert done.exit_code == 0, done.output
    assert "mean of their p_fake" in done.stdout
    assert "not chosen on validation" in done.stdout
    loaded = checkpoints.load(done.stdout.split()[1])
    recipe = loaded.meta.recipe
    assert recipe == MESO_RECIPE
    assert (recipe.size, recipe.margin, recipe.colour, recipe.sampling) == (256, 1.0, "rgb", "even")
    verdict = Detector(loaded, "cpu").judge(face_video)
    assert verdict.frames_scored == loaded.meta.sequence_length == 16
    assert verdict.p_fake == pytest.approx(verdict.frame_p_fake.mean(), abs=0.01)


def changed(layers: list[Layer], at: int, name: str, values: NDArray[np.float32] | None) -> list[Layer]:
    kind, arrays = layers[at]
    arrays = {**arrays, name: values} if values is not None else {key: arrays[key] for key in arrays if key != name}
    return [*layers[:at], (kind, arrays), *layers[at + 1 :]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda layers: layers[2:], "has 3 convolutions, where Meso-4 has 4 and MesoInception-4 has 16"),
        (lambda layers: layers[:-1], "has 1 layers of kind dense, where MesoNet has 2"),
        (
            lambda layers: changed(layers, 1, "moving_mean", None),
            "'moving_mean' of batch_normalization layer 1 .*missing",
        ),
        (
            lambda layers: changed(layers, 0, "kernel", np.zeros((8, 3, 3, 3), np.float32)),
            r"'kernel' .* \(8, 3, 3, 3\)",
        ),
        (
            lambda layers: changed(layers, 0, "bias", np.zeros(8, "S3")),
            r"'bias' of conv2d layer 1 .* not numbers \(8,\)",
        ),
    ],
)
def test_a_h5_that_is_not_mesonets_is_told_in_a_sentence(
    change: Callable[[list[Layer]], list[Layer]], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "Meso4_DF.h5"
    keras_file(path, change(meso4_layers(np.random.default_rng(0))))
    with pytest.raises(CheckpointError, match=said) as refused:
        read_published(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_meso_has_no_choice_of_temporal(tmp_path: Path) -> None:
    keras_file(tmp_path / "Meso4_DF.h5", meso4_layers(np.random.default_rng(0)))
    with pytest.raises(CheckpointError, match="no choice of 'legacy_mean'; leave --temporal out"):
        read_published(tmp_path / "Meso4_DF.h5", "legacy_mean")
