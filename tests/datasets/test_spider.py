"""SPIDER's grey masks become classes: what lies behind the canal is posterior, and a strip under the lowest disc is the sacrum."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumbar.datasets.spider import PIXEL_MM, read_midsagittal, read_space
from lumbar.domain.anatomy import SpineClass


def drawn(tmp_path: Path, name: str = "3_t2_SPACE_slice10") -> Path:
    mask = np.zeros((480, 384), np.uint8)
    for k in range(5):
        mask[40 + 70 * k : 90 + 70 * k, 100:160] = 76  # bodies
        mask[92 + 70 * k : 108 + 70 * k, 100:160] = 29  # discs, the last at rows 372–387
        mask[50 + 70 * k : 80 + 70 * k, 200:230] = 76  # spinous processes
    mask[40:400, 165:185] = 150
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir(exist_ok=True)
    Image.fromarray(mask // 2).save(tmp_path / "images" / f"{name}.webp", lossless=True)
    Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.webp", lossless=True)
    return tmp_path


def test_classes_follow_the_canal_and_the_lowest_disc(tmp_path):
    (example,) = read_space(drawn(tmp_path))
    labels = example.labels
    assert example.patient == "3" and example.pixel_mm == PIXEL_MM
    assert set(np.unique(labels[:, 200:230])) <= {SpineClass.BACKGROUND, SpineClass.POSTERIOR}
    assert labels[60, 120] == SpineClass.BODY and labels[60, 210] == SpineClass.POSTERIOR
    assert labels[380, 130] == SpineClass.DISC and labels[200, 175] == SpineClass.CANAL
    sacrum = np.argwhere(labels == SpineClass.SACRUM)
    assert sacrum[:, 0].min() >= 386  # below the lowest disc
    assert np.ptp(sacrum[:, 0]) * PIXEL_MM == pytest.approx(16.0, abs=1.5)
    assert sacrum[:, 1].min() >= 99 and sacrum[:, 1].max() <= 160


def test_slices_are_ordered_by_patient_and_number(tmp_path):
    for name in ("12_t2_SPACE_slice60", "12_t2_SPACE_slice8", "3_t2_SPACE_slice10"):
        drawn(tmp_path, name)
    assert [example.patient for example in read_space(tmp_path)] == ["3", "12", "12"]


def test_images_of_unknown_pixel_size_are_left_out(tmp_path):
    for name, shape in (("1_t1", (300, 300)), ("1_t2", (512, 300)), ("2_t1", (200, 250))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}.webp", lossless=True)
    table = tmp_path / "overview.csv"
    table.write_text('new_file_name,PixelSpacing\n1_t1,"[0.625, 0.625]"\n1_t2,"[0.5, 0.5]"\n2_t1,"[0.5, 0.75]"\n')
    assert [(p.series, p.pixel_mm) for p in read_midsagittal(tmp_path, table)] == [("1_t1", 0.625)]


@pytest.mark.real
def test_the_real_images_have_thirty_patients_and_a_sacrum_each(shared_data):
    examples = read_space(shared_data / "spider" / "t2_space")
    assert len({e.patient for e in examples}) == 30
    with_sacrum = {e.patient for e in examples if (e.labels == SpineClass.SACRUM).any()}
    assert len(with_sacrum) >= 29
