"""A detached header and its data file: found by name in one folder, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from retrieval.sources.volumes.stored import VolumeError


def data_file_beside(header: Path, named: str) -> Path:
    """The file that a header names, in the header's own folder.

    A header is text that anybody may have written: a path out of its folder is not followed.

    Raises:
        VolumeError: the name leads out of the folder, or nothing of it is there.
    """
    parts = Path(named.replace("\\", "/")).parts
    if not parts or Path(named).is_absolute() or ".." in parts or len(parts) > 1:
        raise VolumeError(
            f"{header.name} names the data file {named!r}: a file beside the header is read; put "
            "it there and name it alone"
        )
    found = _same_name(header.parent, parts[0])
    if found is None:
        raise VolumeError(
            f"{header.name} names the data file {named!r}, which is not beside it: give both files"
        )
    return found


def partner(path: Path, suffixes: tuple[str, ...]) -> Path | None:
    """The file of the same name with another ending, as x.img of x.hdr; None without one."""
    stem = path.name[: -len(".gz")] if path.name.lower().endswith(".gz") else path.name
    stem = stem.rpartition(".")[0] or stem
    for suffix in suffixes:
        for ending in (suffix, suffix + ".gz"):
            found = _same_name(path.parent, stem + ending)
            if found is not None and found != path:
                return found
    return None


def _same_name(folder: Path, name: str) -> Path | None:
    """A file by its name, in capitals or not: names travel through systems that mind neither."""
    exact = folder / name
    if exact.is_file():
        return exact
    lowered = name.lower()
    return next(
        (
            file
            for file in sorted(folder.iterdir())
            if file.name.lower() == lowered and file.is_file()
        ),
        None,
    )
