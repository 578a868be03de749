"""Work spread over a cluster by Ray Data: the only importer of ray. `requirements-cluster.txt` has what it needs.

`RAY_ADDRESS` names a running cluster; without it Ray starts on this machine and ends with this process. Every machine
needs dfd installed, and sees the clips under the same paths (shared storage) or by the same URLs.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from dfd.errors import DfdError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray starts

Job = TypeVar("Job")
Result = TypeVar("Result")


def run(
    start: Callable[[], Callable[[Job], Result]], jobs: Sequence[Job], workers: int, gpus: float = 0.0
) -> Iterator[Result]:
    """As `pool.run`, with Ray actors for workers: `start` is called once an actor.

    Args:
        workers: actors.
        gpus: share of a GPU that an actor takes; 0.25 puts four on one.

    Raises:
        DfdError: Ray is not installed, there is no such cluster, or an actor's process was ended from outside.
    """
    try:
        import ray
        from ray.exceptions import RayError
    except ImportError:
        raise DfdError("Ray is not installed; run `pip install -r requirements-cluster.txt`") from None

    class Actor:
        def __init__(self) -> None:
            self._work = start()

        def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
            return {"result": self._work(row["item"])}

    mine = not ray.is_initialized()
    try:
        if mine:
            address = os.environ.get("RAY_ADDRESS")
            local = {} if address else {"num_cpus": workers, "include_dashboard": False}
            ray.init(address=address, log_to_driver=False, **local)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # A block a few jobs: work is shared out evenly, and results come back while others are at work.
        blocks = max(1, min(len(jobs), 10_000, max(len(jobs) // 8, 4 * workers)))
        rows = ray.data.from_items([{"item": job} for job in jobs], override_num_blocks=blocks)
        done = rows.map(Actor, compute=ray.data.ActorPoolStrategy(size=workers), num_cpus=1, num_gpus=gpus or None)
        for row in done.iter_rows():
            yield row["result"]
    except (RayError, ConnectionError) as error:
        raise DfdError(f"the cluster failed: {str(error).strip().splitlines()[-1]}; what is done is kept") from None
    finally:
        if mine:
            ray.shutdown()
