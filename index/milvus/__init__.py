"""The vectors of an index on a Milvus server."""
