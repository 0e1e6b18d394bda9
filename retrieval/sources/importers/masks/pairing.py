"""Which mask belongs to which image: by DICOM reference, by file name, by patient folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.sources.importers.masks.found import FoundImage, FoundMask

_VOLUME_ENDINGS = re.compile(
    r"(\.seg)?\.(nii|nrrd|nhdr|mha|mhd|hdr|dcm)(\.gz)?$|\.gz$", re.IGNORECASE
)
_IMAGE_WORDS = re.compile(r"[_\-. ]?(image|img|ct|volume|scan|0000)$", re.IGNORECASE)
_MASK_WORDS = re.compile(
    r"[_\-. ]?(mask|segmentation|seg|labels?|roi|gt|groundtruth|lesions?|tumou?rs?|nodules?)"
    r"[_\-. ]?\d*$",
    re.IGNORECASE,
)
_MASK_PREFIX = re.compile(r"^(mask|segmentation|seg|labels?|roi|gt)[_\-. ]", re.IGNORECASE)


@dataclass(frozen=True)
class MaskedImage:
    """An image with every mask that belongs to it."""

    image: FoundImage
    masks: tuple[FoundMask, ...]


@dataclass(frozen=True)
class Pairing:
    """The pairs, and what found no partner: its name and why."""

    pairs: tuple[MaskedImage, ...]
    left_out: tuple[tuple[Path, str], ...]


def pair(images: Sequence[FoundImage], masks: Sequence[FoundMask], *, one_tree: bool) -> Pairing:
    """Each mask with its image.

    One image and one mask are a pair whatever their names. Otherwise a mask goes with the image
    that it refers to (DICOM); or that has its name (``case7.nii.gz`` with ``case7_mask.nii.gz`` or
    ``case7_0000.nii.gz`` with ``case7.nii.gz``) in the same folder below the two given; or that is
    alone in the folder of the same name.

    Args:
        images, masks: as they were found.
        one_tree: both were given as the same folder: files whose name begins or ends with mask,
            seg, label, roi, gt, lesion, tumour or nodule are masks and the others images.
    """
    if one_tree:
        images = [one for one in images if one.series_uid or not _is_mask(one.name)]
        names = {one.name for one in images}
        masks = [mask for mask in masks if mask.name not in names]
    if len(images) == 1 and len(masks) == 1:
        return Pairing((MaskedImage(images[0], tuple(masks)),), ())
    chosen: dict[Path, list[FoundMask]] = {}
    left_out: list[tuple[Path, str]] = []
    for mask in masks:
        partners = _partners(images, mask)
        if len(partners) == 1:
            chosen.setdefault(partners[0].name, []).append(mask)
        else:
            left_out.append((mask.name, _why(partners)))
    lonely = [image.name for image in images if image.name not in chosen]
    left_out += [(name, "no mask has its name, its folder or a reference to it") for name in lonely]
    pairs = (
        MaskedImage(image, tuple(chosen[image.name])) for image in images if image.name in chosen
    )
    return Pairing(tuple(pairs), tuple(left_out))


def _partners(images: Sequence[FoundImage], mask: FoundMask) -> list[FoundImage]:
    """The images of the first rule that knows any."""
    referred = [one for one in images if one.series_uid and one.series_uid in mask.series_uids]
    if referred:
        return referred
    key = _key(mask.name, _MASK_WORDS)
    by_path = [one for one in images if _image_key(one) == key]
    if by_path:
        return by_path
    by_name = [one for one in images if key[-1] and _image_key(one)[-1] == key[-1]]
    if by_name:
        return by_name
    longest = [one for one in images if _begins(key[-1], _image_key(one)[-1])]
    if longest:
        most = max(len(_image_key(one)[-1]) for one in longest)
        return [one for one in longest if len(_image_key(one)[-1]) == most]
    return [
        one for one in images if _folder(one) is not None and _folder(one) == _parent(mask.name)
    ]


def _image_key(image: FoundImage) -> tuple[str, ...]:
    if image.series_uid and len(image.files) > 1:
        return tuple(part.lower() for part in image.name.parts)
    return _key(image.name, _IMAGE_WORDS)


def _key(name: Path, words: re.Pattern[str]) -> tuple[str, ...]:
    """Folders and bare name, in small letters."""
    bare = _bare(name)
    if words is _MASK_WORDS:
        bare = _MASK_PREFIX.sub("", bare)
    return (*(part.lower() for part in name.parent.parts), (words.sub("", bare) or bare).lower())


def _bare(name: Path) -> str:
    return _VOLUME_ENDINGS.sub("", name.name)


def _is_mask(name: Path) -> bool:
    bare = _bare(name)
    return bool(_MASK_WORDS.search(bare) or _MASK_PREFIX.search(bare) or ".seg." in name.name)


def _begins(mask: str, image: str) -> bool:
    return bool(image) and mask.startswith(image) and not mask[len(image) :][:1].isalnum()


def _parent(name: Path) -> str | None:
    return name.parts[0].lower() if len(name.parts) > 1 else _key(name, _MASK_WORDS)[-1]


def _folder(image: FoundImage) -> str | None:
    is_nested = len(image.name.parts) > 1 or bool(image.series_uid)
    return image.name.parts[0].lower() if is_nested and image.name.parts else None


def _why(partners: Sequence[FoundImage]) -> str:
    if not partners:
        return "no image has its name, its folder, or is what it refers to"
    names = ", ".join(str(one.name) for one in partners[:3])
    return f"{len(partners)} images could be its own ({names}): name it after one of them"
