"""The quality page: its order, and in a browser its keys, marks and cleaned tables."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pyarrow", reason="lumbar[cluster] is not installed")

from lumbar.batch.records import Outcome
from lumbar.batch.review import write_review


@pytest.fixture
def page(tmp_path):
    """Twenty studies of one height each; s07 far from the others, s03 failed."""
    (tmp_path / ".batch").mkdir()
    random = np.random.default_rng(0)
    lines, outcomes = ["study,level,side,structure,finding,value,unit,error,quality"], []
    for number in range(20):
        name = f"s{number:02d}"
        if number == 3:
            outcomes.append(Outcome(name, "failed", "its process was ended by SIGSEGV </script><b>"))
            continue
        outcomes.append(Outcome(name, "done", quality="doubtful" if number == 5 else "passed"))
        lines.append(f"{name},L4/L5,,disc,disc_height_mm,{99 if number == 7 else 8 + random.normal():.4f},mm,,")
        (tmp_path / name / "thumbnails").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name / "thumbnails" / "levels.jpg")
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n")
    write_review(tmp_path, outcomes)
    return tmp_path / "index.html"


def rows_of(page):
    return json.loads(re.search(r"const rows = (.*);\n", page.read_text())[1].replace("<\\/", "</"))


def test_failed_studies_come_first_then_the_farthest_outlier(page):
    rows = rows_of(page)
    assert [row["study"] for row in rows[:2]] == ["s03", "s07"] and len(rows) == 20
    assert rows[1]["distance"] > 5 and rows[1]["farthest"].startswith("disc_height_mm L4/L5 (z +")
    assert rows[1]["images"] == ["levels"] and rows[0]["images"] == []
    assert "</script><b>" not in page.read_text()  # text of a study cannot end the script


@pytest.mark.slow
def test_keys_mark_studies_and_marks_clean_a_table(page, tmp_path):
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or pytest.skip("chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_context(accept_downloads=True).new_page()
        tab.add_init_script("delete window.showSaveFilePicker")  # its dialog would block here
        tab.goto(page.as_uri())
        assert tab.locator("article").count() == 20
        tab.keyboard.press("j")
        tab.keyboard.press("x")  # s07 is wrong; on to the next
        tab.keyboard.press("o")
        assert tab.locator("article.wrong a").inner_text() == "s07" and tab.locator("article.ok").count() == 1
        assert "2 marked, 1 wrong" in tab.locator("#count").inner_text()
        tab.reload()  # marks outlive the page
        assert tab.locator("article.wrong").count() == 1
        with tab.expect_download() as saved:
            tab.click("#save")
        saved.value.save_as(tmp_path / "marks.csv")
        assert "s07,wrong" in (tmp_path / "marks.csv").read_text().splitlines()
        with tab.expect_download() as cleaned:
            tab.set_input_files("#clean", page.with_name("results.csv"))
        cleaned.value.save_as(tmp_path / "cleaned.csv")
        before, after = ((tmp_path / name).read_text().splitlines() for name in ("results.csv", "cleaned.csv"))
        assert after == [line for line in before if not line.startswith("s07,")]
        tab.select_option("#filter", "failed")
        assert tab.locator("article").count() == 1
        tab.select_option("#filter", "all")
        tab.select_option("#order", "quality")
        assert tab.locator("article").nth(1).locator("a").inner_text() == "s05"
        browser.close()
