"""From what a person types to a manifest: a folder, or the name of a corpus that dfd made."""

from pathlib import Path

from dfd.corpora.folder import folder
from dfd.errors import ManifestError
from dfd.manifest import Manifest, read_manifest
from dfd.paths import data_dir


def find(name: str) -> Manifest:
    """The manifest of a folder with `manifest.csv`, of one with `real/` and `fake/`, or of a sample corpus by name.

    Raises:
        ManifestError: nothing of that name is there, or its clips leak identities between splits.
    """
    for place in (Path(name), data_dir() / "sample" / name):
        if (place / "manifest.csv").is_file():
            return read_manifest(place / "manifest.csv").check()
        if place.is_dir():
            return folder(place).check()
    raise ManifestError(
        f"there is no corpus '{name}': it is neither a folder nor a sample corpus under {data_dir() / 'sample'}; "
        "name a folder with real/ and fake/ in it, or run `dfd sample` first"
    )
