"""The Python interface of the library."""

import subprocess
import sys
from pathlib import Path

import pytest
from cartoon import Drawing, draw

import lumbar
from lumbar.errors import UsageError
from lumbar.io.nifti import write_nifti

pytestmark = pytest.mark.usefixtures("whole_images", "drawn_spine")


def test_five_lines_read_analyze_and_write(tmp_path: Path) -> None:
    volume, _ = draw(Drawing())
    write_nifti(tmp_path / "sagittal_t2.nii.gz", volume)
    study = lumbar.read_study(tmp_path / "sagittal_t2.nii.gz")
    result = lumbar.analyze(study, lumbar.load_models(), lumbar.Request(tasks=("spine",)))
    result.write(tmp_path / "out")
    assert {"findings.json", "report.html", "masks", "previews"} <= {path.name for path in (tmp_path / "out").iterdir()}
    with pytest.raises(UsageError, match="overwrite"):
        result.write(tmp_path / "out")


def test_the_frame_has_one_row_per_value(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    volume, _ = draw(Drawing())
    write_nifti(tmp_path / "sagittal_t2.nii.gz", volume)
    result = lumbar.analyze(lumbar.read_study(tmp_path / "sagittal_t2.nii.gz"), lumbar.load_models(), lumbar.Request(tasks=("spine",)))
    frame = result.to_frame()
    assert list(frame.columns) == ["study", "level", "side", "structure", "finding", "value", "unit", "error", "quality"]
    assert result.findings.spine is not None
    heights = frame[frame["finding"] == "disc_height_mm"].set_index("level")["value"]
    expected = {level.level.value: level.disc_height_mm for level in result.findings.spine.levels if level.disc_height_mm is not None}
    assert dict(heights) == pytest.approx(expected, abs=0.006)  # two decimals


def test_import_of_the_package_loads_nothing_heavy() -> None:
    code = "import sys, lumbar; print(sorted({'numpy', 'onnxruntime', 'matplotlib', 'torch', 'pydicom'} & set(sys.modules)), lumbar.__all__)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.startswith("[]")
    assert "load_models" in output
