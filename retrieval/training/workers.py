"""This process among those that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn

_Result = TypeVar("_Result")


class Workers:
    """This process among those that torchrun started; alone where it started none.

    Attributes:
        rank: this process' number, from 0.
        count: how many there are.
        leads: whether this one writes what only one may write.
        device: where this one computes.
    """

    def __init__(self, device: str | None) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.leads = self.rank == 0
        local = int(os.environ.get("LOCAL_RANK", "0"))
        default = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device or default)

    def __enter__(self) -> Workers:
        if self.count > 1:
            # The others wait while the first cuts patches: an hour and more on a full archive.
            dist.init_process_group(
                "nccl" if self.device.type == "cuda" else "gloo", timeout=timedelta(days=1)
            )
        return self

    def __exit__(self, *error: object) -> None:
        if self.count > 1:
            dist.destroy_process_group()

    def wait(self) -> None:
        """Until every process has come here."""
        if self.count > 1:
            dist.barrier()

    def leader_first(self, work: Callable[[], _Result]) -> _Result:
        """The work's result, done by the leading process before the others begin.

        What one process writes, as a cache, is then only read by the others.
        """
        if not self.leads:
            self.wait()
            return work()
        result = work()
        self.wait()
        return result

    def replicate(self, model: nn.Module) -> nn.Module:
        """The model whose gradients are averaged over all processes."""
        if self.count == 1:
            return model
        return cast(nn.Module, nn.parallel.DistributedDataParallel(model))
