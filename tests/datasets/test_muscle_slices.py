"""Folders of single axial slices with muscle masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumbar.datasets.muscle_slices import read_muscle_t1, read_muscle_t2, read_unlabelled_t1
from lumbar.errors import UnreadableInput


def write_slice(folder: Path, name: str, mask: np.ndarray) -> None:
    for part in ("images", "masks"):
        (folder / part).mkdir(exist_ok=True)
    Image.fromarray(np.full((6, 8), 90, np.uint8)).save(folder / "images" / f"{name}.webp", lossless=True)
    Image.fromarray(mask).save(folder / "masks" / f"{name}.png")


def test_slices_come_in_order_with_their_masks_and_people(tmp_path: Path) -> None:
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 1:3] = 2
    write_slice(tmp_path, "0002_D4", mask)
    write_slice(tmp_path, "0001_D4", mask * 0)
    first, second = read_muscle_t1(tmp_path)
    assert (first.patient, second.patient) == ("0001", "0002")
    assert np.array_equal(second.labels, mask)
    assert second.image.shape == (6, 8) and second.pixel_known and second.pixel_mm == 0.6875
    assert not next(iter(read_muscle_t2(tmp_path))).pixel_known


def test_a_folder_without_slices_and_a_mask_of_another_size_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="no axial slices"):
        next(read_muscle_t1(tmp_path))
    write_slice(tmp_path, "0001_D4", np.zeros((5, 8), np.uint8))
    with pytest.raises(UnreadableInput, match="must agree"):
        next(read_muscle_t1(tmp_path))


def test_slices_without_masks_name_the_person_and_unreadable_ones_the_file(tmp_path: Path) -> None:
    (tmp_path / "unlabelled").mkdir()
    with pytest.raises(UnreadableInput, match="no axial slices"):
        next(read_unlabelled_t1(tmp_path))
    Image.fromarray(np.full((6, 8), 90, np.uint8)).save(tmp_path / "unlabelled" / "0011_D3.webp", lossless=True)
    (one,) = read_unlabelled_t1(tmp_path)
    assert (one.name, one.patient, one.pixel_mm) == ("0011_D3", "0011", 0.6875) and (one.image == 90).all()
    (tmp_path / "unlabelled" / "0012_D3.webp").write_bytes(b"no image")
    with pytest.raises(UnreadableInput, match=r"0012_D3\.webp cannot be read"):
        list(read_unlabelled_t1(tmp_path))
