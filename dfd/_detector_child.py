"""The child process that runs a detector of the user's own, a clip at a time; `own_detector.py` is the other end.

It is started by path, so that nothing of dfd's is on its way but the package itself, which the user's file may import.
Requests and replies are JSON objects, one a line. The first request is {"file", "text"}: the file's place and what it
says; its reply is {"name", "threshold"} or {"refused": why}. Every other one is {"path"} of a clip, and its reply one
of {"p_fake": number, or null for no verdict}, {"failed": why} and {"wrong": what came instead of a number}.
"""

import json
import numbers
import os
import queue
import reprlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

MODULE = "dfd_own_detector"  # not the file's name, which may be that of something it imports
ROOT = Path(__file__).resolve().parent.parent


class Refusal(Exception):
    """The file is no detector; the message says why."""


def load(file: Path, text: str) -> ModuleType:
    """Run the user's file as a module; what lies beside it can be imported.

    Raises:
        Refusal: it fails, or has no predict.
    """
    sys.path[:0] = [str(file.parent)]
    sys.path.append(str(ROOT))
    module = ModuleType(MODULE)
    module.__file__ = str(file)
    sys.modules[MODULE] = module
    try:
        exec(compile(text, str(file), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise Refusal(f"it cannot be imported: {explained(error, file)}") from None
    if not callable(getattr(module, "predict", None)):
        raise Refusal("it has no function predict(path)")
    return module


def about(module: ModuleType, file: Path) -> dict[str, Any]:
    """What the file says of itself.

    Raises:
        Refusal: NAME is no name, or THRESHOLD no number from 0 to 1.
    """
    name, threshold = getattr(module, "NAME", file.stem), getattr(module, "THRESHOLD", None)
    if not isinstance(name, str) or not name.strip() or len(name.splitlines()) > 1:
        raise Refusal(f"its NAME is {reprlib.repr(name)}, not a line of text")
    if threshold is not None and probability(threshold) is None:
        raise Refusal(f"its THRESHOLD is {reprlib.repr(threshold)}, not a number from 0 to 1")
    return {"name": name.strip(), "threshold": None if threshold is None else float(threshold)}


def judge(predict: Callable[[str], Any], path: str, file: Path) -> dict[str, Any]:
    """The reply for one clip."""
    try:
        said = predict(path)
    except (Exception, SystemExit) as error:
        return {"failed": explained(error, file)}
    if said is None:
        return {"p_fake": None}
    found = probability(said)
    return {"wrong": reprlib.repr(said)} if found is None else {"p_fake": found}


def probability(value: Any) -> float | None:
    """A number from 0 to 1, or None for everything else: NaN, True (which is a decision), an array."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    number = float(value)
    return number if 0 <= number <= 1 else None


def explained(error: BaseException, file: Path) -> str:
    """An error in a line, with the line of the user's file it came through last."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{' '.join(f'{type(error).__name__}: {error}'.split())[:300]}{where}"


def listen(requests: TextIO, waiting: "queue.SimpleQueue[str]") -> None:
    """Hand on what is asked, and end the process, whatever it is at, when there is nobody left to ask."""
    for line in requests:
        waiting.put(line)
    os._exit(0)


def private_pipes() -> tuple[TextIO, TextIO]:
    """The two pipes of the protocol; what the file prints goes to standard error, and it has nothing to read."""
    asked, told = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return os.fdopen(asked, encoding="utf-8"), os.fdopen(told, "w", encoding="utf-8")


def main() -> None:
    """Answer requests until the parent closes its pipe."""
    requests, replies = private_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it closes the pipe
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(requests, waiting), daemon=True).start()

    def reply(facts: dict[str, Any]) -> None:
        replies.write(json.dumps(facts) + "\n")
        replies.flush()

    first = json.loads(waiting.get())
    file = Path(first["file"])
    try:
        module = load(file, first["text"])
        reply(about(module, file))
    except Refusal as refusal:
        reply({"refused": str(refusal)})
        return
    while True:
        reply(judge(module.predict, json.loads(waiting.get())["path"], file))


if __name__ == "__main__":
    main()
