"""What a reader of a checkpoint's figures and verdicts must know, in plain sentences: on the page and in its card."""

from dfd.checkpoints import CheckpointMeta
from dfd.metrics.calibration import fits
from dfd.pseudo_fakes.settings import SUFFIX, corpora_in

EVIDENCE = (
    "A verdict is evidence, not proof: on faces, cameras or fakes unlike its training clips it can be wrong, and is "
    "more often than its figures say."
)


SEVERAL = (
    "Several faces were judged and the most suspicious one counts: a real clip is then likelier to be called fake than "
    "the false-positive rate says, which is of one face a clip."
)


def cautions(meta: CheckpointMeta, *, faces: int = 1) -> tuple[str, ...]:
    """The gravest first.

    Args:
        meta: The checkpoint's.
        faces: That it judged in a clip, where there is one.
    """
    told = []
    learned = dict.fromkeys(name for name in (*corpora_in(meta.corpus), *meta.backbone_corpora) if name)
    samples = [name for name in learned if name.startswith("sample-")]
    if samples:
        part = "" if len(samples) == len(learned) else " in part"
        told.append(
            f"This detector was trained{part} on {' and '.join(samples)}, synthetic clips that dfd makes itself of "
            "people who do not exist. Its verdict on real footage means little."
        )
    if any(name.endswith(SUFFIX) for name in learned):
        told.append(
            "This detector was trained on pseudo-fakes, which dfd makes of real clips. Its figures on them say nothing "
            "of its figures on fakes that others made."
        )
    if meta.reads:
        told.append(meta.reads)
    if meta.frame_order == "shuffled":
        told.append("It is a control: it reads the frames in a shuffled order.")
    if meta.temperature is not None and not fits(meta.temperature):
        told.append("Its scores are not calibrated: no temperature fits its validation clips.")
    if meta.threshold_fpr is None:
        told.append("Its threshold was not chosen on validation clips.")
    if faces > 1:
        told.append(SEVERAL)
    return (*told, EVIDENCE)
