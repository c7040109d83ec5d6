"""Terminal encodings: output never fails for a missing character."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_factory import sagittal_matrix, write_stack

ENCODINGS = ["cp1252", "cp932", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cp1251", "cp437", "utf-8", "utf-16"))]


def lumbar(encoding: str, *words: object) -> tuple[int, bytes, bytes]:
    code = "import sys; from lumbar.cli.main import main; main(sys.argv[1:])"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code, *map(os.fsencode, map(str, words))], env=environment, capture_output=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("studie_ü_脊椎")
    array = np.random.default_rng(0).integers(0, 900, (5, 24, 20)).astype(np.uint16)
    write_stack(folder, array, sagittal_matrix(), SpecificCharacterSet="ISO_IR 192", SeriesDescription="Wirbelsäule – 脊椎 позвоночник T2 \u009b31m")
    (folder / "größe_…_×.dcm").write_text("no image")
    (folder / os.fsdecode(b"bytes_\xff\xfe.dcm")).write_text("no image")
    return folder


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_reaches_every_terminal(study, encoding):
    code, out, err = lumbar(encoding, "inspect", study)
    assert (code, err) == (0, b"")
    text = out.decode(encoding)
    assert "sagittal" in text
    assert ("×" in text) == (encoding in ("cp1252", "cp932", "utf-8", "utf-16"))
    assert "\u009b" not in text


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_error_reaches_every_terminal(study, encoding):
    code, out, err = lumbar(encoding, "inspect", study / "größe_…_×.dcm")
    assert (code, out) == (3, b"")
    assert "error: " in err.decode(encoding)
    assert "Traceback" not in err.decode(encoding)


@pytest.mark.parametrize("encoding", ["cp932", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ascii", "cp1252"))])
def test_json_is_the_same_everywhere(study, encoding):
    code, out, _ = lumbar(encoding, "inspect", study, "--json")
    assert code == 0
    assert json.loads(out.decode("utf-8")) == json.loads(lumbar("utf-8", "inspect", study, "--json")[1].decode("utf-8"))
