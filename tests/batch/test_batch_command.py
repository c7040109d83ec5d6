"""The whole command on synthetic studies: results equal those of `lumbar analyze`, and the tables are derived from them."""

import csv
import json

import pytest
from PIL import Image

pytest.importorskip("distributed", reason="lumbar[cluster] is not installed")

from lumbar.cli.main import main
from lumbar.phantom.cohort import make_cohort
from lumbar.phantom.cohort_options import CohortOptions

pytestmark = pytest.mark.slow


def run(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Two synthetic studies in the RSNA layout and one folder that holds none."""
    folder = tmp_path_factory.mktemp("batch")
    list(make_cohort(CohortOptions("rsna2024", 2, seed=5, matrix_scale=0.25), folder / "data"))
    studies = folder / "data" / "train_images"
    (studies / "broken").mkdir()
    (studies / "broken" / "1.dcm").write_bytes(b"no DICOM")
    code = run("batch", studies, "-o", folder / "out", "--workers", 1, "--quiet")
    return studies, folder / "out", code


def test_a_batch_leaves_a_folder_a_study_and_its_tables(batch):
    _, out, code = batch
    assert code == 4  # one study failed
    with (out / "status.csv").open(newline="") as file:
        status = {row["study"]: row for row in csv.DictReader(file)}
    names = sorted(name for name in status if name != "broken")
    assert len(names) == 2 and status["broken"]["status"] == "failed" and "named as DICOM but is not" in status["broken"]["reason"]
    for name in names:
        assert float(status[name]["cpu_seconds"]) > 0 and float(status[name]["energy_wh"]) > 0 and 100 < float(status[name]["peak_mb"]) < 4096
        assert {"findings.json", "report.html", "grades.csv", "muscles.csv", "masks", "previews", "thumbnails"} <= {p.name for p in (out / name).iterdir()}
        with Image.open(out / name / "thumbnails" / "levels.jpg") as image:
            assert image.height == 220
    with (out / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == ("study", "level", "side", "structure", "finding", "value", "unit", "error", "quality")
    findings = json.loads((out / names[0] / "findings.json").read_text())
    heights = {row["level"]: float(row["value"]) for row in rows if row["study"] == names[0] and row["finding"] == "disc_height_mm"}
    assert heights == {level["level"]: level["disc_height_mm"] for level in findings["spine"]["levels"] if level["disc_height_mm"] is not None}
    assert len((out / "submission.csv").read_text().splitlines()) == 1 + 2 * 25
    assert all(name in (out / "index.html").read_text() for name in status)


def test_findings_are_those_of_analyze(batch, tmp_path):
    studies, out, _ = batch
    name = sorted(path.name for path in studies.iterdir())[0]
    assert run("analyze", studies / name, "-o", tmp_path / "one", "--threads", 1, "--quiet") in (0, 4)
    assert json.loads((tmp_path / "one" / "findings.json").read_text()) == json.loads((out / name / "findings.json").read_text())


def test_resuming_a_finished_batch_does_nothing(batch, capsys):
    studies, out, _ = batch
    before = (out / "results.csv").read_bytes()
    assert run("batch", studies, "-o", out, "--workers", 1, "--resume", "--json") == 4
    facts = json.loads(capsys.readouterr().out)
    assert (facts["done_now"], facts["failed"], facts["studies"]) == (0, 1, 3)
    assert (out / "results.csv").read_bytes() == before
    assert run("batch", studies, "-o", out, "--workers", 1) == 2  # without --resume the folder is in the way
