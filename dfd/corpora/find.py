"""From what a person types to a manifest: a folder, or the name of a corpus that dfd made."""

from collections.abc import Callable
from pathlib import Path

from dfd import storage
from dfd.corpora.folder import folder
from dfd.errors import ManifestError
from dfd.manifest import Clip, Manifest, read_manifest
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


def located(name: str) -> tuple[Manifest, Callable[[Clip], str]]:
    """As `find`, and where each clip lies: `name` may also be the URL of a manifest with paths relative to it.

    Raises:
        DfdError: nothing of that name is there, or it cannot be read.
    """
    if not storage.is_url(name):
        return find(name), lambda clip: str(clip.path)
    with storage.fetched(name) as path:
        folder, manifest = path.parent.resolve(), read_manifest(path).check()
    base = name.rpartition("/")[0]

    outside = next((clip for clip in manifest if not clip.path.is_relative_to(folder)), None)
    if outside is not None:
        raise ManifestError(f"{name}: the path of '{outside.clip_id}' is not relative to the manifest; make it so")

    def source(clip: Clip) -> str:
        return storage.join(base, clip.path.relative_to(folder).as_posix())

    return manifest, source
