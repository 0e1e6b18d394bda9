"""What the matcher sees of a patient: locations given, estimated or absent, or boxes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from numpy.random import Generator

from retrieval.lesion import LesionType
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.fitting.fit import LabelledPatient
from retrieval.tracking.fitting.location_noise import (
    POSITION_NOISE,
    EstimateNoise,
    with_estimated_locations,
)
from retrieval.tracking.study_order import order_studies
from retrieval.tracking.terms.lesion_size import LesionSize

BOX_SIZE_ERROR = 0.13
"""Standard error of the logarithm of a size read off a box; see ``terms.lesion_size``."""


class PatientView(StrEnum):
    """What is known of a patient's lesions.

    ``query``: the last study is an uploaded image with a box alone, so its location is estimated,
    its size is that of the box and its type unknown; of the other studies all is given.
    """

    GIVEN = "given"
    ESTIMATED = "estimated"
    QUERY = "query"
    ABSENT = "absent"


def seen_as(
    patient: LabelledPatient,
    view: PatientView,
    generator: Generator,
    noise: EstimateNoise = POSITION_NOISE,
) -> LabelledPatient:
    """The patient with no better knowledge than the view's."""
    nodes: Sequence[TrackNode] = patient.nodes
    if view is PatientView.ESTIMATED:
        nodes = with_estimated_locations(nodes, noise, generator)
    elif view is PatientView.ABSENT:
        nodes = [_without_location(node) for node in nodes]
    elif view is PatientView.QUERY and nodes:
        last = order_studies(node.lesion for node in nodes).study_ids[-1]
        estimated = with_estimated_locations(nodes, noise, generator)
        nodes = [
            _boxed(guess, generator) if node.lesion.study_id == last else node
            for node, guess in zip(nodes, estimated, strict=True)
        ]
    return LabelledPatient(nodes, patient.track_of)


def seen_in_all_views(
    patients: Sequence[LabelledPatient], generator: Generator
) -> list[LabelledPatient]:
    """Every patient once in each view: what one set of weights has to serve."""
    return [seen_as(patient, view, generator) for patient in patients for view in PatientView]


def _without_location(node: TrackNode) -> TrackNode:
    return replace(node, lesion=node.lesion.with_changes(location=None, location_error=None))


def _boxed(node: TrackNode, generator: Generator) -> TrackNode:
    known = node.known_size
    size = None
    if known is not None:
        size = LesionSize(
            known.log_mm + float(generator.normal(0.0, BOX_SIZE_ERROR)), BOX_SIZE_ERROR
        )
    lesion = node.lesion.with_changes(long_mm=None, short_mm=None, lesion_type=LesionType.UNKNOWN)
    return replace(node, lesion=lesion, size=size)
