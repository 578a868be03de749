"""What the words and numbers on the pages mean, in one place: names, formats and a sentence each."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is written: its name, whether as a percentage, and what it means in a sentence."""

    label: str
    percent: bool
    help: str

    @property
    def format(self) -> str:
        """d3 and Python format of one value."""
        return ".1%" if self.percent else ".3f"

    def write(self, value: float) -> str:
        """One value as text; a dash where there is none."""
        return "–" if math.isnan(value) else format(value, self.format)


METRICS = {
    "accuracy": Metric("Accuracy", True, "Clips judged rightly at the threshold chosen on validation."),
    "auc": Metric("AUC", False, "Probability that a fake clip scores above a real one; 0.5 is chance. No threshold."),
    "acc_real": Metric("Accuracy, real clips", True, "Real clips judged real at the validation threshold."),
    "acc_fake": Metric("Accuracy, fake clips", True, "Fake clips judged fake at the validation threshold."),
    "average_precision": Metric("Average precision", False, "Area under the precision-recall curve of the fakes."),
    "eer": Metric("Equal error rate", True, "Where real and fake clips are misjudged equally often; lower is better."),
    "precision": Metric("Precision", True, "Share of the clips called fake that are fake."),
    "recall": Metric("Recall", True, "Share of the fakes that are called fake."),
    "f1": Metric("F1", False, "Harmonic mean of precision and recall."),
    "log_loss": Metric("Log loss", False, "Penalty for confident mistakes; lower is better."),
    "coverage": Metric("Coverage", True, "Clips scored / clips asked for."),
}


def metric(name: str) -> Metric:
    """How `name` is written; a name not known here is shown as it is."""
    return METRICS.get(name) or Metric(name.replace("_", " ").capitalize(), False, f"The run's `test/{name}`.")


TERMS = {
    "p_fake": "The probability of fake that the detector gives, from 0 to 1. It is not calibrated: 0.9 does not mean "
    "that nine in ten such clips are fake.",
    "threshold": "At or above it a clip is called fake. Chosen on validation clips, never on the test clips.",
    "false positives": "Share of real validation clips that the threshold calls fake.",
    "sequence length": "Frames of the face the detector reads at once.",
    "controls": "Mean pool averages the frames without an LSTM; shuffled frames feeds the LSTM the same frames in a "
    "random order. A line that does not beat them has not learnt from the order of frames.",
    "interval": "Bands and bars are 95 % intervals, from resampling the people in the test clips: where the value "
    "would mostly fall with other people like these.",
    "published": "Hollow diamonds are accuracies as printed in publications, on other data and other splits; they were "
    "not measured here.",
    "importance": "What each frame adds to the detector's score: bars up, in orange, speak for fake, bars down, in "
    "blue, for real. They add up to the difference from the score of a blurred face.",
    "heat map": "Orange speaks for fake, blue for real, and the stronger the more. One scale for all frames, so that "
    "they can be compared.",
    "completeness": "How far the attributions' sum is from the change of output they should explain, as a share of "
    "it; small is good.",
}


@dataclass(frozen=True, slots=True)
class Method:
    """How an attribution method is called, and what its maps mean."""

    label: str
    help: str


METHODS = {
    "gradcam": Method(
        "Grad-CAM",
        "Grad-CAM weighs a late layer's feature maps by their gradient: where in the frame the evidence lies. "
        "Quick and coarse.",
    ),
    "integrated_gradients": Method(
        "Integrated gradients",
        "Integrated gradients adds up gradients on the way from a baseline image to the frame, pixel by pixel, so that "
        "they sum to the change of the output. Slow and fine.",
    ),
}
