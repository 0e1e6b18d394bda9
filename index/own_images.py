"""The pixels that an index keeps itself: those of lesions added together with their image.

They are ``added/Images_png/NAME/NNN.png`` inside the index's folder, NAME being 32 random
hexadecimal digits. The catalog calls their archive ``index:added``, which names no folder, so
that an index can be moved. This module alone makes and removes them. It removes folders of such a
name at that place and nothing else, whatever a catalog or an imported table says.

Pixels are on the disk before the catalog names them, and are removed after it has forgotten them.
A kill or a full disk between the two leaves a folder that no lesion names: ``sweep`` removes it.
Whoever adds holds a lock that a sweep waits for no longer than a moment, so that pixels on their
way into the catalog are never taken for left ones.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from index.errors import LesionIndexError, StorageError
from index.files import PRIVATE_FOLDER, private, sync_folder
from retrieval.lesion import ImageSource

OWN_ARCHIVE = "index:added"
"""What a catalog calls the archive of these pixels."""

FOLDER = "added"
IMAGES = "Images_png"

_NAME = re.compile(r"[0-9a-f]{32}")
_IMAGE = re.compile(rf"{IMAGES}/([0-9a-f]{{32}})/[0-9]{{1,9}}\.png")

_log = logging.getLogger(__name__)


class ImagePathError(LesionIndexError):
    """A lesion whose image cannot be where its catalog says."""


class OwnImages:
    """The images below one index's folder; safe for threads and for several processes."""

    def __init__(self, index_folder: Path, named: Callable[[], Collection[str]]) -> None:
        """``named`` reads the names of the folders that the catalog's lesions have now."""
        self._named = named
        self._archive = index_folder.resolve() / FOLDER
        self._images = self._archive / IMAGES

    @property
    def archive(self) -> Path:
        """The folder that ``OWN_ARCHIVE`` stands for."""
        return self._archive

    def path_of(self, source: ImageSource) -> Path:
        """Where the file of a lesion's key slice stands, in this index or in its archive.

        Raises ImagePathError for a name in this index that this module cannot have made.
        """
        if source.archive != OWN_ARCHIVE:
            return Path(source.archive) / source.image
        if own_name(source.archive, source.image) is None:
            raise ImagePathError(
                f"{source.image!r} is no image of this index: restore the index from a backup"
            )
        return self._archive / source.image

    def as_archive(self, source: ImageSource) -> ImageSource:
        """The source as another index may name it: its archive by the folder's path."""
        if source.archive != OWN_ARCHIVE:
            return source
        return replace(source, archive=str(self._archive))

    def as_own(self, source: ImageSource) -> ImageSource:
        """The inverse of ``as_archive``; pixels that this index does not hold stay an archive's."""
        made_here = own_name(OWN_ARCHIVE, source.image) is not None
        if source.archive != str(self._archive) or not made_here:
            return source
        return replace(source, archive=OWN_ARCHIVE)

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Held from before pixels are kept until the catalog names them; raises StorageError."""
        try:
            self._archive.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            handle = self._open_lock()
        except OSError as error:
            raise _refused(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

    def keep(self, files: Mapping[str, bytes]) -> PurePosixPath:
        """Writes the files of one lesion into a new folder; returns ``Images_png/NAME``.

        All of it is on the disk when this returns. Call it within ``adding``.

        Raises:
            StorageError: the disk refused it; nothing is left behind.
        """
        folder = self._images / secrets.token_hex(16)
        try:
            self._images.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            folder.mkdir(mode=PRIVATE_FOLDER)
            for name, content in files.items():
                _write(folder / name, content)
            for changed in (folder, self._images, self._archive, self._archive.parent):
                sync_folder(changed)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise _refused(error) from error
        return PurePosixPath(IMAGES, folder.name)

    def forget(self, names: Iterable[str]) -> int:
        """Removes the folders of these names; returns how many were there.

        Raises nothing: the catalog has forgotten them already. What cannot be removed now is by
        the next sweep.
        """
        removed = 0
        for name in names:
            folder = self._images / name
            if not _NAME.fullmatch(name) or folder.is_symlink() or not folder.is_dir():
                continue
            shutil.rmtree(folder, onerror=_say_left)
            removed += not folder.exists()
        if removed:
            try:
                sync_folder(self._images)
            except OSError as error:
                _log.warning("a removal of pixels is not on the disk yet: %s", error)
        return removed

    def forget_unnamed(self, names: Iterable[str]) -> int:
        """Removes those of the folders that no lesion names; returns how many.

        For an addition that failed: its lesion may be in the catalog all the same.
        """
        return self.forget(set(names) - set(self._named()))

    def sweep(self) -> int:
        """Removes every folder of pixels that no lesion names; returns how many.

        Every opening of an index for writing does so, and ``verify``. Nothing is removed while
        another thread or program adds a lesion.
        """
        if not self._images.is_dir():
            return 0
        handle = self._open_lock()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = {entry.name for entry in os.scandir(self._images)}
            return self.forget(sorted(found - set(self._named())))
        except BlockingIOError:
            return 0
        finally:
            os.close(handle)

    def _open_lock(self) -> int:
        return private(str(self._archive / "added.lock"), os.O_RDWR | os.O_CREAT)


def own_name(archive: str, image: str) -> str | None:
    """The name of the folder that holds an image, None where it is not an index's own."""
    made_here = _IMAGE.fullmatch(image) if archive == OWN_ARCHIVE else None
    return None if made_here is None else made_here.group(1)


def _refused(error: OSError) -> StorageError:
    return StorageError(
        f"the pixels could not be written ({error.strerror or error}): nothing was added; free "
        "some space or check the folder's permissions, and try again"
    )


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb", opener=private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _say_left(_function: object, _path: str, _error: object) -> None:
    _log.warning("pixels of a removed lesion could not be removed, the next start tries again")
