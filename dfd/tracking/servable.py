"""A stored checkpoint as an MLflow model, so that `mlflow models serve` and `mlflow.pyfunc` take it as it is.

The checkpoint's folder gets an `MLmodel` beside its weights, a text of two kilobytes that names the module which loads
the folder (`dfd.serving`). MLflow's own `python_model` would log a second model with a copy of the weights and of the
code; this way the registered version, what dfd loads and what is served are the same bytes, and nothing is pickled. The
file is added when the checkpoint is registered; one that was registered before there were such files gets it when it is
promoted.
"""

import platform
import posixpath

from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec

from dfd.errors import DfdError
from dfd.tracking.store import CHECKPOINT, client, explained, stored

LOADER = "dfd.serving"
MLMODEL = "MLmodel"


def make_servable(run_id: str) -> None:
    """Put an `MLmodel` into the folder of a run's checkpoint, where there is none."""
    name = posixpath.join(CHECKPOINT, MLMODEL)
    if name not in stored(run_id, CHECKPOINT):
        with explained("written to"):
            client().log_text(run_id, _described(run_id), name)


def refused(error: DfdError) -> MlflowException:
    """An error of the user's as one whose sentence MLflow's scoring server sends back, as a bad request."""
    return MlflowException.invalid_parameter_value(str(error))


def _described(run_id: str) -> str:
    """The text of the `MLmodel`: how to load it, and the columns it takes and gives."""
    takes: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "path", required=False),
        ColSpec(DataType.binary, "video", required=False),
    ]
    gives: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.double, "p_fake", required=False),
        ColSpec(DataType.string, "decision", required=False),
        ColSpec(DataType.double, "threshold"),
        ColSpec(DataType.double, "threshold_fpr", required=False),
        ColSpec(DataType.long, "frames_scored"),
        ColSpec(DataType.long, "faces"),
        ColSpec(DataType.string, "message"),
    ]
    signature = ModelSignature(inputs=Schema(takes), outputs=Schema(gives))
    model = Model(artifact_path=CHECKPOINT, run_id=run_id, signature=signature)
    # By the flavour's name: importing mlflow.pyfunc takes a second and warns.
    model.add_flavor("python_function", loader_module=LOADER, python_version=platform.python_version())
    text: str = model.to_yaml()
    return text
