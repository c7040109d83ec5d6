"""The output of `lumbar compare`."""

import json
import re

import jsonschema
import pytest
from cartoon import Drawing, draw
from click.testing import CliRunner
from follow_up_examinations import findings
from PIL import Image

from lumbar import api
from lumbar.cli.compare import compare_command
from lumbar.errors import InputError, UsageError
from lumbar.io.nifti import write_nifti
from lumbar.report.document import to_document, to_json
from lumbar.report.follow_up.document import comparison_schema


@pytest.fixture
def results(tmp_path):
    """Two results folders: L4/L5 canal stenosis has become severe, and the images have other sizes."""
    for name, uid, score in (("earlier", "1.1", 0.1), ("later", "1.2", 0.9)):
        folder = tmp_path / name
        (folder / "previews").mkdir(parents=True)
        (folder / "findings.json").write_text(to_json(to_document(findings(uid, score=score))))
        Image.new("RGB", (900, 500) if name == "earlier" else (300, 400), "grey").save(folder / "previews" / "sagittal_plain.png")
    Image.new("RGB", (10, 10)).save(tmp_path / "later" / "previews" / "axial_l4_l5.png")
    return tmp_path


def run(results, *words):
    return CliRunner().invoke(compare_command, [str(results / "earlier"), str(results / "later"), "-o", str(results / "out"), *words], catch_exceptions=False)


def test_page_table_and_json(results):
    result = run(results)
    assert "L4/L5 spinal canal stenosis: normal/mild → severe (+2)" in result.output
    document = json.loads((results / "out" / "comparison.json").read_text())
    jsonschema.validate(document, comparison_schema())
    assert document["images"] == ["sagittal_plain"]  # of both examinations
    assert document["counts"]["changed"] == 2
    rows = (results / "out" / "comparison.csv").read_text().splitlines()
    assert len(rows) == 1 + len(document["changes"])
    page = (results / "out" / "comparison.html").read_text()
    assert page.count("<img") == 2 and not re.search(r"(src|href)=\"(?!data:|#)", page)


def test_standard_output_contains_only_json(results):
    result = run(results, "--json")
    assert json.loads(result.stdout)["earlier"] == "1.1"


def test_nothing_is_written_if_the_input_is_rejected(results):
    (results / "later" / "findings.json").write_text((results / "earlier" / "findings.json").read_text())
    with pytest.raises(InputError, match="two different"):
        run(results)
    assert not (results / "out").exists()


def test_an_earlier_comparison_is_kept_without_overwrite(results):
    run(results)
    with pytest.raises(UsageError, match="not empty"):
        run(results)
    run(results, "--overwrite")


@pytest.mark.slow
def test_two_studies_are_analyzed_first(tmp_path, drawn_spine, whole_images):
    """The same drawn spine twice, the second time with a disc that is 3 mm lower: its height has changed, that of the others has not."""
    for name, disc_mm in (("a_t2_sag", 9.0), ("b_t2_sag", 6.0)):
        volume, _ = draw(Drawing(disc_mm=disc_mm, body_mm=26.0 + 9.0 - disc_mm))
        write_nifti(tmp_path / f"{name}.nii.gz", volume)
    comparison = api.compare(tmp_path / "a_t2_sag.nii.gz", tmp_path / "b_t2_sag.nii.gz", tmp_path / "out")
    heights = [change for change in comparison.changes if change.finding == "disc_height_mm"]
    assert len(heights) == 5 and all(change.verdict == "changed" and change.change == pytest.approx(-3, abs=0.8) for change in heights)
    assert comparison.fit.status == "passed" and comparison.fit.distance_disagreement < 0.01
    assert (tmp_path / "out" / "earlier" / "report.html").is_file() and (tmp_path / "out" / "comparison.html").is_file()
