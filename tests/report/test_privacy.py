"""Nothing that names the patient reaches an output, an image or the terminal."""

from pathlib import Path

import numpy as np
import pytest
from cartoon import Drawing, draw
from dicom_factory import write_stack

from lumbar.cli.main import main

pytestmark = pytest.mark.usefixtures("whole_images", "drawn_spine")

SECRETS = {"PatientName": "Geheim^Petra", "PatientID": "KH-4711-0815", "AccessionNumber": "ACC998877", "ReferringPhysicianName": "Weber^Heinz",
           "InstitutionName": "Klinikum Musterstadt", "PatientBirthDate": "19610203"}  # fmt: skip


def test_no_name_or_number_of_the_patient_leaves_the_header(tmp_path: Path, capsys):
    volume, _ = draw(Drawing())
    write_stack(tmp_path / "in", np.asarray(volume.array).astype(np.uint16), volume.grid.matrix, SeriesDescription="T2 sagittal", **SECRETS)
    with pytest.raises(SystemExit) as left:
        main(["analyze", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--json"])
    assert left.value.code in (0, 4)
    captured = capsys.readouterr()
    output = (captured.out + captured.err).encode()
    written = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert len(written) >= 5
    for secret in (part for value in SECRETS.values() for part in value.split("^")):
        assert secret.encode() not in output
        for path, content in written.items():
            assert secret.encode() not in content, f"{secret} in {path.name}"
            assert secret not in path.name
