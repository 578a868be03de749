"""The `dfd` command: thin verbs over the modules.

Exit codes: 0 done, 1 bad input (one line on standard error says what), 2 wrong usage. Modules are imported within the
verbs, since torch and MLflow take seconds that `dfd --help` need not wait.
"""

import logging
import signal
import sys
from collections.abc import Callable

import typer

from dfd.cli import checkpoints, clips, corpora, dashboard, data, pseudo_fakes, registry, robustness, training
from dfd.cli.shared import complain
from dfd.errors import DfdError

app = typer.Typer(
    help="Deepfake video detection: train, compare, try, inspect.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(corpora.app, name="corpora")
VERBS: dict[str, Callable[..., None]] = {
    "sample": data.sample,
    "preprocess": data.preprocess,
    "pseudo-fakes": pseudo_fakes.pseudo_fakes,
    "train": training.train,
    "sweep": training.sweep,
    "search": training.search,
    "evaluate": checkpoints.evaluate,
    "leave-one-out": training.leave_one_out,
    "compare": checkpoints.compare,
    "slices": checkpoints.slices,
    "robustness": robustness.robustness,
    "import": checkpoints.import_published,
    "predict": clips.predict,
    "explain": clips.explain,
    "runs": checkpoints.runs,
    "card": registry.card,
    "promote": registry.promote,
    "rebuild": registry.rebuild,
    "app": dashboard.serve,
    "demo": dashboard.demo,
}
for name, verb in VERBS.items():
    app.command(name)(verb)


def main() -> None:
    """Entry point of the `dfd` command."""
    logging.basicConfig(level=logging.WARNING, format="dfd: %(message)s")
    # A run that is ended either way is recorded so; in a shell's background SIGINT is ignored, and SIGTERM must not be.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except DfdError as error:
        complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
