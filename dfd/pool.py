"""Work spread over the cores of this machine: one process a worker, one core a process."""

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from dfd.errors import DfdError

WAITING = 4  # jobs handed out a worker: enough that none idles, few enough that memory stays flat over 100,000 jobs


Job = TypeVar("Job")
Result = TypeVar("Result")


def run(start: Callable[[], Callable[[Job], Result]], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """The result of every job, in the order they get done.

    Args:
        start: called once in every worker process; makes the function that does a job, with what it keeps between
            jobs (a loaded network). It, jobs and results travel between processes. A job's errors end the run.
        jobs: drawn as they are needed.
        workers: processes. With 1 this process does the work, on one core.

    Raises:
        DfdError: a worker process was ended from outside.
    """
    if workers <= 1:
        from dfd.threads import one_thread  # not above: the parent of other processes need not wait for torch

        with one_thread():
            yield from map(start(), jobs)
        return
    queue = iter(jobs)
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's thread pools in an unknown state
    with ProcessPoolExecutor(workers, context, _begin, (start,)) as pool:
        try:
            waiting = {pool.submit(_do, job) for job in itertools.islice(queue, WAITING * workers)}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                waiting |= {pool.submit(_do, job) for job in itertools.islice(queue, len(done))}
                yield from map(Future.result, done)
        except BrokenProcessPool:
            raise DfdError(
                "a worker process was ended from outside, most likely for want of memory; "
                "run the same again with fewer workers: what is done is kept"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


_work: Callable[[Any], Any] | None = None  # of a worker process


def _begin(start: Callable[[], Callable[[Any], Any]]) -> None:
    global _work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)
    _work = start()


def _do(job: Any) -> Any:
    assert _work is not None
    return _work(job)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next job for ever, and hold its memory."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
