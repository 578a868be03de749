"""Which clips a detector got wrong, the most confident errors first: where to look."""

import pandas as pd

COLUMNS = ["corpus", "clip_id", "label", "method", "p_fake", "threshold", "error"]


def most_wrong(predictions: pd.DataFrame, split: str = "test", count: int | None = None) -> pd.DataFrame:
    """The clips of a split that were judged wrong, by how far p_fake lies on the wrong side.

    Args:
        predictions: as `tracking.predictions` gives them.
        count: of the first rows; None: all.

    Returns:
        `COLUMNS`; `error` is |p_fake - label| in [0, 1], 1 for the surest error.
    """
    rows = predictions[predictions["split"] == split]
    wrong = rows[(rows["p_fake"] >= rows["threshold"]) != (rows["label"] == 1)]
    told = wrong.assign(error=(wrong["p_fake"] - wrong["label"]).abs())
    ordered = told.sort_values(["error", "clip_id"], ascending=[False, True]).reset_index(drop=True)
    return ordered[COLUMNS] if count is None else ordered[COLUMNS].head(count)
