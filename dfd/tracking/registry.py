"""Registered detectors: a checkpoint by run, version or alias; and aliases, those that follow validation and others."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException

from dfd.errors import StoreError
from dfd.glossary import metric, with_interval
from dfd.pseudo_fakes.settings import SUFFIX
from dfd.tracking.reading import HELD_OUT, metrics
from dfd.tracking.servable import make_servable
from dfd.tracking.store import CHECKPOINT, artifact, client, explained, get_run

REGISTERED, BEST = "dfd-detector", "best"


def checkpoint_folder(ref: str) -> Path:
    """The local folder of a checkpoint named by run id or `models:/NAME@ALIAS`, `models:/NAME/VERSION`.

    Raises:
        StoreError: the store knows no such run or model, or it has no checkpoint.
    """
    return artifact(run_of(ref), CHECKPOINT)


def run_of(ref: str) -> str:
    """The run of a checkpoint named as in `checkpoint_folder`; a run id is given back as it is.

    Raises:
        StoreError: the store knows no such model, or it has no run.
    """
    if not ref.startswith("models:/"):
        return ref
    name = ref.removeprefix("models:/")
    try:
        if "@" in name:
            version = client().get_model_version_by_alias(*name.split("@", 1))
        else:
            version = client().get_model_version(*name.rsplit("/", 1))
    except (MlflowException, TypeError):
        raise StoreError(f"the store has no model '{ref}'; `dfd runs` lists what there is") from None
    if not version.run_id:
        raise StoreError(f"the model '{ref}' names no run to load its checkpoint from; register it through a run")
    return version.run_id


def best(corpus: str | None = None) -> str | None:
    """The registered best detector's reference (of one corpus, if named), or None while there is none."""
    alias = BEST if corpus is None else best_alias(corpus)
    return None if _aliased(alias) is None else f"models:/{REGISTERED}@{alias}"


def aliases() -> dict[str, int]:
    """The version that each alias of the registered detector points at; empty while none is registered."""
    with explained("read"):
        try:
            found = client().get_registered_model(REGISTERED)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}
    return {alias: int(version) for alias, version in sorted(found.aliases.items())}


def versions() -> pd.DataFrame:
    """The registered detectors, newest first: columns version (int), run_id, aliases (list), description, created."""
    with explained("read"):
        found = client().search_model_versions(f"name = '{REGISTERED}'")
        aliases = client().get_registered_model(REGISTERED).aliases if found else {}
    rows = [
        {
            "version": int(each.version),
            "run_id": each.run_id,
            "aliases": sorted(alias for alias, version in aliases.items() if int(version) == int(each.version)),
            "description": each.description or "",
            "created": pd.Timestamp(each.creation_timestamp, unit="ms", tz="UTC"),
        }
        for each in found
    ]
    columns = ["version", "run_id", "aliases", "description", "created"]
    return pd.DataFrame(rows, columns=columns).sort_values("version", ascending=False, ignore_index=True)


def register(run_id: str) -> int:
    """Make a run's checkpoint a version of the registered detector, which MLflow can serve; returns its number."""
    registry = client()
    try:
        registry.create_registered_model(REGISTERED, description="Checkpoints of dfd: safetensors + JSON.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    make_servable(run_id)
    run = get_run(run_id)
    source = f"{run.info.artifact_uri}/{CHECKPOINT}"
    with explained("written to"):
        version = registry.create_model_version(
            REGISTERED, source, run_id=run_id, tags=_facts(run), description=_described(run)
        )
        registry.set_tag(run_id, "dfd.registered", version.version)
    return int(version.version)


def _facts(run: Any) -> dict[str, str]:
    """What versions are told apart by, as tags of theirs."""
    tags, params = run.data.tags, run.data.params
    named = {"dfd.model": params.get("model.name"), "dfd.sequence_length": params.get("model.sequence_length")}
    named |= {"dfd.seed": params.get("seed"), "dfd.frame_order": params.get("data.frame_order")}
    named |= {name: tags.get(name) for name in ("dfd.kind", "dfd.corpus", "dfd.weights", "dfd.threshold")}
    return {name: value for name, value in named.items() if value}


def _described(run: Any) -> str:
    """A version in two sentences: what it is, and what it came to on test clips."""
    tags, params, figures = run.data.tags, run.data.params, run.data.metrics
    model, length = params.get("model.name", "a model"), params.get("model.sequence_length", "?")
    told = f"{run.info.run_name}: {model}, sequence length {length}"
    told += f", trained on {tags['dfd.corpus']}." if tags.get("dfd.corpus") else f", from {tags.get('dfd.weights')}."
    if "test/auc" not in figures:
        return told
    tested = [f"{metric(name).label} {with_interval(figures, f'test/{name}')}" for name in ("auc", "accuracy")]
    return f"{told} Test clips, clip level: {', '.join(tested)}."


def promote(run_id: str, version: int, corpus: str) -> None:
    """Point `best` and `best-<corpus>` at this version where its validation AUC beats that of the present ones.

    Ties go to the lower validation log loss. Test figures are never looked at. A figure on pseudo-fakes beats none on
    fakes that others made. A detector that a method was held out from, which makes validation easier too, is passed by,
    and so is the control that reads frames in a shuffled order: it is there to be compared with, not to be served.
    """
    asked = get_run(run_id).data
    if HELD_OUT in asked.tags or asked.params.get("data.frame_order") == "shuffled":
        return
    score = _validation_rank(run_id)
    for alias in (BEST, best_alias(corpus)):
        present = _aliased(alias)
        if present is None or not present.run_id or score > _validation_rank(present.run_id):
            client().set_registered_model_alias(REGISTERED, alias, str(version))


def set_alias(ref: str, alias: str) -> int:
    """Point an alias of the user's own at a checkpoint, named as in `checkpoint_folder`; returns the version it is.

    A run that is not registered is registered first.

    Raises:
        StoreError: there is no such checkpoint, or the alias is one that dfd sets itself, or no name for one.
    """
    if alias == BEST or alias.startswith(f"{BEST}-"):
        raise StoreError(f"the alias '{alias}' follows the validation figures by itself; choose another name")
    run = get_run(run_of(ref))
    run_id = run.info.run_id
    if run.info.status != "FINISHED" or "dfd.threshold" not in run.data.tags:
        raise StoreError(f"run {run_id} has no checkpoint that could be promoted; it is not finished, or trains none")
    if "dfd.registered" in run.data.tags:
        version = int(run.data.tags["dfd.registered"])
        make_servable(run_id)  # one of before there were such files
    else:
        version = register(run_id)
    try:
        client().set_registered_model_alias(REGISTERED, alias, str(version))
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise StoreError(f"'{alias}' is no alias: {error.message}") from None
    return version


def _aliased(alias: str) -> Any:
    """The version an alias points at, None while there is none."""
    try:
        return client().get_model_version_by_alias(REGISTERED, alias)
    except MlflowException:
        return None


def _validation_rank(run_id: str) -> tuple[bool, float, float]:
    values, corpus = metrics(run_id), get_run(run_id).data.tags.get("dfd.corpus", "")
    return SUFFIX not in corpus, values.get("val/auc", 0.0), -values.get("val/log_loss", float("inf"))


def best_alias(corpus: str) -> str:
    """The alias of a corpus's best: MLflow takes letters, digits, - and _ alone, `best-a_b` is of the corpora a+b."""
    return f"{BEST}-{re.sub('[^A-Za-z0-9_-]', '_', corpus)}"
