"""The optional packages of each extra, said plainly where they are missing."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec

from retrieval.lesion import LesionSearchError


class Extra(StrEnum):
    """The extras of ``pip install 'lesion-search[...]'`` that commands check before they work."""

    DICOM = "dicom"
    TRAIN = "train"


_MODULES = {
    Extra.DICOM: ("dicomweb_client", "highdicom"),
    Extra.TRAIN: ("pytorch_metric_learning", "tensorboard"),
}


class MissingExtraError(LesionSearchError):
    """Optional packages that a command needs are not installed."""


def need_extra(extra: Extra) -> None:
    """Raises MissingExtraError unless the packages of the extra are installed."""
    missing = [name for name in _MODULES[extra] if find_spec(name) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise MissingExtraError(
            f"{' and '.join(missing)} {are} not installed: `pip install 'lesion-search[{extra}]'`"
        )
