"""find_again: an indexed lesion sought in a series of its patient that nobody has marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from retrieval.detection.proposals import SliceDetector
from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.image import Slab
from retrieval.position.locator import BodyLocator, SeriesPosition
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.following.dense_search import (
    Comparison,
    LesionLook,
    Sighting,
    dense_search,
)
from retrieval.tracking.following.expected import ExpectedPlace, standard_error
from retrieval.tracking.following.findings import Coverage, Following
from retrieval.tracking.following.matching import Judgement, Sought, decide
from retrieval.tracking.following.model import FollowModel, bundled_follow_model
from retrieval.tracking.following.pixels import GAP_MM, PixelMatch, PixelTemplate
from retrieval.tracking.following.proposals import compared, proposed
from retrieval.tracking.following.search_area import SearchArea
from retrieval.tracking.matcher import MatcherModel
from retrieval.tracking.searched import LEAST_SHARE


class FollowError(TrackingError):
    """A lesion that cannot be followed, or a series that it cannot be followed in."""


@dataclass(frozen=True)
class FollowTools:
    """The models that a search works with; without a detector it is the dense search alone.

    The matcher's scatter tells what distances and sizes are worth, ``model`` how all is weighed.
    """

    encoder: PatchEncoder
    matcher: MatcherModel
    locator: BodyLocator
    detector: SliceDetector | None = None
    model: FollowModel = field(default_factory=bundled_follow_model)


@dataclass(frozen=True)
class IndexedLesion:
    """What is known of the lesion that is sought.

    Attributes:
        node: the lesion with its vector.
        spacing_mm_px: of the grid of its box.
        others: the other lesions of its study.
        slab: the slices about it, it being on the key slice; None where they are not at hand.
    """

    node: TrackNode
    spacing_mm_px: tuple[float, float]
    others: Sequence[TrackNode] = ()
    slab: Slab | None = None


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """How much work a search may be: the most points of the coarse grid.

    Where the lesion's own pixels are at hand they point out the likeliest places, and fewer points
    will do.
    """

    limit: int = 220
    limit_with_pixels: int = 110


Placing = Callable[[SeriesPosition, ExpectedPlace], ExpectedPlace | None]
"""A better place than the expected one, None where it finds none: a registration."""


def find_again(
    sought: IndexedLesion,
    slab: Slab,
    tools: FollowTools,
    options: FollowOptions | None = None,
    *,
    placing: Placing | None = None,
) -> Following:
    """Where the lesion is in a series, or that it was not found and what was covered.

    Args:
        sought: the lesion.
        slab: every slice of the series.
        tools: the models.
        options: how much work.
        placing: told of the series' heights and the expected place, may know a better one.

    Raises:
        FollowError: one slice, no body, or nothing tells where the lesion lies.
    """
    if len(slab.hu) < 2:
        raise FollowError(
            "the image has one slice: a lesion is followed in a series, give all its slices"
        )
    series = tools.locator.locate(slab)
    expected = expected_place(sought, series, tools.locator)
    if placing is not None:
        expected = placing(series, expected) or expected
    area = SearchArea.of(slab, series, expected)
    sightings, looked_at = seen_about(sought, area, tools, options or FollowOptions())
    nodes = Sought.at(sought.node, sought.others, area)
    judged = decide(sightings, nodes, area, tools.matcher, tools.model)
    return _answer(sought, judged, area, looked_at)


def seen_about(
    sought: IndexedLesion, area: SearchArea, tools: FollowTools, options: FollowOptions
) -> tuple[list[Sighting], int]:
    """All places that were compared with the lesion, and how many boxes that took."""
    look = LesionLook.of(sought.node.vector, sought.node.lesion.box, sought.spacing_mm_px)
    comparison = Comparison(tools.encoder, area.slab, look)
    pixels = None
    if sought.slab is not None and area.positions:
        template = PixelTemplate.of(sought.slab, sought.node.lesion.box)
        pixels = PixelMatch.of(template, area.slab, area.centres(GAP_MM))
    limit = options.limit if pixels is None else min(options.limit_with_pixels, options.limit)
    found = dense_search(area, comparison, limit=limit, pixels=pixels)
    if tools.detector is not None:
        found += compared(proposed(tools.detector, area), area, comparison)
    if pixels is not None:
        found = [replace(one, pixels=pixels.at(one.position, one.box.center)) for one in found]
    return found, comparison.looked_at


def expected_place(
    sought: IndexedLesion, series: SeriesPosition, locator: BodyLocator
) -> ExpectedPlace:
    """By the lesion's own slices if they are at hand, else by its location; raises FollowError."""
    places = [one.place for one in series.slices if one.place is not None]
    if not places:
        raise FollowError(
            "no slice of the series shows a body: check that its values are Hounsfield units"
        )
    lesion, found = sought.node.lesion, None
    if sought.slab is not None:
        found = ExpectedPlace.of_pixels(lesion, sought.slab, locator)
    found = found or ExpectedPlace.of_location(lesion, standard_error(places[len(places) // 2]))
    if found is None:
        raise FollowError(
            f"nothing tells where lesion {lesion.lesion_id} lies in the body: it has no location "
            "and its own slices are not at hand; put its archive back"
        )
    return found


def _answer(
    sought: IndexedLesion, judged: Judgement, area: SearchArea, looked_at: int
) -> Following:
    grid, share = area.slab.grid, area.share_covered()
    slices, heights = None, None
    if area.positions:
        ends = sorted(grid.to_file_slice(at) for at in (area.positions[0], area.positions[-1]))
        inside = [area.heights[at] for at in area.positions]
        slices, heights = (ends[0], ends[1]), (min(inside), max(inside))
    whole = list(area.heights.values())
    covered = Coverage(slices, heights, (min(whole), max(whole)), share, looked_at)
    warnings = []
    if share < LEAST_SHARE:
        warnings.append(
            f"the series covers {share:.0%} of where the lesion may lie: not found there says "
            "nothing of the rest"
        )
    return Following(
        lesion_id=sought.node.lesion.lesion_id,
        state=judged.state,
        candidates=judged.findings,
        probability_there=judged.probability_there,
        expected=area.expected,
        covered=covered,
        warnings=tuple(warnings),
    )
