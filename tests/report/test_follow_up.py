"""The output of `lumbar compare`."""

import json
import re

import jsonschema
import pytest
from click.testing import CliRunner
from follow_up_examinations import findings
from PIL import Image

from lumbar.cli.compare import compare_command
from lumbar.errors import InputError, UsageError
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
