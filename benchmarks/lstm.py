"""A training step of the LSTM on a CPU: dfd's recurrence beside PyTorch's own, in one run.

    python -m benchmarks.lstm [--units 2048] [--batch 8] [--repeats 7] [--lengths 10 20 40 60 80 100]

Both have the same weights, inputs and loss; a step is the forward pass and the gradients of all weights, without an
optimiser, in turns. PyTorch's own is timed in float32, in which it is faster on a CPU than in bfloat16; dfd's in
float32 and, where this machine multiplies it fast, in bfloat16. In float32 their gradients must agree to 1e-4. Both
keep what memory they free, as training does.

Limit: dfd's is no slower at any length, or it has no reason to be. Exit code 1 if it is.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.timing import line, ratio, timed
from dfd.memory import held
from dfd.models import autocast, cpu_lstm, fast_bfloat16

LIMIT, SAME = 1.0, 1e-4


def step(lstm: nn.LSTM, states_of: Callable[[], Tensor]) -> list[Tensor]:
    """One step; returns the gradients of the weights."""
    lstm.zero_grad(set_to_none=True)
    states_of().square().mean().backward()
    return [weights.grad for weights in lstm.parameters() if weights.grad is not None]


def apart(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest distance of a gradient from the expected one, in lengths of that one."""
    pairs = zip(found, expected, strict=True)
    return max(((one - other).norm() / other.norm()).item() for one, other in pairs)


def measure(units: int, batch: int, length: int, repeats: int) -> float:
    """Print what a step takes; returns the median ratio of PyTorch's time to ours at our faster."""
    torch.manual_seed(0)
    lstm, features = nn.LSTM(units, units, batch_first=True), torch.randn(batch, length, units)
    cpu = torch.device("cpu")

    def in_bfloat16() -> Tensor:
        with autocast(cpu):
            return cpu_lstm.run(lstm, features)

    work: dict[str, Callable[[], Tensor]] = {
        "PyTorch, float32": lambda: lstm(features)[0],
        "dfd, float32": lambda: cpu_lstm.run(lstm, features),
    }
    distance = apart(step(lstm, work["dfd, float32"]), step(lstm, work["PyTorch, float32"]))
    if distance > SAME:
        raise SystemExit(f"the gradients are {distance:.1e} from PyTorch's, more than {SAME:.0e}")
    if fast_bfloat16(cpu):
        work["dfd, bfloat16"] = in_bfloat16
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(repeats + 1):  # in turns, so that what else the machine does falls on all; the first warms up
        for name, states_of in work.items():
            took = timed(lambda states_of=states_of: step(lstm, states_of))
            if turn:
                seconds[name].append(took)
    for name, values in seconds.items():
        print(line(f"{length} frames, {name}", values))
    ours = min((values for name, values in seconds.items() if name.startswith("dfd")), key=statistics.median)
    ratios = [theirs / mine for theirs, mine in zip(seconds["PyTorch, float32"], ours, strict=True)]
    return ratio(f"{length} frames, PyTorch / dfd", ratios, LIMIT)


def main() -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("units", 2048), ("batch", 8), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 20, 40, 60, 80, 100])
    asked = parser.parse_args()
    with held():
        ratios = [measure(asked.units, asked.batch, length, asked.repeats) for length in asked.lengths]
    return 0 if min(ratios) >= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
