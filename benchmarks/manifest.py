"""How long a corpus of DFDC's size takes from its folder to a manifest that is divided, checked, written and read.

    python -m benchmarks.manifest [--clips 128000]

Empty files are laid out in a temporary folder as DFDC's parts are, with its share of fakes; nothing is decoded. Listing
includes dividing, which is timed alone as well. Limit: 60 s for everything but making the files. Exit code 1 above it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dfd.corpora.dfdc import dfdc
from dfd.manifest import read_manifest
from dfd.splits import divide

LIMIT = 60.0  # seconds
PARTS = 50
FAKES = 104_500 / 128_154  # share of the full set

Result = TypeVar("Result")


def make_tree(root: Path, clips: int) -> None:
    """Parts with metadata.json and empty files; every fake has an original in its part."""
    for part in range(PARTS):
        folder = root / f"dfdc_train_part_{part}"
        folder.mkdir(parents=True)
        count = clips // PARTS + (part < clips % PARTS)
        reals = max(1, round(count * (1 - FAKES)))
        names = [f"{part:02}{number:08x}.mp4" for number in range(count)]
        metadata: dict[str, dict[str, str]] = {name: {"label": "REAL", "split": "train"} for name in names[:reals]}
        for number, name in enumerate(names[reals:]):
            metadata[name] = {"label": "FAKE", "split": "train", "original": names[number % reals]}
        for name in names:
            (folder / name).touch()
        (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")


def timed(what: str, work: Callable[[], Result], seconds: dict[str, float]) -> Result:
    """The result of some work, whose wall time goes into `seconds`."""
    started = time.perf_counter()
    result = work()
    seconds[what] = round(time.perf_counter() - started, 2)
    print(f"  {what:<24}{seconds[what]:7.2f} s", flush=True)
    return result


def main() -> int:
    """Measure, print every step and a JSON line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=128_000)
    asked = parser.parse_args()
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        root, path = Path(folder) / "dfdc", Path(folder) / "registered" / "manifest.csv"
        make_tree(root, asked.clips)
        print(f"{asked.clips} clips in {PARTS} parts")
        listing = timed("list and divide", lambda: dfdc(root, name="dfdc"), seconds)
        timed("check", listing.manifest.check, seconds)
        timed("digest", listing.manifest.digest, seconds)
        timed("write", lambda: listing.manifest.write(path), seconds)
        again = timed("read", lambda: read_manifest(path), seconds)
        total = sum(seconds.values())
        timed("(divide alone)", lambda: divide(listing.manifest), seconds)
        if len(again) != asked.clips or again != listing.manifest:
            raise SystemExit("what was read is not what was listed")
    print(json.dumps({"seconds": round(total, 1), "limit": LIMIT, "clips": asked.clips}))
    return 0 if total <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
