"""The house rules of imports, size and safety, held by reading the real tree; and proof that breaking one is seen.

A new module must be given its place in `ORDER`: a module imports only modules above it in that list.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the ground up. The data's way is corpora -> manifest -> preprocess -> training -> checkpoints/tracking ->
# evaluation -> charts; a clip's is video -> faces -> inference -> attribution -> charts.
ORDER = (
    # ground: words and where things lie
    "dfd",
    "dfd.errors",
    "dfd.labels",
    "dfd.paths",
    "dfd.progress",
    "dfd.threads",
    "dfd.device",
    "dfd.turns",
    "dfd.memory",
    "dfd.pool",
    "dfd.cluster",
    "dfd.storage",
    "dfd.recipe",
    "dfd.provenance",
    "dfd.distributed",
    "dfd.resume",
    "dfd.glossary",
    "dfd.published",
    "dfd.manifest",
    "dfd.metrics.arrays",
    "dfd.metrics.calibration",
    "dfd.metrics.figures",
    "dfd.metrics.operating",
    "dfd.metrics.resampling",
    "dfd.metrics.ranking",
    "dfd.metrics.intervals",
    "dfd.metrics.paired",
    "dfd.metrics.slices",
    "dfd.metrics",
    "dfd.splits",
    "dfd.subsets",
    # a clip's pixels and faces
    "dfd._decode_child",
    "dfd.clip_folder",
    "dfd.video",
    "dfd.frames",
    "dfd.tracks",
    "dfd.face_finder",
    "dfd.faces",
    # corpora
    "dfd.corpora",
    "dfd.corpora.sample_portrait",
    "dfd.corpora.sample_features",
    "dfd.corpora.sample_people",
    "dfd.corpora.sample_scene",
    "dfd.corpora.sample_motion",
    "dfd.corpora.sample_fakes",
    "dfd.corpora.sample_render",
    "dfd.corpora.sample",
    "dfd.corpora.listing",
    "dfd.corpora.faceforensics",
    "dfd.corpora.celeb_df",
    "dfd.corpora.dfdc_audio",
    "dfd.corpora.dfdc",
    "dfd.corpora.csv_list",
    "dfd.corpora.face_only_corpus",
    "dfd.corpora.folder",
    "dfd.corpora.kinds",
    "dfd.corpora.registry",
    "dfd.corpora.inventory",
    "dfd.corpora.numbers",
    "dfd.corpora.face_clips",
    "dfd.corpora.find",
    "dfd.face_only",
    "dfd.jobs",
    "dfd.pictures",
    "dfd.cutter",
    "dfd.preprocess",
    # pseudo-fakes, and where fakes are known to be fake
    "dfd.truth_masks",
    "dfd.pseudo_fakes",
    "dfd.pseudo_fakes.settings",
    "dfd.pseudo_fakes.draws",
    "dfd.pseudo_fakes.face_space",
    "dfd.pseudo_fakes.masks",
    "dfd.pseudo_fakes.colours",
    "dfd.pseudo_fakes.warping",
    "dfd.pseudo_fakes.self_blending",
    "dfd.pseudo_fakes.blending",
    "dfd.pseudo_fakes.casting",
    "dfd.pseudo_fakes.partners",
    "dfd.pseudo_fakes.corpus",
    # detectors
    "dfd.models.contract",
    "dfd.models.meso",
    "dfd.models.xception",
    "dfd.models.backbones",
    "dfd.models.cpu_lstm",
    "dfd.models.heads",
    "dfd.models.resnext_lstm",
    "dfd.models.baselines",
    "dfd.models.regional_loss",
    "dfd.models.attention_augment",
    "dfd.models.multi_attention",
    "dfd.models.frozen",
    "dfd.models",
    "dfd.augment",
    "dfd.corruptions",
    "dfd.settings",
    "dfd.space",
    "dfd.config",
    "dfd.data",
    "dfd.objective",
    "dfd.optimisation",
    "dfd.loop",
    "dfd.training",
    "dfd.tracking.moved",
    "dfd.tracking.store",
    "dfd.tracking.reading",
    "dfd.tracking.live",
    "dfd.tracking.kept",
    "dfd.tracking.many",
    "dfd.tracking.mlflow_ui",
    "dfd.tracking.parameters",
    "dfd.tracking.servable",
    "dfd.tracking.registry",
    "dfd.tracking.writing",
    "dfd.tracking.feedback",
    "dfd.tracking",
    "dfd.curves",
    "dfd.checkpoints",
    "dfd.cautions",
    "dfd.model_card",
    "dfd.imports",
    "dfd._detector_child",
    "dfd.own_detector",
    "dfd.evaluation",
    "dfd.own_evaluation",
    "dfd.comparison",
    "dfd.mistakes",
    "dfd.work",
    "dfd.experiments",
    "dfd.leave_one_out",
    "dfd.sweep",
    "dfd.study.database",
    "dfd.study.draws",
    "dfd.study.trials",
    "dfd.study",
    "dfd.search",
    "dfd.rebuild",
    # a verdict and what it rests on
    "dfd.inference",
    "dfd.serving",
    "dfd.overlays",
    "dfd.report_look",
    "dfd.report",
    "dfd.attribution.result",
    "dfd.attribution.baselines",
    "dfd.attribution.view",
    "dfd.attribution.reading",
    "dfd.attribution.asked",
    "dfd.attribution.over_time",
    "dfd.attribution.timeline",
    "dfd.attribution.regions",
    "dfd.attribution.export",
    "dfd.attribution.sensitivity",
    "dfd.attribution.occlusion",
    "dfd.attribution.methods",
    "dfd.attribution.truth",
    "dfd.attribution",
    "dfd.clip_audit",
    "dfd.audit",
    "dfd.adversarial",
    "dfd.robustness",
    "dfd.charts.style",
    "dfd.charts.lengths",
    "dfd.charts.overview",
    "dfd.charts.matrix",
    "dfd.charts.slices",
    "dfd.charts.runs",
    "dfd.charts.operating",
    "dfd.charts.learning",
    "dfd.charts.free",
    "dfd.charts.free_figure",
    "dfd.charts.verdicts",
    "dfd.charts.timeline",
    "dfd.charts.corpora",
    "dfd.charts.robustness",
    "dfd.charts",
    "dfd.overview",
    "dfd._launch_child",
    "dfd.launches",
    # everything together
    "dfd.demo",
    "dfd.cli.shared",
    "dfd.cli.corpora",
    "dfd.cli.data",
    "dfd.cli.pseudo_fakes",
    "dfd.cli.training",
    "dfd.cli.checkpoints",
    "dfd.cli.clips",
    "dfd.cli.robustness",
    "dfd.cli.registry",
    "dfd.cli.dashboard",
    "dfd.cli",
    "dfd.cli.__main__",
)

HOMES = {
    "decord": ("dfd/_decode_child.py",),  # video.py's child process
    "facenet_pytorch": ("dfd/face_finder.py",),
    "captum": ("dfd/attribution/",),
    "mlflow": ("dfd/tracking/",),
    "plotly": ("dfd/charts/",),
    "ray": ("dfd/cluster.py",),
    "fsspec": ("dfd/storage.py",),
    "h5py": ("dfd/imports.py",),
    "optuna": ("dfd/study/",),
    "streamlit": ("app.py", "pages/"),
}
UNSAFE = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
LONGEST = {"dfd/": 400, "pages/": 200, "app.py": 60}


def sources(root: Path) -> list[Path]:
    """The files that run: dfd, pages and the app."""
    return sorted([*root.glob("dfd/**/*.py"), *root.glob("pages/**/*.py"), *root.glob("app.py")])


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything imported, at the top or inside functions, by statement or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                home = module.split(".")
                home = home[: len(home) - node.level + is_package]
                base = ".".join([*home, *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("__import__", "import_module", "importlib.import_module")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def violations(root: Path, order: tuple[str, ...] = ORDER) -> list[str]:
    """Every broken rule under a folder, as `file:line: what`."""
    found: list[str] = []
    modules = {module_name(path, root) for path in sources(root)}
    for path in sources(root):
        place = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"), place)
        module = module_name(path, root)
        imported = list(imports(tree, module, path.name == "__init__.py"))
        found += [f"{place}:{line}: {what}" for line, what in _foreign(imported, place)]
        if place.startswith("dfd/"):
            found += [f"{place}:{line}: {what}" for line, what in _direction(imported, module, modules, order)]
        found += [f"{place}:{line}: {what}" for line, what in _unsafe(tree, imported)]
        found += [f"{place}:1: {what}" for what in _too_long(path, place)]
    return found


def _foreign(imported: list[tuple[int, str]], place: str) -> Iterator[tuple[int, str]]:
    for line, name in imported:
        for package, homes in HOMES.items():
            at_home = any(place == home or (home.endswith("/") and place.startswith(home)) for home in homes)
            if within(name, package) and not at_home:
                yield line, f"{package} is imported by {' and '.join(homes)} alone"


def _direction(
    imported: list[tuple[int, str]], module: str, modules: set[str], order: tuple[str, ...]
) -> Iterator[tuple[int, str]]:
    if module not in order:
        yield 1, f"{module} has no place in ORDER of tests/test_structure.py"
        return
    for line, name in imported:
        if any(within(name, outside) for outside in ("pages", "app", "tests", "benchmarks")):
            yield line, f"dfd never imports {name.split('.')[0]}"
        if not within(name, "dfd"):
            continue
        # `from dfd.models import build` names a module's content: the longest prefix that is a module was imported.
        parts = name.split(".")
        prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        target = next((prefix for prefix in prefixes if prefix in modules), None)
        if target is None or target not in order:
            yield line, f"{name} is not a module that has a place in ORDER"
        elif target == "dfd" and len(parts) > 1 and parts[1] != "__version__":
            yield line, f"{name} does not exist"
        elif order.index(target) >= order.index(module):
            yield line, f"{module} imports {target}, which is not below it"


def _unsafe(tree: ast.AST, imported: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for line, name in imported:
        if name.split(".")[0] in UNSAFE:
            yield line, f"{name.split('.')[0]} runs code that a file brings"
        if name in ("torch.load", "numpy.load"):
            yield line, f"{name} is called by its full name, so that this test sees how"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called == "torch.load" and given.get("weights_only") != "True":
            yield node.lineno, "torch.load without weights_only=True runs code that a file brings"
        if called.endswith(".load") and given.get("allow_pickle", "False") != "False":
            yield node.lineno, "allow_pickle runs code that a file brings"
        if called.endswith("read_pickle"):
            yield node.lineno, "read_pickle runs code that a file brings"


def _too_long(path: Path, place: str) -> Iterator[str]:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    for start, longest in LONGEST.items():
        if place.startswith(start) and lines > longest:
            yield f"{lines} lines; more than {longest} are two ideas"


def test_the_tree_keeps_the_rules() -> None:
    assert len(sources(ROOT)) > 20, "the checker does not find the tree"
    assert violations(ROOT) == []


def test_every_place_is_taken() -> None:
    modules = {module_name(path, ROOT) for path in sources(ROOT)}
    assert [name for name in ORDER if name not in modules] == []
    assert len(set(ORDER)) == len(ORDER)


def test_every_dependency_is_at_home() -> None:
    """A home that stopped importing its package would leave its rule empty."""
    for package, homes in HOMES.items():
        files = [
            path for home in homes for path in ([ROOT / home] if home.endswith(".py") else ROOT.glob(f"{home}*.py"))
        ]
        trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
        assert any(within(name, package) for tree in trees for _, name in imports(tree, "", False)), package


SOUND = {
    "app.py": "import streamlit as st\nfrom dfd import high\n",
    "pages/one.py": "import streamlit as st\nfrom dfd.high import thing\nfrom pages.ui import widgets\n",
    "pages/ui/widgets.py": "import streamlit as st\n",
    "dfd/__init__.py": '__version__ = "1"\n',
    "dfd/low.py": "import json\nimport torch\nfrom dfd import __version__\ntorch.load('x', weights_only=True)\n",
    "dfd/high.py": "from dfd import low\nfrom dfd.low import json\nthing = 1\n",
}
PLACES = ("dfd", "dfd.low", "dfd.high", "dfd.pack", "dfd.pack.inner")

BROKEN = [
    ("dfd/low.py", "import decord\n", "dfd/low.py:1: decord is imported by dfd/_decode_child.py alone"),
    ("dfd/low.py", "def f():\n    from mlflow.tracking import MlflowClient\n", "dfd/low.py:2: mlflow is imported by"),
    ("dfd/low.py", "import facenet_pytorch as fp\n", "facenet_pytorch is imported by dfd/face_finder.py alone"),
    ("pages/one.py", "import plotly.graph_objects\n", "pages/one.py:1: plotly is imported by dfd/charts/ alone"),
    ("app.py", "from captum import attr\n", "app.py:1: captum is imported by dfd/attribution/ alone"),
    ("dfd/high.py", "import streamlit\n", "streamlit is imported by app.py and pages/ alone"),
    ("dfd/high.py", "import importlib\nimportlib.import_module('streamlit')\n", "dfd/high.py:2: streamlit is"),
    ("dfd/low.py", "from dfd import high\n", "dfd/low.py:1: dfd.low imports dfd.high, which is not below it"),
    ("dfd/low.py", "from dfd.high import thing\n", "dfd.low imports dfd.high, which is not below it"),
    ("dfd/low.py", "def f():\n    import dfd.high\n", "dfd/low.py:2: dfd.low imports dfd.high"),
    ("dfd/low.py", "from . import high\n", "dfd.low imports dfd.high, which is not below it"),
    ("dfd/low.py", "from .high import thing\n", "dfd.low imports dfd.high, which is not below it"),
    ("dfd/pack/__init__.py", "from .inner import x\n", "dfd.pack imports dfd.pack.inner, which is not below it"),
    ("dfd/low.py", "import dfd.low\n", "dfd.low imports dfd.low, which is not below it"),
    ("dfd/low.py", "from dfd import gone\n", "dfd.gone does not exist"),
    ("dfd/low.py", "from pages.ui import widgets\n", "dfd/low.py:1: dfd never imports pages"),
    ("dfd/fresh.py", "", "dfd/fresh.py:1: dfd.fresh has no place in ORDER"),
    ("dfd/low.py", "import pickle\n", "pickle runs code that a file brings"),
    ("dfd/low.py", "import torch\ntorch.load('x')\n", "dfd/low.py:2: torch.load without weights_only=True"),
    ("dfd/low.py", "import torch\ntorch.load('x', weights_only=False)\n", "torch.load without weights_only=True"),
    ("dfd/low.py", "from torch import load\n", "torch.load is called by its full name"),
    ("dfd/low.py", "import numpy as np\nnp.load('x', allow_pickle=True)\n", "allow_pickle runs code"),
    ("dfd/low.py", "import pandas as pd\npd.read_pickle('x')\n", "read_pickle runs code"),
    ("dfd/low.py", "\n" * 401, "dfd/low.py:1: 401 lines; more than 400 are two ideas"),
    ("pages/one.py", "\n" * 201, "pages/one.py:1: 201 lines; more than 200 are two ideas"),
]


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_a_sound_tree_has_no_violations(tmp_path: Path) -> None:
    inner = {"dfd/pack/__init__.py": "", "dfd/pack/inner.py": "from dfd.low import json\n"}
    assert violations(plant(tmp_path, SOUND | inner), PLACES) == []


@pytest.mark.parametrize(("place", "text", "said"), BROKEN, ids=[said for *_, said in BROKEN])
def test_a_broken_rule_is_seen(tmp_path: Path, place: str, text: str, said: str) -> None:
    inner = {"dfd/pack/inner.py": "x = 1\n"} if "pack" in place else {}
    found = violations(plant(tmp_path, {**SOUND, **inner, place: text}), PLACES)
    assert len(found) == 1
    assert said in found[0]


def test_a_cycle_is_seen(tmp_path: Path) -> None:
    cycle = {"dfd/low.py": "def f():\n    from dfd.high import thing\n"}  # and high imports low
    assert violations(plant(tmp_path, SOUND | cycle), PLACES) != []
