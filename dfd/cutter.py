"""One clip cut: its longest face track becomes a face-only video, or a reason why there is none."""

import hashlib
import json
import logging
import re
from pathlib import Path

import torch

from dfd import storage
from dfd.errors import DfdError
from dfd.face_only import ENCODING, FORMAT, describe, frames_in, side
from dfd.faces import FaceClip, FaceFinder, Reading, no_face_message, search
from dfd.jobs import Job, Outcome, OutError, writing
from dfd.pictures import RATE, fingerprint, read_folder
from dfd.recipe import CropRecipe
from dfd.video import write_video

log = logging.getLogger(__name__)

PATIENCE = 600.0  # seconds to decode a clip: what hangs must end, but a busy machine must cost no clip


class Cutter:
    """Does jobs of one recipe: MTCNN is loaded once, on the GPU where there is one.

    A worker counts as one core, for the pool as for a cluster's scheduler: it and its decoder take turns, unless the
    decoder may go `ahead` because other cores have nothing to do.
    """

    def __init__(self, recipe: CropRecipe, *, ahead: bool = False) -> None:
        self._reading = Reading(PATIENCE, ahead)
        self._finder = FaceFinder(recipe, "cuda" if torch.cuda.is_available() else "cpu")

    def __call__(self, job: Job) -> Outcome:
        """Write one face-only video, or say why there is none.

        Raises:
            OutError: `job.out` cannot be read or written.
        """
        try:
            place = Path(job.source)
            if not storage.is_url(job.source) and not (place.is_file() or place.is_dir()):  # a pipe would be waited for
                return Outcome(job.place, reason=f"there is no file {job.source}; check the manifest")
            with storage.fetched(job.source) as path:
                return self._cut(job, path)
        except OutError:
            raise
        except DfdError as error:
            return Outcome(job.place, reason=str(error))
        except OSError as error:
            why = f"{job.source} cannot be read ({error.strerror}); check its name, permissions and disk"
            return Outcome(job.place, reason=why)
        except Exception as error:  # a fault of ours, but one clip's: the others are not to wait until it is mended
            log.exception("%s", job.source)
            why = f"dfd itself failed on {job.source} ({type(error).__name__}: {error}); report it with the clip"
            return Outcome(job.place, reason=" ".join(why.split()))

    def _cut(self, job: Job, path: Path) -> Outcome:
        album = path.is_dir()
        sha256 = fingerprint(path) if album else _sha256(path)
        file = _file(job, sha256, self._finder.recipe)
        if (frames := _there(job, file)) is not None:
            return Outcome(job.place, file, frames, sha256[:16])
        if album:
            face = read_folder(path, self._finder.recipe)
            _write(job, file, face, faces=1, fps=RATE)
        else:
            found = search(path, self._finder, most=1, reading=self._reading)
            if not found.clips:
                return Outcome(job.place, reason=no_face_message(Path(job.source), found.looked_at))
            face = found.clips[0]
            _write(job, file, face, faces=found.faces, fps=found.info.fps)
        return Outcome(job.place, file, len(face.crops), sha256[:16], made=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file(job: Job, sha256: str, recipe: CropRecipe) -> str:
    asked = f"{FORMAT} {ENCODING} {recipe.key()} {job.corpus} {job.clip_id} {sha256}"
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", job.clip_id)[-80:]
    return f"clips/{name}.{hashlib.sha256(asked.encode()).hexdigest()[:12]}.mp4"


def _there(job: Job, file: str) -> int | None:
    """Crops of a face-only video; None where there is none, or none that is whole."""
    with writing(job.out):
        if not storage.exists(storage.join(job.out, file)):
            return None
        return frames_in(storage.read_text(storage.join(job.out, side(Path(file)).as_posix())))


def _write(job: Job, file: str, face: FaceClip, *, faces: int, fps: float) -> None:
    facts = describe(face, clip_id=job.clip_id, source=job.source, faces=faces)
    with writing(job.out):
        with storage.written(storage.join(job.out, file)) as part:
            write_video(part, face.crops, fps, **ENCODING)
        # Last: it says that the video is whole.
        storage.write_text(storage.join(job.out, side(Path(file)).as_posix()), json.dumps(facts, allow_nan=False))
