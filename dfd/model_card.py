"""A checkpoint's model card: what it is, the data and protocol behind it, its figures with intervals, and its limits.

Markdown, written from what the run recorded; every number is the run's. Training puts it beside the weights as
`checkpoint/README.md`; `card` writes it anew, with what was measured since.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from dfd import tracking
from dfd.cautions import cautions
from dfd.checkpoints import META, CheckpointMeta, read_meta
from dfd.glossary import METRICS, TERMS, metric, with_interval
from dfd.manifest import SPLITS

NAME = tracking.CARD
METHODS = "methods_test.parquet"
USE = (
    "For research: to compare detectors, and to see which clips they fail on and why. Not for decisions about people: "
    "not as evidence, not to moderate what they post, not to tell who they are."
)
INTERVALS = (
    "In brackets 95 % intervals, from resampling the people in the clips: where a figure would mostly fall with other "
    "people like these."
)
SCOPE = (
    "It looks at the crops of one face at a time. What is said, the background, and whether the face is who it is said "
    "to be, it does not know; nor does it see a fake that is not in the face."
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a run says of its checkpoint; a table is empty where the run, or the dfd that made it, recorded none."""

    run_id: str
    meta: CheckpointMeta
    tags: dict[str, str]
    figures: dict[str, float]  # by the names they are logged by
    data: pd.DataFrame  # as `tracking.datasets`
    clips: pd.DataFrame  # as `tracking.clips`
    methods: pd.DataFrame  # the rows of `Slices` by method, on test clips
    machine: dict[str, str]
    elsewhere: tuple[tuple[dict[str, str], dict[str, float]], ...]  # tags and figures of further evaluations


def card(ref: str) -> str:
    """The card of a checkpoint, by run id or registry name.

    Raises:
        StoreError: the store knows no such run or model, or it has no checkpoint.
    """
    found = _recorded(tracking.run_of(ref))
    parts = (
        _head,
        _about,
        _use,
        _data,
        _protocol,
        _clip_figures,
        _frame_figures,
        _methods,
        _elsewhere,
        _limits,
        _origin,
    )
    return "\n\n".join(text for part in parts if (text := part(found))) + "\n"


def _recorded(run_id: str) -> Recorded:
    meta = read_meta(tracking.artifact(run_id, f"{tracking.CHECKPOINT}/{META}").parent)
    there = tracking.stored(run_id)  # older runs, imported ones and backbones lack some of it
    return Recorded(
        run_id=run_id,
        meta=meta,
        tags=tracking.tags(run_id),
        figures=tracking.metrics(run_id),
        data=tracking.datasets(run_id),
        clips=tracking.clips(run_id) if any(name.startswith("clips_") for name in there) else pd.DataFrame(),
        methods=tracking.table(run_id, METHODS) if METHODS in there else pd.DataFrame(),
        machine=tracking.environment(run_id)["machine"] if tracking.ENVIRONMENT in there else {},
        elsewhere=tuple(
            (tracking.tags(each), tracking.metrics(each)) for each in tracking.measured(run_id, "evaluation")["run_id"]
        ),
    )


def _head(run: Recorded) -> str:
    warnings = "\n".join(f"> - {sentence}" for sentence in cautions(run.meta))
    return f"# {run.tags['mlflow.runName']}\n\n{warnings}"


def _about(run: Recorded) -> str:
    meta = run.meta
    hyperparameters = {name: value for name, value in meta.model.items() if name != "name"}
    rows = [
        ("model", f"{meta.model['name']}, {_listed(hyperparameters)}"),
        ("reads", f"{_frames(meta.sequence_length)} of a face at once, in {meta.frame_order} order"),
        ("gives", f"p_fake in [0, 1], fake at or above {meta.threshold:.4f}"),
        ("backbone started from", meta.weights),
        ("weights stored as", meta.store_as),
        ("made", meta.created),
        ("store", f"run {run.run_id}{_version(run)}"),
    ]
    return "## What it is\n\n" + _table(("", ""), rows)


def _version(run: Recorded) -> str:
    number = run.tags.get("dfd.registered")
    return f", {tracking.REGISTERED} version {number}" if number else ""


def _use(run: Recorded) -> str:
    return f"## Intended use\n\n{USE}\n\n{SCOPE}"


def _data(run: Recorded) -> str:
    if run.data.empty:
        return "## Data\n\nThe run recorded no data: dfd did not train this checkpoint."
    meta = run.meta
    backbone = f", its backbone on {' and '.join(meta.backbone_corpora)}" if meta.backbone_corpora else ""
    told = [f"## Data\n\nTrained on {meta.corpus.replace('+', ' and ') or 'nothing'}{backbone}."]
    head = ("split", "clips", "real", "fake", "digest", "people", "clips with the published split")
    by_split = run.data.set_index("context")
    rows = [
        [split, *(by_split.loc[split, ["clips", "real", "fake", "digest"]]), *_people(run.clips, split)]
        for split in SPLITS
        if split in by_split.index
    ]
    told.append(_table(head, rows))
    if not run.clips.empty:
        counts = run.clips.groupby(["corpus", "method", "split"]).size().unstack(fill_value=0)
        splits = [split for split in SPLITS if split in counts]
        told.append(_table(("corpus", "method", *splits), [(*name, *row[splits]) for name, row in counts.iterrows()]))
        told.append("Every clip, with the digest of the bytes that were read, is in the run (`clips_SPLIT.parquet`).")
    return "\n\n".join(told)


def _people(clips: pd.DataFrame, split: str) -> tuple[str, str]:
    """How many are in a split, and how many of its clips have the split that was published."""
    if clips.empty:
        return "not recorded", "not recorded"
    own = clips[clips["split"] == split]
    names = {*own["target_identity"], *own["source_identity"]} - {""}
    return str(len(names)), f"{int(own['official_split'].sum())} of {len(own)}"


def _protocol(run: Recorded) -> str:
    meta = run.meta
    fpr = "" if meta.threshold_fpr is None else f"; it calls {meta.threshold_fpr:.1%} of the real validation clips fake"
    chosen = "" if meta.threshold_fpr is None else ", where balanced accuracy on validation clips is highest"
    rows = [
        ("crops", _listed(meta.recipe.model_dump(mode="json"))),
        ("threshold", f"{meta.threshold:.4f}{chosen}{fpr}"),
        ("temperature", "none" if meta.temperature is None else f"{meta.temperature:.3f}, fitted on validation clips"),
        ("seed", meta.seed),
        ("trained on", run.tags.get("dfd.device", "not recorded")),
    ]
    told = "## Protocol\n\n" + _table(("", ""), rows)
    if meta.experiment:
        text = yaml.safe_dump(meta.experiment, sort_keys=False).strip()
        first = run.tags.get("dfd.backbone_run")
        fitted = "" if first is None else f", on the backbone that run {first} fitted"
        told += f"\n\nThe experiment{fitted}:\n\n```yaml\n{text}\n```"
    return told


def _clip_figures(run: Recorded) -> str:
    told = _levels(run, "")
    if not told:
        return "## Figures\n\nNone: dfd has not tried it on labelled clips when this run was made."
    return f"## Figures, clip level\n\n{INTERVALS}\n\n{told}"


def _frame_figures(run: Recorded) -> str:
    told = _levels(run, "_frame")
    return f"## Figures, frame level\n\n{TERMS['frame level']}\n\n{told}" if told else ""


def _levels(run: Recorded, level: str) -> str:
    names = [name for name in METRICS if {f"val{level}/{name}", f"test{level}/{name}"} & run.figures.keys()]
    rows = [
        (
            metric(name).label,
            with_interval(run.figures, f"val{level}/{name}"),
            with_interval(run.figures, f"test{level}/{name}"),
        )
        for name in names
    ]
    return _table(("", "validation", "test (95 %)"), rows) if rows else ""


def _methods(run: Recorded) -> str:
    if run.methods.empty:
        return ""
    rows = [
        (row["value"], row["fake"], row["real"], with_interval(row, "auc"), with_interval(row, "acc_fake"))
        for row in run.methods.to_dict("records")
    ]
    head = ("method", "fakes", "real clips", "AUC (95 %)", "fakes found")
    return f"## By method, test clips\n\n{TERMS['by method']}\n\n{_table(head, rows)}"


def _elsewhere(run: Recorded) -> str:
    rows = [
        (tags.get("dfd.evaluated_on", ""), tags.get("dfd.evaluated_split", ""))
        + tuple(
            with_interval(figures, f"{tags.get('dfd.evaluated_split')}/{name}")
            for name in ("auc", "accuracy", "coverage")
        )
        for tags, figures in run.elsewhere
    ]
    head = ("data set", "split", "AUC (95 %)", "accuracy (95 %)", "coverage")
    return f"## Further evaluations, clip level\n\n{_table(head, rows)}" if rows else ""


def _limits(run: Recorded) -> str:
    told = ["Detectors do worse on data sets unlike those they were trained on."]
    others = sorted({tags.get("dfd.evaluated_on", "") for tags, _ in run.elsewhere} - {run.meta.corpus})
    tried = (
        f"Beside its own it was tried on {' and '.join(others)}." if others else "It was tried on no other data set."
    )
    told.append(tried)
    if run.figures.get("test/coverage", 1.0) < 1:
        coverage = with_interval(run.figures, "test/coverage")
        told.append(f"{coverage} of the test clips could be scored; the others are in no figure.")
    if "test/acc_real" in run.figures:
        told.append(f"Of the real test clips {1 - run.figures['test/acc_real']:.1%} are called fake.")
    if len(run.methods) > 1:
        worst = run.methods.sort_values("acc_fake").iloc[0]
        told.append(
            f"Of the methods it finds {worst['value']} least: {worst['acc_fake']:.1%} of {worst['fake']} fakes."
        )
    if "test/ece" in run.figures:
        told.append(
            f"p_fake is no frequency: its calibration error on test clips is {with_interval(run.figures, 'test/ece')}."
        )
    if run.meta.experiment:
        told.append(f"It is one training, with seed {run.meta.seed}: another seed comes to somewhat other figures.")
    told.append("Whether it errs more for some people than for others is not said here.")
    return "## Known limits\n\n" + "\n".join(f"- {sentence}" for sentence in told)


def _origin(run: Recorded) -> str:
    tags, meta = run.tags, run.meta
    changed = f", with changes ({tracking.CHANGES} in the run)" if meta.dirty else ""
    versions = {name.removeprefix("dfd.version."): text for name, text in tags.items() if "dfd.version." in name}
    rows = [("commit", f"{meta.git_commit}{changed}"), ("versions", _listed(versions))]
    rows += [("machine", _listed(run.machine) or "not recorded"), ("key", tags.get("dfd.key", "none"))]
    if "dfd.resumed" in tags:
        changes = tags.get("dfd.resumed.changed", "by the same code and versions")
        rows.append(("interrupted", f"{tags['dfd.resumed']} times, and resumed: {changes}"))
    told = "## Where it comes from\n\n" + _table(("", ""), rows)
    made = tags.get("dfd.kind") in ("detector", "backbone")
    return told + (
        f"\n\n`dfd rebuild {run.run_id}` trains it again and compares the weights bit by bit." if made else ""
    )


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _listed(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; one whose head is empty lists facts."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
