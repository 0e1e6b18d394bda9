"""Engines of benchmarks/search.py that are servers or come from an environment of their own.

Each searches exactly, with the index on patients that its own documentation advises.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from search_task import HITS, LESIONS_A_PATIENT, TYPES, Only, Work

NAME = "search_benchmark"


class MilvusServer:
    """FLAT on a Milvus server, the patient as partition key."""

    def __init__(self, work: Work) -> None:
        self._client = self._connected(work)
        self._fill(work)

    def _connected(self, work: Work) -> Any:
        from pymilvus import MilvusClient

        if work.milvus is None:
            raise ConnectionError("no server was named: start one and give --milvus URI")
        return MilvusClient(uri=work.milvus, timeout=20)

    def _fill(self, work: Work) -> None:
        from pymilvus import DataType

        client = self._client
        if client.has_collection(NAME):
            client.drop_collection(NAME)
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("number", DataType.INT64, is_primary=True)
        schema.add_field("patient", DataType.VARCHAR, max_length=64, **self._patient_options())
        schema.add_field("lesion_type", DataType.INT8)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=work.vectors.shape[1])
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="IP")
        client.create_collection(NAME, schema=schema, index_params=index)
        for first, batch in work.batches(5_000):
            entities = [
                {
                    "number": number,
                    "patient": str(number // LESIONS_A_PATIENT),
                    "lesion_type": number % TYPES,
                    "vector": vector,
                }
                for number, vector in enumerate(batch, start=first)
            ]
            client.insert(NAME, entities, timeout=60)
        client.flush(NAME, timeout=300)
        client.load_collection(NAME, timeout=300)

    def _patient_options(self) -> dict[str, Any]:
        return {"is_partition_key": True}

    def facts(self) -> dict[str, Any]:
        """Version and kind."""
        return {"version": self._client.get_server_version(), "kind": "FLAT, partition key"}

    def search(self, query: NDArray[np.float32], only: Only) -> list[int]:
        """The filter goes to the engine."""
        condition = ""
        if only.patient is not None:
            condition = f'patient == "{only.patient}"'
        elif only.lesion_type is not None:
            condition = f"lesion_type == {only.lesion_type}"
        found = self._client.search(
            NAME,
            data=[query],
            filter=condition,
            limit=HITS,
            search_params={"metric_type": "IP", "params": {}},
            consistency_level="Bounded",
        )
        # Servers of 2.3 do not say what the key's field is called.
        return [hit.get("number", hit.get("id")) for hit in found[0]]

    def close(self) -> None:
        """Takes the collection away again."""
        self._client.drop_collection(NAME)
        self._client.close()


class MilvusLite(MilvusServer):
    """The same in a file, without a server; it has no partition keys."""

    def _connected(self, work: Work) -> Any:
        from pymilvus import MilvusClient

        return MilvusClient(str(work.folder / "milvus_lite.db"))

    def _patient_options(self) -> dict[str, Any]:
        return {}

    def facts(self) -> dict[str, Any]:
        """Version and kind."""
        from importlib.metadata import version

        return {"version": version("milvus-lite"), "kind": "FLAT, flushed"}


class PgVector:
    """Exact search in PostgreSQL with an ordinary index on patients and on types."""

    def __init__(self, work: Work) -> None:
        import pgserver
        import psycopg
        from pgvector.psycopg import register_vector

        self._server = pgserver.get_server(work.folder / "postgres")
        self._connection = psycopg.connect(self._server.get_uri(), autocommit=True)
        run = self._connection.execute
        run("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(self._connection)
        run("DROP TABLE IF EXISTS lesions")
        columns = "number int, patient text, lesion_type smallint"
        run(f"CREATE TABLE lesions ({columns}, vector vector({work.vectors.shape[1]}))")
        with self._connection.cursor() as cursor:
            for first, batch in work.batches(5_000):
                with cursor.copy("COPY lesions FROM STDIN WITH (FORMAT BINARY)") as copy:
                    copy.set_types(["int4", "text", "int2", "vector"])
                    for number, vector in enumerate(batch, start=first):
                        patient = str(number // LESIONS_A_PATIENT)
                        copy.write_row((number, patient, number % TYPES, vector))
        run("CREATE INDEX ON lesions (patient)")
        run("CREATE INDEX ON lesions (lesion_type)")
        run("VACUUM ANALYZE lesions")
        self._count = len(work.vectors)

    def facts(self) -> dict[str, Any]:
        """Versions of both."""
        rows = self._connection.execute(
            "SELECT extversion, current_setting('server_version'), "
            "current_setting('shared_buffers') FROM pg_extension WHERE extname = 'vector'"
        ).fetchone()
        assert rows is not None
        return dict(zip(("version", "postgresql", "shared_buffers"), rows, strict=True))

    def search(self, query: NDArray[np.float32], only: Only) -> list[int]:
        """A prepared statement, the vector in binary."""
        where, values = "", []
        if only.patient is not None:
            where, values = "WHERE patient = %s", [str(only.patient)]
        elif only.lesion_type is not None:
            where, values = "WHERE lesion_type = %s", [only.lesion_type]
        statement = f"SELECT number FROM lesions {where} ORDER BY vector <#> %s LIMIT {HITS}"
        rows = self._connection.execute(statement, [*values, query], prepare=True, binary=True)
        return [number for (number,) in rows.fetchall()]

    def close(self) -> None:
        """Stops the server."""
        self._connection.close()
        self._server.cleanup()


class QdrantLocal:
    """qdrant-client's local mode, which is NumPy in this process."""

    def __init__(self, work: Work) -> None:
        from qdrant_client import QdrantClient, models

        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")  # it says that it is not made for so many vectors
        self._models = models
        self._client = QdrantClient(":memory:")
        size = work.vectors.shape[1]
        distance = models.VectorParams(size=size, distance=models.Distance.DOT)
        self._client.create_collection(NAME, vectors_config=distance)
        for first, batch in work.batches(1_000):
            points = [
                models.PointStruct(
                    id=number,
                    vector=vector.tolist(),
                    payload={"patient": number // LESIONS_A_PATIENT, "type": number % TYPES},
                )
                for number, vector in enumerate(batch, start=first)
            ]
            self._client.upsert(NAME, points)

    def facts(self) -> dict[str, Any]:
        """The version."""
        from importlib.metadata import version

        return {"version": version("qdrant-client")}

    def search(self, query: NDArray[np.float32], only: Only) -> list[int]:
        """The filter as qdrant's own condition."""
        models, condition = self._models, None
        if only != Only():
            is_patient = only.patient is not None
            key, value = ("patient", only.patient) if is_patient else ("type", only.lesion_type)
            match = models.FieldCondition(key=key, match=models.MatchValue(value=value))
            condition = models.Filter(must=[match])
        found = self._client.query_points(
            NAME, query=query, query_filter=condition, limit=HITS, with_payload=False
        )
        return [point.id for point in found.points]

    def close(self) -> None:
        """Frees it."""
        self._client.close()
