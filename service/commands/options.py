"""Options that several commands share, written once: single ones, and groups of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError, Split

if TYPE_CHECKING:
    from index.milvus.client import MilvusSettings
    from service.engine.model_files import ModelFiles
    from service.engine.query import ImageChoice
    from service.engine.search_engine import SearchEngine

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")
]
IndexOption = Annotated[Path, typer.Option("--index", help="The index's folder.")]
ArchiveOption = Annotated[
    Path, typer.Option("--archive", help="An archive in DeepLesion's layout.")
]
EncoderOption = Annotated[
    Path | None,
    typer.Option(
        "--encoder",
        help="A .safetensors or .onnx file, torchvision:NAME, timm:NAME, or an installed "
        "encoder's name. Default: the bundled one.",
    ),
]
MatcherOption = Annotated[
    Path | None,
    typer.Option("--matcher", help="A matcher's weights (.json). Default: the bundled ones."),
]

DetectorOption = Annotated[
    Path | None,
    typer.Option("--detector", help="A detector (.safetensors). Default: the bundled one."),
]
ApproximateFlag = Annotated[
    bool,
    typer.Option(
        "--approximate",
        envvar="LESION_SEARCH_APPROXIMATE",
        help="Search the form that `index approximate` built; every answer tells its recall.",
    ),
]
SpacingOption = Annotated[
    str | None, typer.Option(help="x,y,interval in mm, for PNGs outside an archive.")
]
AssumeHuFlag = Annotated[
    bool,
    typer.Option(
        "--assume-hu",
        help="Take the values for Hounsfield units where they do not look like it; a warning "
        "says so.",
    ),
]

ResamplesOption = Annotated[
    int,
    typer.Option(
        min=1, help="Number of bootstrap resamples (over patients) for the 95 % intervals."
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Random seed.")]
FoldsOption = Annotated[
    int, typer.Option(min=2, help="Number of cross-validation folds (by patient).")
]


VocabularyOption = Annotated[
    Path | None,
    typer.Option(
        "--vocabulary",
        envvar="LESION_SEARCH_VOCABULARY",
        help="A TOML file with terms of your own beside the bundled.",
    ),
]


@dataclass(frozen=True)
class EncodingOptions:
    """Which encoder and matcher an engine works with; its detector is the bundled one."""

    encoder: EncoderOption = None
    matcher: MatcherOption = None

    def files(self) -> ModelFiles:
        """The files of the models."""
        from service.engine.model_files import ModelFiles

        return ModelFiles(self.encoder, self.matcher)


@dataclass(frozen=True)
class ModelOptions(EncodingOptions):
    """Which models an engine works with."""

    detector: DetectorOption = None

    def files(self) -> ModelFiles:
        """The files of the models."""
        return replace(super().files(), detector=self.detector)


@dataclass(frozen=True)
class MilvusOptions:
    """The Milvus server that the vectors lie on, where there is one."""

    milvus: Annotated[
        str | None,
        typer.Option(
            envvar="LESION_SEARCH_MILVUS_URI",
            help="Search the vectors on the Milvus server at http://HOST:PORT.",
        ),
    ] = None
    collection: Annotated[
        str, typer.Option(envvar="LESION_SEARCH_MILVUS_COLLECTION", help="The Milvus collection.")
    ] = "lesions"

    def settings(self) -> MilvusSettings | None:
        """The server, with the token of the environment; None where none is named."""
        from index.milvus.client import MilvusSettings

        if not self.milvus:
            return None
        token = os.environ.get("LESION_SEARCH_MILVUS_TOKEN", "")
        return MilvusSettings(self.milvus, self.collection, token)


@dataclass(frozen=True)
class VectorOptions(MilvusOptions):
    """Where and how the vectors of an index are searched."""

    approximate: ApproximateFlag = False


@dataclass(frozen=True)
class ImageOptions:
    """Which slice of an image is meant, and what its file does not tell."""

    key_slice: Annotated[
        int | None,
        typer.Option("--key-slice", help="The slice to look at. Default: the middle one."),
    ] = None
    spacing: SpacingOption = None
    series: Annotated[
        str | None,
        typer.Option(help="Which DICOM series of a folder: its number in the list, or its UID."),
    ] = None
    assume_hu: AssumeHuFlag = False

    def choice(self) -> ImageChoice:
        """The options parsed; raises LesionError."""
        from service.engine.query import ImageChoice

        return ImageChoice.parse(
            key_slice_index=self.key_slice,
            spacing=self.spacing,
            series=self.series,
            assume_hu=self.assume_hu,
        )


@dataclass(frozen=True)
class BoxOptions:
    """A lesion's mark on its key slice, in 0-based pixels."""

    box: Annotated[str | None, typer.Option(help="x1,y1,x2,y2 in 0-based pixels.")] = None
    recist: Annotated[
        str | None, typer.Option(help="x1,y1,...,x4,y4 in 0-based pixels, long diameter first.")
    ] = None


@dataclass(frozen=True)
class MarkOptions(BoxOptions):
    """A lesion's mark, or a choice among the detector's proposals."""

    point: Annotated[
        str | None, typer.Option(help="x,y: the detector's best proposal that holds it.")
    ] = None
    candidate: Annotated[
        int | None, typer.Option(min=1, help="Search with this proposal of the detector.")
    ] = None


@dataclass(frozen=True)
class HitOptions:
    """Which similar lesions are wanted."""

    k: Annotated[int, typer.Option("-k", min=1, help="How many similar lesions.")] = 10
    where: Annotated[
        str | None, typer.Option(help="A filter, as 'type=liver and long_mm=10..30'.")
    ] = None
    text: Annotated[
        str | None,
        typer.Option(
            help="Words that the hits must fit, as 'calcified lung nodule under 1 cm, not "
            "spiculated'; alone or beside a lesion."
        ),
    ] = None


@dataclass(frozen=True)
class PatientOptions:
    """Whose image it is."""

    patient: Annotated[
        str | None,
        typer.Option(help="Patient of the image: kept out of the hits, and followed up."),
    ] = None
    study: Annotated[str | None, typer.Option(help="The study the image is from.")] = None
    study_date: Annotated[
        str | None,
        typer.Option(help="Its day, as 2024-05-17: says which studies are prior."),
    ] = None


def engine_of(
    index: Path,
    models: EncodingOptions,
    vectors: VectorOptions | None = None,
    *,
    detecting: bool = True,
    vocabulary: Path | None = None,
) -> SearchEngine:
    """The engine that the options name; errors are those of ``open_engine``.

    Without ``detecting`` a detector is loaded only if the options name one. ``vocabulary`` is a
    file of terms by which words are read beside the bundled ones.
    """
    from service.engine.search_engine import open_engine

    vectors = vectors or VectorOptions()
    files = models.files()
    return open_engine(
        index,
        replace(
            files,
            detecting=detecting or files.detector is not None,
            vocabulary=vocabulary,
        ),
        milvus=vectors.settings(),
        approximate=vectors.approximate,
    )


class SplitOptionError(LesionSearchError):
    """A --split that names no split."""


def parse_splits(text: str) -> tuple[Split, ...]:
    """The splits a ``--split`` names, as ``val,test``; empty for ``all``."""
    if text == "all":
        return ()
    known = (Split.TRAIN, Split.VALIDATION, Split.TEST)
    names = {split.value: split for split in known}
    wanted = [name.strip() for name in text.split(",")]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SplitOptionError(f"split {unknown[0]!r} is unknown: {', '.join(names)}, or all")
    return tuple(names[name] for name in wanted)
