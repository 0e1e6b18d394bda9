"""Which lesions a search may return: one grammar for Python, SQL, FAISS and Milvus."""
