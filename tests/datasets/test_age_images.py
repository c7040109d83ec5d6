"""Images and points beside an age table."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumbar.datasets.age_images import read_points, sagittal_volume
from lumbar.datasets.age_table import read_age_table
from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import NoUsableSeries, UnreadableInput
from lumbar.io.nifti import write_nifti


def _table(folder: Path, header: str, row: str):  # type: ignore[no-untyped-def]
    path = folder / "ages.csv"
    path.write_text(f"subject,site,sex,age,{header}\nS,A,F,50,{row}\n")
    return read_age_table(path)


def test_png_stacks_lie_from_right_to_left(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for number in (1, 2, 10):  # by number, not by letter
        Image.fromarray(np.full((20, 30), number, dtype=np.uint8)).save(tmp_path / "s" / f"slice{number}.png")
    volume, weighting = sagittal_volume(_table(tmp_path, "image,pixel_mm,slice_mm", "s,0.8,4"), 0, tmp_path)
    assert volume.array[:, 0, 0].tolist() == [1, 2, 10]
    assert volume.grid.spacing_mm == pytest.approx((4, 0.8, 0.8))
    assert (np.diff(volume.grid.origins_mm[:, 0]) > 0).all()
    assert np.allclose(volume.grid.row_step_mm, [0, 0, -0.8])
    assert weighting is Weighting.T2


def test_png_without_a_size_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(tmp_path / "s" / "1.png")
    with pytest.raises(UnreadableInput, match="pixel_mm and slice_mm"):
        sagittal_volume(_table(tmp_path, "image", "s"), 0, tmp_path)


def test_nifti_is_taken_with_its_own_places(tmp_path: Path) -> None:
    grid = Grid(np.array([[x, -50.0, 60.0] for x in (-4.0, 0.0, 4.0)]), np.array([0, 0, -1.0]), np.array([0, 1.0, 0]), 40, 30)
    write_nifti(tmp_path / "sag_t2.nii.gz", Volume(np.ones(grid.shape, dtype=np.float32), grid))
    volume, _ = sagittal_volume(_table(tmp_path, "image", "sag_t2.nii.gz"), 0, tmp_path)
    assert volume.grid.spacing_mm == pytest.approx((4, 1, 1))
    assert np.allclose(sorted(volume.grid.origins_mm[:, 0]), [-4, 0, 4])


def test_other_series_and_missing_files_are_named(tmp_path: Path) -> None:
    grid = Grid(np.array([[-50.0, -50.0, z] for z in (0.0, 4.0, 8.0)]), np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), 40, 30)
    write_nifti(tmp_path / "ax_t2.nii.gz", Volume(np.ones(grid.shape, dtype=np.float32), grid))
    with pytest.raises(NoUsableSeries, match="axial"):
        sagittal_volume(_table(tmp_path, "image", "ax_t2.nii.gz"), 0, tmp_path)
    with pytest.raises(UnreadableInput, match=r"line 2: .* does not exist"):
        sagittal_volume(_table(tmp_path, "image", "gone.nii"), 0, tmp_path)
    with pytest.raises(UnreadableInput, match="no column image"):
        sagittal_volume(_table(tmp_path, "visit", "1"), 0, tmp_path)


def test_points_by_image_and_level(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("image,level,x_mm,y_mm,z_mm\na.nii,L4/L5,1,2,3\na.nii,L5/S1,4,5,6\n")
    found = read_points(path)
    assert {level: point.tolist() for level, point in found["a.nii"].items()} == {Level.L4_L5: [1, 2, 3], Level.L5_S1: [4, 5, 6]}
    path.write_text("image,level,x_mm,y_mm,z_mm\na.nii,L4-L5,1,2,3\n")
    with pytest.raises(UnreadableInput, match="line 2"):
        read_points(path)
