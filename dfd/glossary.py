"""What the words and numbers on the pages mean, in one place: names, formats and a sentence each."""

import math
from collections.abc import Mapping
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
    "tpr_at_fpr_1": Metric(
        "TPR at 1 % FPR",
        True,
        "Largest share of fakes found while at most 1 % of the real clips are called fake; with fewer than 100 real "
        "clips, while none is.",
    ),
    "tpr_at_fpr_5": Metric(
        "TPR at 5 % FPR",
        True,
        "Largest share of fakes found while at most 5 % of the real clips are called fake; with fewer than 20 real "
        "clips, while none is.",
    ),
    "log_loss": Metric("Log loss", False, "Penalty for confident mistakes; lower is better."),
    "log_loss_calibrated": Metric("Log loss, calibrated", False, "Log loss after temperature scaling."),
    "ece": Metric(
        "Calibration error",
        False,
        "Expected calibration error: how far p_fake is from the share of fakes among clips that get it, over 15 bins; "
        "few clips make it too high, and resampled ones higher still, so that it has no interval.",
    ),
    "ece_calibrated": Metric(
        "Calibration error, calibrated", False, "The same after temperature scaling, which was fitted on validation."
    ),
    "coverage": Metric("Coverage", True, "Clips scored / clips asked for."),
}


def metric(name: str) -> Metric:
    """How `name` is written; a name not known here is shown as it is."""
    return METRICS.get(name) or Metric(name.replace("_", " ").capitalize(), False, f"The run's `test/{name}`.")


def with_interval(figures: Mapping[str, float], name: str) -> str:
    """A figure as written, and its 95 % interval where `figures` has one; a dash where it has no such figure.

    Args:
        name: as it is logged, "test/auc" or "auc"; `_low` and `_high` behind it are the interval's.
    """
    look = metric(name.rpartition("/")[2])
    value, low, high = (figures.get(f"{name}{end}", math.nan) for end in ("", "_low", "_high"))
    return look.write(value) + ("" if math.isnan(low) else f" ({look.write(low)} to {look.write(high)})")


def probability(value: float) -> str:
    """A probability as written; never 0 or 1, which no number of clips could show."""
    return "< 0.001" if value < 0.0005 else "> 0.999" if value > 0.9995 else f"{value:.3f}"


TERMS = {
    "p_fake": "The probability of fake that the detector gives, from 0 to 1. It is not calibrated: 0.9 does not mean "
    "that nine in ten such clips are fake.",
    "threshold": "At or above it a clip is called fake. Chosen on validation clips, never on the test clips.",
    "clip level": "Each clip counts once. Figures are clip level unless frame level is said; in runs they are named "
    "test/auc and so on.",
    "frame level": "Each frame that was read counts once, by the p_fake at that frame; in runs these are named "
    "test_frame/auc and so on. Not comparable with clip-level figures.",
    "by method": "Fakes of one method against all real clips.",
    "temperature": "One number, fitted on validation, that divides the logit of p_fake, so that p_fake means what it "
    "says. No decision changes: the threshold is of p_fake without it.",
    "calibrated": "p_fake after temperature scaling, which was fitted there: of such clips with this value, about that "
    "share is fake. On other footage, or where fakes are rarer, it does not hold.",
    "inconclusive": "With fewer than half of the frames a detector reads, it gives no score and is inconclusive; any "
    "score is called real or fake by its side of the threshold, however near.",
    "tracks": "Each face that stays in the clip is judged on its own. The most suspicious one is the clip's verdict: "
    "one manipulated person is enough.",
    "side by side": "Scores of different detectors are on scales of their own: compare each with its own threshold, "
    "not with another's score.",
    "several over time": "What each detector says at a frame, having read those before; the dotted line of the same "
    "colour is its threshold, and marks are filled at or above it. Crosses are frames without the face.",
    "paired": "Two detectors on the same clips. McNemar's p (accuracy) and DeLong's p (AUC) take clips as independent, "
    "although people recur in them; the 95 % interval of the difference draws people and does not.",
    "seeds": "Mean and standard deviation over runs that differ in nothing but their seed; with a few seeds the spread "
    "itself is a rough figure. Heads on one fitted backbone share it: theirs is the spread of the head alone.",
    "slices": "A column of the clips: the method or compression of a fake, the data set, or what a corpus's table says "
    "of its clips, such as gender or skin tone.",
    "gap": "The best slice minus the worst. The more slices there are, the larger it is by chance alone.",
    "in distribution": "Tested on a data set that the detector was trained on. Never averaged with data sets that were "
    "held out; a data set that only the backbone was trained on is neither.",
    "relation": "In distribution: tested on data that the detector was trained on. Held out: on data that neither its "
    "head nor its backbone has met. Mixed: on several data sets of which some were trained on. Backbone only: the "
    "frames of its training clips went into the backbone alone. They are never averaged together.",
    "false positives": "Share of real validation clips that the threshold calls fake.",
    "sequence length": "Frames of the face the detector reads at once.",
    "controls": "Mean pool averages the frames without an LSTM; shuffled frames feeds the LSTM the same frames in a "
    "random order. A line that does not beat them has not learnt from the order of frames.",
    "interval": "Bands and bars are 95 % intervals, from resampling the people in the test clips: where the value "
    "would mostly fall with other people like these.",
    "published": "Hollow marks are figures as printed by others, on other data and other splits; they were not "
    "measured here.",
    "operating point": "What the detector in focus does at the threshold set here: its confusion matrix and every mark "
    "in the diagrams. A threshold that is chosen by looking at test clips is no result: figures elsewhere are at the "
    "one chosen on validation.",
    "det": "The axes are normal deviates: even steps of the rates near 0 are as wide as those in the middle, and the "
    "nearer to the lower left, the better.",
    "reliability": "Of the clips that get a p_fake, the share that is fake. On the diagonal p_fake is a probability; "
    "above it the detector is too doubtful of fakes, below it too sure. Large marks are many clips.",
    "smoothing": "Weight of what came before in an exponential moving average; the values as logged stay behind it, "
    "faint. 0 is no smoothing.",
    "group": "Runs that are alike in colour, facet and all of these are joined by a line through their mean. Leave one "
    "out and runs that differ in it are taken together.",
    "spans": "Bands and bars span the 95 % intervals of the runs that are joined; each run is a point.",
    "others": "AUC as others report it, for detectors trained on FaceForensics++ and tested within it and across other "
    "data sets. None was measured here; figures of frames and of videos are not comparable, and sources disagree. "
    "Where a source does not say, a cell is empty; v? is a version not stated.",
    "importance": "What each frame adds to the detector's score. Bars are integrated gradients on the backbone's "
    "features: up, in orange, speaks for fake, down, in blue, for real; they add up to the difference from the score "
    "of a blurred face. Marks are what the score loses when the frame is left out.",
    "so far": "p_fake had the clip ended at the frame: how soon the detector had made up its mind.",
    "orders": "The same frames in 32 other orders. A detector whose verdict does not move has not read their order.",
    "parts": "Bars are each part's share of the attribution, marks its share of the picture: a bar beyond its mark "
    "says that the part weighs more than its size. Parts are ellipses about the five landmarks, in rough proportions.",
    "truth": "A heat map always looks like something. These figures hold it to what was manipulated, where that is "
    "known, and to the network's own answers; a method that does not beat the picture's edges has shown the edges.",
    "pointing": "Share of frames whose strongest pixel lies where the clip was manipulated.",
    "energy": "Share of the evidence for fake that lies where the clip was manipulated.",
    "iou": "Overlap of the manipulated part with as many of the strongest pixels: intersection over union.",
    "deletion": "Area under the decision's probability while pixels are blurred, the strongest first; low is true.",
    "insertion": "Area under the decision's probability while a blurred clip gets its pixels back, strongest first; "
    "high is true.",
    "infidelity": "How far what the map says of a square is from what the output loses without it, as a share; 0 is "
    "true, 1 says nothing.",
    "max_sensitivity": "Largest relative change of the map by a change of the clip too small to see; small is steady.",
    "after_random_weights": "Rank correlation with the map of the same network with random weights. Near 1, the map "
    "does not depend on what the network has learnt.",
    "heat map": "Orange speaks for fake and blue for real (unless other colours are set), the stronger the more. One "
    "scale for all frames, so that they can be compared.",
    "unsigned map": "The stronger the colour, the more it is looked at. One scale for all frames.",
    "layer": "The stage of the backbone that Grad-CAM looks at. A later one has seen more of the face and says less "
    "of where: layer3 has 7 x 7 places on 112 px, layer4 4 x 4.",
    "baseline": "What the face is compared with, as if there were nothing to see: blurred keeps its colours, the mean "
    "face only what does not move, and black calls every bright place evidence.",
    "steps": "Points on the way from the baseline to the face at which gradients are taken. More take longer and "
    "bring the maps' sum nearer to the change of the score: see the completeness error.",
    "map precision": "bfloat16 is what verdicts are given in, and quick. float32 takes about twice as long; it matters "
    "most for integrated gradients, and for GradientSHAP and SmoothGrad less than their number of draws.",
    "completeness": "How far the attributions' sum is from the change of output they should explain, as a share of "
    "it; small is good.",
    "people": "Everybody whose face went into a clip: a fake has a target, whose clip it was, and may have a source, "
    "whose face or motion was put in.",
    "leak check": "Nobody, as target or as source, may be in two splits: a detector could know the person instead of "
    "the fake.",
    "listed": "Clips on disk when the data set was added / clips that its own lists name. `dfd corpora check` looks "
    "again.",
    "left out": "On disk and not taken: what is no clip of the data set, and clips whose people are in two splits.",
    "with a face": "Clips that preprocessing found a face in / all clips. Those without one cannot be scored and lower "
    "the coverage of every metric.",
    "copies": "Clips with the same bytes. In two splits or under two labels they spoil figures; such ones come first.",
    "official": "Clips whose split is the published one; the others are divided by person, the same way each time.",
    "face width": "Width of the face box in the frames of the original clip, the median over the clip. Crops of small "
    "faces are enlarged and have less to be judged by.",
}


@dataclass(frozen=True, slots=True)
class Method:
    """How an attribution method is called, and what its maps mean."""

    label: str
    help: str
    signed: bool = True  # evidence for fake and for real; else only where, not for which side


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
    "gradient_shap": Method(
        "GradientSHAP",
        "GradientSHAP averages gradients at random points between the frame and several baselines (blurred, the "
        "clip's mean, black): quicker than integrated gradients and noisier.",
    ),
    "occlusion": Method(
        "Occlusion",
        "Occlusion covers a window of one frame with its blur, all places in turn, and takes what the output loses: "
        "coarse, and the one method that does not trust gradients.",
    ),
    "saliency": Method(
        "Saliency",
        "Saliency is the size of the gradient: where a small change of a pixel would change the output most, either "
        "way.",
        signed=False,
    ),
    "smoothgrad": Method(
        "SmoothGrad",
        "SmoothGrad is the mean saliency of noisy copies of the clip: less speckled than saliency, and as blind to the "
        "side that a place speaks for.",
        signed=False,
    ),
    "attention": Method(
        "Attention",
        "Attention is where a multi-attentional detector looks, its maps added up. It is not an attribution: it says "
        "neither how much a place counts nor for which side. Other detectors have none.",
        signed=False,
    ),
}
