"""What torch computes on here."""

import os

import psutil
import torch

GIB = 2**30


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def described() -> str:
    """`best_device` in words: the GPU and its memory, or the CPU, its cores and the machine's memory."""
    if best_device().type == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        return f"{gpu.name}, {gpu.total_memory / GIB:.0f} GiB"
    cores, memory = os.cpu_count(), psutil.virtual_memory().total
    return f"CPU, {cores} {'core' if cores == 1 else 'cores'}, {memory / GIB:.0f} GiB memory; no GPU that torch can use"
