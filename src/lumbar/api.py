"""The front door of the library: read a study, load the models once, analyze, write.

import lumbar

study = lumbar.read_study("study/")
models = lumbar.load_models()
result = lumbar.analyze(study, models)
result.write("out/")
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from lumbar import pipeline
from lumbar.domain.findings import Findings
from lumbar.domain.study import Study
from lumbar.domain.values import COLUMNS, value_rows
from lumbar.errors import InputError, UsageError
from lumbar.io.read import read_study
from lumbar.io.staging import staged_folder
from lumbar.models.memory import release_free_memory
from lumbar.pipeline import Analysis, Models, Request
from lumbar.population.follow_up.compare import Comparison
from lumbar.population.follow_up.compare import compare as compare_examinations
from lumbar.population.follow_up.examination import read_examination
from lumbar.population.follow_up.sentences import sentences
from lumbar.report.document import to_document
from lumbar.report.follow_up.write import write_comparison
from lumbar.report.images import draw_images
from lumbar.report.write import write_analysis

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Result:
    """What an analysis found, and how to keep it."""

    analysis: Analysis  # findings with the masks, crops and maps that images are drawn from

    @property
    def findings(self) -> Findings:
        """Everything that was found, as in findings.json."""
        return self.analysis.findings

    def write(self, folder: Path | str, overwrite: bool = False, dicom_from: Path | str | None = None) -> "Result":
        """Write findings.json, report.html, tables, masks and previews into `folder`, all of them or none.

        Args:
            folder: where the files go.
            overwrite: replace an earlier result.
            dicom_from: where the study was read from; if given, `dicom/` and `fhir.json` are written too (needs `lumbar[dicom]`).

        Returns:
            The result with a warning for each mask that no file can hold.

        Raises:
            UsageError: `folder` is not empty and `overwrite` is off, is in use, or cannot be written to; or `dicom_from` holds no DICOM files.
        """
        try:
            with threadpool_limits(1, "blas"), staged_folder(Path(folder), overwrite) as stage:
                if dicom_from is not None:
                    return replace(self, analysis=write_with_objects(self.analysis, Path(dicom_from), stage))
                return replace(self, analysis=write_analysis(self.analysis, stage))
        finally:
            release_free_memory()  # the images of the report are large

    def to_frame(self) -> "pd.DataFrame":
        """One row per value: study, level, side, structure, finding, value, unit, error, quality.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415  (an optional dependency)
        except ImportError as error:
            raise UsageError("a data frame needs pandas, which is not installed; run: pip install 'lumbar[stats]'") from error
        return pd.DataFrame(value_rows(self.findings.study_uid, to_document(self.findings)), columns=list(COLUMNS))


def compare(
    earlier: Path | str, later: Path | str, out: Path | str, models: Callable[[], Models] | None = None, force: bool = False, overwrite: bool = False
) -> Comparison:
    """Compare two examinations of one person and write comparison.html, comparison.json and comparison.csv into `out`, all of them or none.

    Args:
        earlier: a folder of results, or a study, which is analyzed into `out`/earlier.
        later: likewise.
        out: where the files go.
        models: gives the loaded models where a study has to be analyzed; by default they are loaded.
        force: compare even where the persons or the level names do not fit.
        overwrite: replace an earlier comparison.

    Raises:
        InputError: the examinations do not fit each other, are the same, or cannot be read.
        NoUsableSeries: a study shows no lumbar spine.
        UsageError: `out` is not empty and `overwrite` is off, or cannot be written to.
    """
    given = {"earlier": Path(earlier), "later": Path(later)}
    studies = [name for name, path in given.items() if not (path / "findings.json").is_file()]
    with staged_folder(Path(out), overwrite) as folder:
        loaded = (models or load_models)() if studies else None
        for name in studies:
            assert loaded is not None
            analysis = pipeline.analyze(read_study(given[name]), loaded)
            given[name] = folder / name
            given[name].mkdir()
            write_analysis(analysis, given[name])
        comparison = compare_examinations(read_examination(given["earlier"]), read_examination(given["later"]), force)
        write_comparison(folder, comparison, given["earlier"], given["later"])
    return comparison


_KEY_IMAGES = ("sagittal", "axial_", "crop_", "evidence_")  # begins of the names of images that are sent to archives


@dataclass(frozen=True)
class EarlierResult:
    """The result of an earlier examination of the same person."""

    folder: Path  # with findings.json
    date: str  # as people read it; empty if unknown


def write_with_objects(
    analysis: Analysis, source: Path, folder: Path, progress: Callable[[str, int, int], None] | None = None, earlier: EarlierResult | None = None
) -> Analysis:
    """Write what `write_analysis` writes, and DICOM and FHIR objects that refer to the images in `source`.

    Args:
        analysis: findings and their evidence.
        source: where the study was read from.
        folder: where the files go.
        progress: called with (step, done, total).
        earlier: what changed since then is told in the structured report.

    Raises:
        UsageError: `lumbar[dicom]` is not installed, or `source` holds no DICOM images of the study.
    """
    try:
        from lumbar.exchange.key_images import KeyImage  # noqa: PLC0415  (an optional dependency, and slow to import)
        from lumbar.exchange.objects import ReportFiles, write_objects  # noqa: PLC0415
        from lumbar.exchange.source import read_source  # noqa: PLC0415
        from lumbar.report.pdf import report_pdf  # noqa: PLC0415  (matplotlib takes half a second)
    except ImportError as error:
        raise UsageError("DICOM objects need highdicom, which is not installed; run: pip install 'lumbar[dicom]'") from error
    source_images = read_source(analysis.study, source)
    analysis = replace(analysis, findings=replace(analysis.findings, warnings=(*analysis.findings.warnings, *source_images.notes)))
    images = draw_images(analysis)
    written = write_analysis(analysis, folder, images)
    if progress:
        progress("writing the objects", 0, 1)
    kept = [image for name, image in images.items() if name.startswith(_KEY_IMAGES) and name != "sagittal_plain"]
    with ThreadPoolExecutor(1) as pool:  # the browser prints in processes of its own
        pdf = pool.submit(report_pdf, folder / "report.html", written.findings, images)
        key_images = tuple(KeyImage(one.name, one.caption, one.image) for one in kept)
        changes = _changes_since(earlier, folder) if earlier else ()
        write_objects(written, source_images, ReportFiles(pdf.result, key_images, changes), folder)
    return written


def _changes_since(earlier: EarlierResult, folder: Path) -> tuple[str, ...]:
    """What changed since the earlier result, in sentences."""
    try:
        return sentences(compare_examinations(read_examination(earlier.folder), read_examination(folder)), earlier.date)
    except InputError:
        return (f"The earlier examination{f' of {earlier.date}' if earlier.date else ''} does not fit this one, so nothing was compared.",)


def load_models(folder: Path | str | None = None, threads: int = 0) -> Models:
    """Load, check and prepare all models. Do this once per process and use them for any number of studies.

    Args:
        folder: a model folder, or a folder of them, that comes before the models of the package.
        threads: threads of the networks; 0 means all cores.

    Raises:
        ModelError: a model is missing or damaged.
    """
    return pipeline.load_models(Path(folder) if folder is not None else None, threads)


def analyze(study: Study, models: Models, request: Request | None = None, progress: Callable[[str, int, int], None] | None = None) -> Result:
    """Name, measure and grade the lumbar spine of `study`, and measure its muscles.

    Args:
        study: as `read_study` returns it.
        models: as `load_models` returns them.
        request: which tasks to run, and what is known about the patient; by default everything but the age.
        progress: called with (step, done, total).

    Raises:
        NoUsableSeries: no series of the study shows a lumbar spine.
    """
    return Result(pipeline.analyze(study, models, request, progress))
