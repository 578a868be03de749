"""A detector of the user's own: a Python file with `predict(path) -> float`, run apart from dfd.

    NAME = "my detector"        # optional; the file's name if there is none
    THRESHOLD = 0.5             # optional; chosen on validation clips if there is none

    def predict(path):          # of a clip as it lies in its corpus: a video, or a folder of pictures
        return 0.7              # p_fake from 0 to 1, or None for no verdict

The file runs in a process of its own with a limit of time a clip, so that a crash, a hang or an exception costs its
clip a verdict and nothing else. It is the user's own code: the process keeps dfd safe from mistakes, not from malice.
"""

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from dfd.errors import DetectorError
from dfd.manifest import Clip

CHILD = Path(__file__).with_name("_detector_child.py")
KEPT_AS = "detector.py"  # the file among a run's artifacts
A_CLIP = 60.0  # seconds of wall-clock time
A_START = 600.0  # to import the file, which may load a large network


@dataclass(frozen=True, slots=True)
class Source:
    """A detector's file, as it was when it was read: what was read is what runs."""

    file: Path
    text: str
    sha256: str  # of its bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a clip."""

    p_fake: float | None  # None: no verdict
    reason: str = ""  # why there is none


def read_source(file: Path) -> Source:
    """Read a detector's file without running it.

    Raises:
        DetectorError: it is missing, or no Python file.
    """
    if file.suffix != ".py":
        raise DetectorError(f"{file} is no Python file; give a .py with a function predict(path)")
    try:
        content = file.read_bytes()
        text = importlib.util.decode_source(content)
    except OSError as error:
        raise DetectorError(f"{file} cannot be read ({error.strerror}); check its name") from None
    except (SyntaxError, UnicodeDecodeError) as error:
        raise DetectorError(f"{file} is no Python text ({error}); save it in UTF-8") from None
    return Source(file.resolve(), text, hashlib.sha256(content).hexdigest())


class OwnDetector:
    """A file's detector while it is in use; see `opened`."""

    def __init__(self, source: Source, a_clip: float, a_start: float) -> None:
        self._source, self._a_clip, self._a_start = source, a_clip, a_start
        self._child: _Child | None = None
        facts = self._started().facts
        self.name: str = facts["name"]
        self.threshold: float | None = facts["threshold"]  # where the file sets one
        self.sha256 = source.sha256
        self.text = source.text

    def judge(self, clip: Clip) -> Answer:
        """What the detector says of a clip.

        Raises:
            DetectorError: `predict` gave what is neither a number from 0 to 1 nor None, or the file, started again
                after a crash, is no detector any more.
        """
        if not clip.path.exists():
            return Answer(None, f"there is no file {clip.path}")
        child = self._started()
        try:
            reply = child.ask({"path": str(clip.path)}, self._a_clip)
        except _Ended as ended:
            self.close()  # the next clip gets a new process
            return Answer(None, str(ended))
        if "wrong" in reply:
            raise DetectorError(
                f"{self._source.file}: predict gave {reply['wrong']} for clip '{clip.clip_id}' ({clip.path}); return "
                "p_fake as a number from 0 to 1, or None for no verdict"
            )
        if "failed" in reply:
            return Answer(None, reply["failed"])
        return Answer(reply["p_fake"], "" if reply["p_fake"] is not None else "predict gave no verdict")

    def close(self) -> None:
        """End the process and all it has started."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _started(self) -> "_Child":
        if self._child is None:
            self._child = _Child(self._source, self._a_start)
        return self._child


@contextmanager
def opened(file: Path, *, a_clip: float = A_CLIP, a_start: float = A_START) -> Iterator[OwnDetector]:
    """A detector of the user's own, for the block.

    Args:
        file: see the top of this module.
        a_clip: seconds of wall-clock time for a clip; with a crash or a hang the process starts again for the next.
        a_start: seconds for the file to be imported.

    Raises:
        DetectorError: the file is no detector.
    """
    detector = OwnDetector(read_source(file), a_clip, a_start)
    try:
        yield detector
    finally:
        detector.close()


class _Ended(Exception):
    """The process ended, or was ended, without a reply; the message says how."""


class _Child:
    """One process, its two pipes, and what the file says of itself."""

    def __init__(self, source: Source, limit: float) -> None:
        # By path and with -P, so that it starts from any folder and never sees dfd's modules as top-level ones. A
        # session of its own: what the user's file starts can be ended with it.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self._requests = cast(TextIO, self._process.stdin)
        self._replies = cast(TextIO, self._process.stdout)
        try:
            self.facts = self.ask({"file": str(source.file), "text": source.text}, limit)
        except _Ended as ended:
            raise DetectorError(f"{source.file} cannot be used as a detector: while it was imported {ended}") from None
        except BaseException:
            self.end()
            raise
        if "refused" in self.facts:
            self.end()
            raise DetectorError(f"{source.file} cannot be used as a detector: {self.facts['refused']}")

    def ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        """The reply to a request.

        Raises:
            _Ended: there is none within `limit` seconds, or the process ends instead; it is gone then.
        """
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._kill()

        timer = threading.Timer(limit, expire)
        timer.daemon = True
        timer.start()
        try:
            with suppress(BrokenPipeError):  # a process that is gone says nothing either
                self._requests.write(json.dumps(request) + "\n")
                self._requests.flush()
            line = self._replies.readline()
        finally:
            timer.cancel()
            timer.join()  # or it might end the process just now, in the midst of the next clip
        if line.endswith("\n") and not expired.is_set():
            reply: dict[str, Any] = json.loads(line)
            return reply
        code = self.end()
        if expired.is_set():
            raise _Ended(f"it took longer than {limit:g} s and was stopped")
        raise _Ended(f"it crashed ({_signal_name(-code) if code < 0 else f'exit code {code}'})")

    def end(self) -> int:
        """End the process with what it has started; returns its exit code."""
        self._kill()
        code = self._process.wait()
        self._replies.close()
        with suppress(OSError):  # what was still to be written has nobody to read it
            self._requests.close()
        return code

    def _kill(self) -> None:
        if self._process.returncode is not None:  # its number may be another process's by now
            return
        if not hasattr(os, "killpg"):  # Windows
            self._process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):  # all of them have ended; macOS says so the second way
            os.killpg(self._process.pid, signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
