"""One Milvus collection behind calls that end: every one has a deadline, retries and one line.

pymilvus retries what the network lost, with growing pauses, up to the deadline it is given; what
the server itself says it cannot do yet is tried again here, by the same rule. Nothing is upserted:
Milvus 2.3 files upserted rows under the wrong partition, where a search of one patient misses them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from index.errors import MilvusError, MilvusUnavailableError
from index.milvus.expression import OWN_ROWS
from index.milvus.schema import PARTITIONS, Entity, Owner, SyncState, collection_schema

FIRST_PAUSE_S = 0.2
"""Before the second try; each pause is twice the one before it."""

CONNECT_TRIES = 4
"""A refused connection is an answer: it is tried so often, not until the deadline."""

SLOW_CALL_S = 60.0
"""The deadline of making, loading or dropping a collection."""

MOST_HITS = 16_384
"""Milvus' limit of hits and of rows that one call returns."""

STRONG, SESSION, BOUNDED = "Strong", "Session", "Bounded"
"""Consistency: all that is acknowledged; all that this client wrote last; all but the newest."""

_SCHEMES = ("http", "https", "tcp")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_NOT_FOUND = 100
# Milvus' merr: not ready, unavailable, collection recovering, no replica, channel or node yet.
_NOT_YET = frozenset({1, 2, 106, 401, 501, 502, 503, 901})
_REFUSED_SIGNS = ("UNAUTHENTICATED", "PERMISSION_DENIED")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MilvusSettings:
    """Where the vectors are: the server's address, the collection, the token if it asks for one.

    ``timeout_s`` bounds every call, retries included. Raises MilvusError for an address or a name
    that Milvus has not.
    """

    uri: str
    collection: str = "lesions"
    token: str = field(default="", repr=False)
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if urlsplit(self.uri).scheme not in _SCHEMES:
            raise MilvusError(
                f"{self.shown_uri!r} is not the address of a Milvus server: write it as "
                "http://host:19530"
            )
        if not _NAME.fullmatch(self.collection):
            raise MilvusError(
                f"{self.collection!r} cannot be a Milvus collection: letters, digits and "
                "underscores, not a digit first"
            )

    @property
    def shown_uri(self) -> str:
        """The address without the user and password it may hold."""
        head, at, tail = self.uri.rpartition("@")
        return f"{head.partition('://')[0]}://{tail}" if at else self.uri


class MilvusCollection:
    """The calls the store needs, on one collection; safe to share between threads."""

    def __init__(self, settings: MilvusSettings) -> None:
        """Connects.

        Raises:
            MilvusUnavailableError: nothing answers there.
            MilvusError: pymilvus is not installed, or the server refuses the token.
        """
        self.settings = settings
        self.name = settings.collection
        self._client, self._data_type = _connected(settings)

    def server_version(self) -> str:
        """What the server says it is."""
        return str(self._call(self._client.get_server_version))

    def owner(self) -> Owner | None:
        """Whose vectors the collection holds; None if there is no such collection."""
        if not self._call(self._client.has_collection, collection_name=self.name):
            return None
        said = self._call(self._client.describe_collection, collection_name=self.name)
        return Owner.parse(said.get("description", ""), self.name)

    def create(self, owner: Owner) -> None:
        """Makes the collection, exact and empty, and loads it."""
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="IP")
        self._call(
            self._client.create_collection,
            timeout_s=SLOW_CALL_S,
            collection_name=self.name,
            schema=collection_schema(self._client, self._data_type, owner),
            index_params=index,
            consistency_level=BOUNDED,
            num_partitions=PARTITIONS,
        )

    def load(self) -> None:
        """Has the server hold the collection ready for searches; at once if it does."""
        arguments = {"collection_name": self.name}
        self._call(self._client.load_collection, timeout_s=SLOW_CALL_S, **arguments)

    def drop(self) -> None:
        """Deletes the collection with all it holds."""
        arguments = {"collection_name": self.name}
        self._call(self._client.drop_collection, timeout_s=SLOW_CALL_S, **arguments)

    def insert(self, entities: Sequence[Entity]) -> None:
        """Writes entities of rows that are not there."""
        self._call(self._client.insert, collection_name=self.name, data=list(entities))

    def delete(self, rows: Sequence[int]) -> None:
        """Deletes rows; those that are not there cost nothing."""
        self._call(self._client.delete, collection_name=self.name, ids=list(rows))

    def sync_state(self, consistency: str) -> SyncState:
        """What the newest of the collection's own rows says; ``SyncState()`` if it has none."""
        found = self._query(f"row <= {OWN_ROWS}", ["row", "lesion_id"], consistency)
        return max(
            (SyncState.of(one) for one in found), key=lambda one: -one.row, default=SyncState()
        )

    def set_sync_state(self, sync_state: SyncState, dimension: int) -> SyncState:
        """Writes a sync state under a row of its own, then deletes those before it.

        A kill between the two leaves both, of which the newer counts.
        """
        before = [int(one["row"]) for one in self._query(f"row <= {OWN_ROWS}", ["row"], SESSION)]
        newest = replace(sync_state, row=min(before, default=OWN_ROWS + 1) - 1)
        self.insert([newest.to_entity(dimension)])
        if before:
            self.delete(before)
        return newest

    def stamps(
        self, first: int, last: int | None = None, *, consistency: str = STRONG
    ) -> dict[int, int]:
        """Row -> stamp of what is held from row ``first`` to ``last``, at most ``MOST_HITS``."""
        found = self._query(_between(first, last), ["row", "stamp"], consistency)
        return {int(one["row"]): int(one["stamp"]) for one in found}

    def count(self, first: int = OWN_ROWS + 1, last: int | None = None) -> int:
        """How many lesions it holds, rows written twice counted twice; all acknowledged ones."""
        found = self._query(_between(first, last), ["count(*)"], STRONG)
        return int(found[0]["count(*)"])

    def search(
        self, vectors: NDArray[np.float32], *, k: int, condition: str, consistency: str
    ) -> list[list[tuple[int, float]]]:
        """(row, inner product) of the ``k`` nearest of each query (q, dimension), best first."""
        found = self._call(
            self._client.search,
            collection_name=self.name,
            data=list(vectors),
            anns_field="vector",
            filter=condition,
            limit=k,
            search_params={"metric_type": "IP"},
            consistency_level=consistency,
        )
        return [[(int(hit["id"]), float(hit["distance"])) for hit in hits] for hits in found]

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def _query(self, condition: str, fields: list[str], consistency: str) -> list[Any]:
        arguments: dict[str, Any] = {} if fields == ["count(*)"] else {"limit": MOST_HITS}
        return list(
            self._call(
                self._client.query,
                collection_name=self.name,
                filter=condition,
                output_fields=fields,
                consistency_level=consistency,
                **arguments,
            )
        )

    def _call(self, method: Callable[..., T], *, timeout_s: float = 0.0, **arguments: Any) -> T:
        allowed_s = max(timeout_s, self.settings.timeout_s)
        end, pause_s = time.monotonic() + allowed_s, FIRST_PAUSE_S
        while True:
            try:
                return method(timeout=max(end - time.monotonic(), FIRST_PAUSE_S), **arguments)
            except Exception as error:
                if not _may_pass(error) or time.monotonic() + pause_s >= end:
                    raise _translation(error, self.settings) from error
            time.sleep(pause_s)
            pause_s *= 2


def _between(first: int, last: int | None) -> str:
    return f"row >= {first}" + ("" if last is None else f" and row <= {last}")


def _connected(settings: MilvusSettings) -> tuple[Any, Any]:
    try:
        from pymilvus import DataType, MilvusClient
    except ImportError:
        raise MilvusError("Milvus needs its client: pip install 'lesion-search[milvus]'") from None
    pause_s = FIRST_PAUSE_S
    for left in reversed(range(CONNECT_TRIES)):
        try:
            client = MilvusClient(
                settings.uri,
                token=settings.token,
                timeout=settings.timeout_s / CONNECT_TRIES,
                dedicated=True,
            )
            return client, DataType
        except Exception as error:
            if not left or not _may_pass(error):
                raise _translation(error, settings) from error
        time.sleep(pause_s)
        pause_s *= 2
    raise AssertionError("the last try returns or raises")


def _may_pass(error: Exception) -> bool:
    """Whether the same call may succeed a little later."""
    return bool(getattr(error, "retriable", False)) or _code(error) in _NOT_YET


def _code(error: Exception) -> Any:
    """Milvus' error code, or gRPC's status, which pymilvus offers as a method."""
    code: Any = getattr(error, "code", None)
    return code() if callable(code) else code


def _translation(error: Exception, settings: MilvusSettings) -> MilvusError:
    code = _code(error)
    where = f"the Milvus server {settings.shown_uri}"
    reason = " ".join(str(getattr(error, "message", "") or error).split())[:300]
    if any(sign in f"{code} {reason}" for sign in _REFUSED_SIGNS):
        return MilvusError(
            f"{where} refuses the token: set LESION_SEARCH_MILVUS_TOKEN to user:password or a token"
        )
    if code == _NOT_FOUND:
        return MilvusError(
            f"{where} has no collection {settings.collection!r}: run `lesion-search index sync "
            f"--milvus {settings.shown_uri} --collection {settings.collection}`"
        )
    if not isinstance(code, int) or code in _NOT_YET or "timeout" in reason.lower():
        return MilvusUnavailableError(
            f"{where} does not answer within {settings.timeout_s:g} s: start it or check the "
            "address, and run the same command again; the index itself is untouched"
        )
    return MilvusError(f"{where} refused the request ({reason}, code {code})")
