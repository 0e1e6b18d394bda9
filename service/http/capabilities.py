"""What this service can do, for a page that offers nothing else."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Literal

from index.lesion_index import LesionIndex
from index.measured import has_measured
from retrieval.position.locator import BUNDLED_POSITION
from retrieval.segmentation.segmenter import bundled_segmentation
from service.engine.search_engine import SearchEngine
from service.http.mining.runner import MiningRunner
from service.jobs.categories import has_categories
from service.pacs.access import PacsAccess

MiningPlace = Literal["folders", "pacs"]

_PAGE = 500


@dataclass(frozen=True)
class Capabilities:
    """The systems that an answer may be asked of.

    Attributes:
        detect: a detector is loaded.
        measure: the network that outlines a lesion is there.
        follow: a lesion can be looked for in an unmarked series: its network of body height is
            there.
        forecast: the index has a patient with two studies to learn courses from.
        measured: lesions of the index were measured: they have volumes and masks.
        categories: the index keeps categories that were found without labels.
        report: DICOM reports can be written (extra ``dicom``).
        pacs: the service was started with a PACS: its images can be opened.
        study_list: its studies can be listed, since answers hold its own identifiers.
        write: who asks may change the index.
        mine: sources that who asks may mine for marks; empty where there is no archive for them.
    """

    detect: bool
    measure: bool
    follow: bool
    forecast: bool
    measured: bool
    categories: bool
    report: bool
    pacs: bool
    study_list: bool
    write: bool
    mine: tuple[MiningPlace, ...]


@dataclass(frozen=True)
class _Held:
    """What an index of one generation holds."""

    courses: bool
    measured: bool


@dataclass
class KnownCapabilities:
    """What one service can do; what its index holds is looked up when it has changed."""

    engine: SearchEngine
    pacs: PacsAccess
    mining: MiningRunner
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _held: tuple[int, _Held] | None = None

    def of(self, *, may_write: bool) -> Capabilities:
        """The capabilities for somebody who may write, or may not."""
        held = self._holds()
        return Capabilities(
            detect=self.engine.detector is not None,
            measure=bundled_segmentation().is_file(),
            follow=BUNDLED_POSITION.is_file(),
            forecast=held.courses,
            measured=held.measured,
            categories=has_categories(self.engine.index),
            report=self._writes_dicom,
            pacs=self.pacs.is_configured and self._speaks_dicomweb,
            study_list=self.pacs.shows_own_ids and self._speaks_dicomweb,
            write=may_write,
            mine=self._mined_from() if may_write else (),
        )

    def _mined_from(self) -> tuple[MiningPlace, ...]:
        places: list[MiningPlace] = []
        if self.mining.has_archive and self.mining.has_folders:
            places.append("folders")
        if self.mining.has_archive and self.pacs.is_configured and self._speaks_dicomweb:
            places.append("pacs")
        return tuple(places)

    @cached_property
    def _writes_dicom(self) -> bool:
        return find_spec("highdicom") is not None

    @cached_property
    def _speaks_dicomweb(self) -> bool:
        return find_spec("dicomweb_client") is not None

    def _holds(self) -> _Held:
        index = self.engine.index
        with self._lock:
            generation = index.generation
            if self._held is None or self._held[0] != generation:
                self._held = (generation, _Held(_has_two_studies(index), has_measured(index)))
            return self._held[1]


def _has_two_studies(index: LesionIndex) -> bool:
    """Whether any patient of the index has lesions of two studies."""
    study_of: dict[str, str] = {}
    after = ""
    while page := index.page(after, _PAGE):
        for lesion in page:
            if study_of.setdefault(lesion.patient_id, lesion.study_id) != lesion.study_id:
                return True
        after = page[-1].lesion_id
    return False
