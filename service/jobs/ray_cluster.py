"""The little that a bulk job needs of Ray: start actors, call them, wait, notice the dead."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrieval.lesion import LesionSearchError

LOCAL = "local"
"""The address that stands for a cluster of this machine alone, started and stopped by the job."""

CONNECT_TIMEOUT_S = 5.0
LOCAL_OBJECT_STORE_BYTES = 128 << 20
"""An encoder and a few shards; Ray would take a third of the memory."""


REMOVAL_S = 15.0
"""How long Ray's folder is tried to be removed."""

_SCRATCH = "lesion-ray-"

logger = logging.getLogger(__name__)


class RayClusterError(LesionSearchError):
    """A cluster that cannot be used: no Ray here, no such address, no processor in it."""


class WorkerLostError(Exception):
    """The actor that was to answer is gone, or its machine is; the message says how Ray knows."""


class RayCluster:
    """A cluster this process is connected to; get one from ``connected``."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def room(self, *, gpus_per_worker: float) -> int:
        """How many workers fit: one a processor, or one a share of a GPU.

        Raises:
            RayClusterError: not even one does.
        """
        offered = self._ray.cluster_resources()
        room = int(offered.get("CPU", 0))
        if gpus_per_worker > 0:
            room = min(room, int(offered.get("GPU", 0) / gpus_per_worker))
        if room < 1:
            raise RayClusterError(
                f"the cluster offers {offered.get('CPU', 0):g} processors and "
                f"{offered.get('GPU', 0):g} GPUs, too little for one worker: add a machine with "
                "`ray start --address ...`, or ask for less"
            )
        return room

    def share(self, content: Any) -> Any:
        """Puts a value into the object store once, for every call it is given to."""
        return self._ray.put(content)

    def start(self, worker: type, *arguments: Any, gpus: float = 0.0) -> Any:
        """An actor of a class on one processor. It may wait for room; never does this call.

        Ray starts no dead actor again by itself: the job does, and knows what to send it.
        """
        remote = self._ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(worker)
        return remote.remote(*arguments)

    def call(self, actor: Any, method: str, *arguments: Any) -> Any:
        """Asks an actor; ``result`` of what this returns is the answer."""
        return getattr(actor, method).remote(*arguments)

    def first_done(self, asked: Sequence[Any], *, timeout_s: float) -> Any | None:
        """One of the calls that is answered or lost; None if none is in time."""
        done, _ = self._ray.wait(list(asked), num_returns=1, timeout=timeout_s)
        return done[0] if done else None

    def result(self, asked: Any) -> Any:
        """The answer to a call.

        Raises:
            WorkerLostError: there will be none.
        """
        try:
            return self._ray.get(asked)
        except self._ray.exceptions.RayTaskError:
            raise  # a defect of the program, with the worker's own traceback
        except self._ray.exceptions.RayError as error:
            raise WorkerLostError(_first_line(error)) from error

    def stop(self, actor: Any) -> None:
        """Ends an actor, dead or alive."""
        self._ray.kill(actor)


@contextmanager
def connected(address: str) -> Iterator[RayCluster]:
    """The cluster at ``HOST:PORT``, or one of this machine for ``local``; left when done.

    Raises:
        RayClusterError: Ray is not installed, nothing answers there, or it cannot be joined.
    """
    # Nothing about a hospital's archive leaves it: Ray's usage reports stay off unless asked for.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise RayClusterError(
            "Ray is not installed: `pip install 'lesion-search[ray]'`, or build without --ray"
        ) from None
    if ray.is_initialized():
        raise RayClusterError("this process is connected to a Ray cluster: leave it first")
    handler = signal.getsignal(signal.SIGTERM)
    with _scratch_folder() as scratch:
        try:
            ray.init(**_settings(ray, address, str(scratch)))
        except (OSError, RuntimeError, ValueError) as error:
            if isinstance(error, RayClusterError):
                raise
            raise RayClusterError(
                f"the Ray cluster {address} cannot be joined ({_first_line(error)}): the command "
                "runs on one of its machines, with the same versions of Python and Ray"
            ) from error
        finally:
            _restore(handler)
        try:
            yield RayCluster(ray)
        finally:
            ray.shutdown()


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """A folder for Ray's sockets and logs, gone at the end; what killed jobs left goes as well.

    Ray makes its own folder open to everybody (0777): it lies in one that is the owner's alone.
    """
    _sweep()
    outer = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-"))
    try:
        yield outer / "r"
    finally:
        # Ray's processes end a moment after it says that they have, and write until then.
        deadline = time.monotonic() + REMOVAL_S
        while outer.exists() and time.monotonic() < deadline:
            shutil.rmtree(outer, ignore_errors=True)
            time.sleep(0.1)
        if outer.exists():
            logger.warning("Ray's folder %s could not be removed", outer)


def _sweep() -> None:
    """Removes folders of this account's jobs that are no longer there."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*"):
        number = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        is_ours = not folder.is_symlink() and folder.lstat().st_uid == os.getuid()
        if is_ours and number.isdecimal() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _restore(handler: Any) -> None:
    """Takes SIGTERM back: ``ray.init`` handles it by an exit without a word."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _settings(ray: Any, address: str, scratch: str) -> dict[str, Any]:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        return {
            **quiet,
            "address": LOCAL,
            "include_dashboard": False,
            "object_store_memory": LOCAL_OBJECT_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": scratch,
        }
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise RayClusterError(
            f"--ray {address!r} is no address of a cluster: HOST:PORT, as `ray start --head` "
            f"prints it, or {LOCAL!r}"
        )
    _refuse_silence(host, int(port))
    if host in {"localhost", "127.0.0.1"}:
        # Ray goes to the machine's own address instead, and would try that for minutes.
        _refuse_silence(ray.util.get_node_ip_address(), int(port))
    return {**quiet, "address": address}


def _refuse_silence(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise RayClusterError(
            f"no Ray cluster answers at {host}:{port} ({error}): start one with `ray start "
            f"--head`, check the address, or use --ray {LOCAL}"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
