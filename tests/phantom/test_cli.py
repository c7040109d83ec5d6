"""The two phantom commands: output, files and errors."""

import json
from pathlib import Path

import pytest

from lumbar.cli.main import main
from lumbar.phantom.sites import Site


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, small_site: Site) -> None:
    monkeypatch.setattr("lumbar.phantom.study.site_of", lambda options: small_site)


def _run(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["phantom", *words])
    return int(left.value.code or 0)


def test_study_prints_one_document_and_writes_the_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    assert _run("study", str(out), "--seed", "5", "--age", "71", "--sex", "F", "--no-masks", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["person"]["age_years"] == 71
    assert document["person"]["sex"] == "F"
    assert json.loads((out / "truth" / "truth.json").read_text()) == document
    assert len(list((out / "dicom").rglob("*.dcm"))) == 24
    assert _run("study", str(out), "--seed", "5") == 2  # the folder is not empty
    assert "not empty" in capsys.readouterr().err


def test_cohort_rejects_invalid_ages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("cohort", str(tmp_path / "a"), "--layout", "age", "--studies", "1", "--ages", "80-20") == 2
    assert _run("cohort", str(tmp_path / "a"), "--layout", "age", "--studies", "1", "--sites", "AZ") == 2
    assert "sites are letters" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
