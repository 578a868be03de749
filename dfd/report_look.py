"""How a report looks: its style sheet, for screen and paper, and its chart as SVG."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dfd import overlays

REAL, FAKE = ("#{:02X}{:02X}{:02X}".format(*colour) for colour in (overlays.REAL, overlays.FAKE))
NEUTRAL = "#7B8794"
WIDTH, HEIGHT, LEFT, FOOT, TOP = 720, 190, 40, 34, 16  # px

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fcfcfc; color: #1b222b; font: 15px/1.5 system-ui, Helvetica, Arial, sans-serif;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
main { max-width: 820px; margin: 0 auto; padding: 32px 20px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 16px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 0 0 8px; overflow-wrap: anywhere; }
h3 { font-size: 15px; margin: 22px 0 6px; }
section { border-top: 1px solid #e0e3e6; margin-top: 28px; padding-top: 24px; }
p { margin: 6px 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: 8px 0; }
th, td { text-align: left; vertical-align: top; padding: 4px 12px 4px 0; border-bottom: 1px solid #e9ecef; }
th { width: 190px; font-weight: 600; color: #5f6b78; }
td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.real, .fake, .open { display: inline-block; padding: 1px 10px; border-radius: 6px; color: #fff; margin-right: 6px; }
.real { background: #1f6dae; } .fake { background: #bf5200; } .open { background: #5f6b78; }
.cautions { margin: 12px 0; padding: 10px 14px 10px 32px; background: #f3f4f5; border-radius: 8px; }
.strip { display: flex; flex-wrap: wrap; gap: 6px; }
figure { margin: 0; width: 92px; } figure img { width: 92px; height: 92px; display: block; border-radius: 4px; }
figcaption { font-size: 12px; color: #5f6b78; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 12px; fill: #5f6b78; }
@media (max-width: 520px) {
  th, td { display: block; width: auto; padding-right: 0; } th { border: 0; padding-bottom: 0; }
}
@media print {
  @page { margin: 14mm; }
  body { background: #fff; font-size: 11px; } main { max-width: none; padding: 0; }
  section, table, svg, figure, .cautions, tr { break-inside: avoid; } section { break-inside: auto; }
  h2, h3 { break-after: avoid; }
}
"""


def timeline(
    times: NDArray[np.float64], p_fake: NDArray[np.float32], threshold: float, missed: NDArray[np.float64]
) -> str:
    """p_fake (T,) in [0, 1] against seconds (T,) as SVG, with the threshold and crosses where the face is missed (M,).

    The line is broken where a face is missed.
    """
    moments = np.concatenate([times, missed])
    first, last = float(moments.min()), float(moments.max())

    def across(time: float) -> float:
        return LEFT + (time - first) / max(last - first, 1e-9) * (WIDTH - LEFT - 12)

    def up(value: float) -> float:
        return TOP + (1 - value) * (HEIGHT - TOP - FOOT)

    marks = [
        f'<circle cx="{across(time):.1f}" cy="{up(value):.1f}" r="3.5" fill="{FAKE if value >= threshold else REAL}"/>'
        for time, value in zip(times.tolist(), p_fake.tolist(), strict=True)
    ]
    crosses = [
        f'<text x="{across(time):.1f}" y="{up(0) + 4:.1f}" text-anchor="middle">×</text>' for time in missed.tolist()
    ]
    labels = [
        f'<text x="{LEFT - 8}" y="{up(value) + 4:.1f}" text-anchor="end">{value:g}</text>' for value in (0, 0.5, 1)
    ]
    line = up(threshold)
    return "".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="p_fake of each frame over time">',
            f'<rect x="{LEFT}" y="{up(1):.1f}" width="{WIDTH - LEFT}" height="{line - up(1):.1f}" fill="{FAKE}"'
            ' opacity="0.07"/>',
            f'<rect x="{LEFT}" y="{line:.1f}" width="{WIDTH - LEFT}" height="{up(0) - line:.1f}" fill="{REAL}"'
            ' opacity="0.07"/>',
            f'<line x1="{LEFT}" x2="{WIDTH}" y1="{line:.1f}" y2="{line:.1f}" stroke="{NEUTRAL}"'
            ' stroke-dasharray="6 4"/>',
            f'<text x="{WIDTH - 4}" y="{line - 5:.1f}" text-anchor="end">threshold {threshold:.3f}</text>',
            *(
                f'<polyline points="{points}" fill="none" stroke="{NEUTRAL}" stroke-width="1.5"/>'
                for points in _stretches(times, p_fake, missed, across, up)
            ),
            *marks,
            *crosses,
            *labels,
            f'<text x="{LEFT}" y="{HEIGHT - 8}">{first:.2f} s</text>',
            f'<text x="{WIDTH - 4}" y="{HEIGHT - 8}" text-anchor="end">{last:.2f} s</text></svg>',
        ]
    )


def _stretches(
    times: NDArray[np.float64],
    p_fake: NDArray[np.float32],
    missed: NDArray[np.float64],
    across: Callable[[float], float],
    up: Callable[[float], float],
) -> list[str]:
    """The points of the line, a string for each stretch between missed frames."""
    gaps = np.searchsorted(np.sort(missed), times)  # missed frames before each: a stretch has the same number
    points = [
        f"{across(time):.1f},{up(value):.1f}" for time, value in zip(times.tolist(), p_fake.tolist(), strict=True)
    ]
    return [
        " ".join(point for point, before in zip(points, gaps.tolist(), strict=True) if before == gap)
        for gap in np.unique(gaps).tolist()
    ]
