"""The approximate form of an index in use: whether there is one, and how much it finds."""

from __future__ import annotations

from index.errors import StoreError
from index.lesion_index import LesionIndex


def recall_notice(index: LesionIndex) -> str:
    """What every answer of an approximate search says of itself.

    Raises StoreError if the index has no approximate form.
    """
    facts = index.info().store["approximate"]
    if facts is None:
        raise StoreError(
            f"the index {index.path} has no approximate form: build one with `lesion-search index "
            "approximate`, or search exactly"
        )
    return (
        f"approximate search ({facts['kind']}): recall@10 was {facts['recall_at_10']:.3f} over "
        f"{facts['recall_queries']} of {facts['lesions']} lesions when the form was built"
    )
