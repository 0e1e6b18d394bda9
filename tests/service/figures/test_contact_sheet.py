from __future__ import annotations

import cv2
import pytest

from retrieval.sources.errors import ArchiveError
from service.figures.contact_sheet import contact_sheet


def test_every_lesion_asked_for_is_shown_whole_and_close(archive, tmp_path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet(archive, path, count=4, seed=0)
    picture = cv2.imread(str(path))
    assert picture.shape == (512, 6 * 256, 3)
    shown = [picture[:256, start : start + 256].std() for start in range(0, 1536, 256)]
    assert min(shown) > 2, shown


def test_a_picture_that_cannot_be_written_is_named(archive, tmp_path) -> None:
    with pytest.raises(ArchiveError, match=r"sheet\.png cannot be written"):
        contact_sheet(archive, tmp_path / "nowhere" / "sheet.png", count=1, seed=0)


def test_check_draws_the_sheet(run, archive_folder, tmp_path) -> None:
    path = tmp_path / "sheet.png"
    status, _, err = run("check", archive_folder, "--tables-only", "--figure", path)
    assert status == 0, err
    assert f"figure: {path}" in err
    assert cv2.imread(str(path)).shape[1] == 6 * 256
