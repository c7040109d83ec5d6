"""The images of the report, by name; every name is also that of a file in previews/."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from lumbar.age.importance import HeatMap as AgeHeatMap
from lumbar.domain.anatomy import Condition, Level
from lumbar.domain.findings import SeverityFinding
from lumbar.domain.study import Plane
from lumbar.pipeline import Analysis
from lumbar.report.drawing import draw_age_map, draw_axial, draw_close, draw_heat, draw_sagittal
from lumbar.report.evidence import importance_on, place_of, view_around, view_of_crop, view_of_foramen, views_of_neighbours
from lumbar.report.views import SAGITTAL_MM, AxialView, SagittalView, axial_views, sagittal_view
from lumbar.severity.axial.explain import HeatMap
from lumbar.severity.foramina.cut import NEIGHBOURS, ForamenCrop
from lumbar.severity.foramina.explain import CONDITIONS, ForamenHeatMap
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.spine_map import SpineMap

_CLOSE_MM = 36.0, 52.0  # height, width of a sagittal evidence view
_FORAMEN_MM = 40.0, 34.0  # of one slice beside its neighbours


@dataclass(frozen=True, eq=False)
class ReportImage:
    """One image of the report."""

    name: str  # file name in previews/, without its ending
    image: Image.Image
    caption: str  # also the alternative text


def name_of(kind: str, finding: SeverityFinding) -> str:
    """The name of a finding's image: `heat` or `evidence`."""
    return f"{kind}_{finding.condition.value}_{finding.level.slug}"


def words(condition: Condition) -> str:
    """`left subarticular stenosis`."""
    return condition.value.replace("_", " ")


def shown_findings(analysis: Analysis) -> tuple[SeverityFinding, ...]:
    """The findings that are shown with images: all that have a heat map."""
    mapped = {(heat.condition, heat.level) for heat in analysis.heat_maps}
    return tuple(f for f in analysis.findings.severity if (f.condition, f.level) in mapped)


def draw_images(analysis: Analysis) -> Mapping[str, ReportImage]:
    """All images in the order in which the report shows them; they are drawn in parallel."""
    with ThreadPoolExecutor() as pool:
        drawn = list(pool.map(lambda draw: draw(), _drawings(analysis)))
    return {image.name: image for image in drawn}


def _drawings(analysis: Analysis) -> Iterator[Callable[[], ReportImage]]:
    assert analysis.findings.spine is not None
    view = sagittal_view(analysis.spine, analysis.spine_stack.volume)
    yield partial(_sagittal, analysis, view, outlines=True)
    yield partial(_sagittal, analysis, view, outlines=False)
    shown = shown_findings(analysis)
    for level in Level:
        if level in analysis.crops and any(f.level is level for f in shown):
            yield partial(_crop, analysis, level)
    for finding in shown:
        foramen = _foramen(analysis, finding)
        if foramen is not None:
            yield partial(_slices, foramen, finding)
        elif finding.evidence is not None and place_of(analysis.study, finding.evidence).series.plane is not Plane.AXIAL:
            yield partial(_evidence, analysis, finding)
    for heat in analysis.heat_maps:
        yield partial(_heat, heat)
    for axial in axial_views(analysis.study, analysis.findings.spine.levels, analysis.muscle_masks):
        yield partial(_axial, axial)
        if axial.fat is not None:
            yield partial(_fat, axial)
    if analysis.age is not None and analysis.age.result.heat_map is not None:
        yield partial(_age_map, analysis.age.result.heat_map, analysis.spine, view)


def _outlines_caption(view: SagittalView) -> str:
    own = "Mid-sagittal, along the canal, with the outlines of vertebral bodies, discs and canal"
    return f"{own}; thin: S1 and S2, which the network learned from synthetic phantoms alone" if view.sacrum.any() else own


def _sagittal(analysis: Analysis, view: SagittalView, outlines: bool) -> ReportImage:
    drawn = draw_sagittal(view, analysis.spine, outlines)
    if outlines:
        return ReportImage("sagittal", drawn, _outlines_caption(view))
    return ReportImage("sagittal_plain", drawn, "The same without outlines")


def _crop(analysis: Analysis, level: Level) -> ReportImage:
    """The axial crop with a ring at each place of evidence on it."""
    crop = analysis.crops[level]
    places = [place_of(analysis.study, f.evidence) for f in shown_findings(analysis) if f.level is level and f.evidence is not None]
    rings = [place.point_mm for place in places if place.series.plane is Plane.AXIAL]
    number = crop.stack.instance_numbers[crop.slice_number]
    return ReportImage(f"crop_{level.slug}", draw_close(view_of_crop(crop), rings), f"Axial T2 at {level.value}, instance {number}: the graded crop")


def _evidence(analysis: Analysis, finding: SeverityFinding) -> ReportImage:
    assert finding.evidence is not None
    place = place_of(analysis.study, finding.evidence)
    drawn = draw_close(view_around(place, *_CLOSE_MM), [place.point_mm], sides=False)
    what = f"{place.series.plane.value} {place.series.weighting.value}, instance {finding.evidence.instance_number}"
    return ReportImage(name_of("evidence", finding), drawn, f"{words(finding.condition).capitalize()} {finding.level.value}: {what}")


def _foramen(analysis: Analysis, finding: SeverityFinding) -> ForamenCrop | None:
    """The sagittal crop that a foraminal grade comes from."""
    side = next((side for side, condition in CONDITIONS.items() if condition is finding.condition), None)
    return analysis.foramina.get((finding.level, side)) if side else None


def _slices(crop: ForamenCrop, finding: SeverityFinding) -> ReportImage:
    """The slices that a foraminal grade comes from, side by side, with a ring around the foramen on each."""
    views = views_of_neighbours(crop, *_FORAMEN_MM)
    drawn = [draw_close(view, [view.points_mm[view.grey.shape[0] // 2, view.grey.shape[1] // 2]], sides=False) for view in views]
    row = Image.new("RGB", (sum(one.width for one in drawn), drawn[0].height))
    for place, one in enumerate(drawn):
        row.paste(one, (place * one.width, 0))
    numbers = [crop.stack.instance_numbers[crop.slice_number + by] for by, weight in zip(NEIGHBOURS, crop.weights, strict=True) if weight > 0]
    what = f"{crop.series.plane.value} {crop.series.weighting.value}, instances {', '.join(map(str, numbers))}"
    return ReportImage(name_of("evidence", finding), row, f"{words(finding.condition).capitalize()} {finding.level.value}: {what}")


def _heat(heat: HeatMap | ForamenHeatMap) -> ReportImage:
    axial = isinstance(heat, HeatMap)
    view = view_of_crop(heat.crop) if isinstance(heat, HeatMap) else view_of_foramen(heat.crop)
    drawn = draw_heat(view, importance_on(heat, (view.grey.shape[0], view.grey.shape[1])), sides=axial)
    caption = f"Heat map of {words(heat.condition)} {heat.level.value}: brightness shows the change of the score when the region is occluded"
    return ReportImage(f"heat_{heat.condition.value}_{heat.level.slug}", drawn, caption)


def _axial(view: AxialView) -> ReportImage:
    level = view.level.level
    caption = f"{level.value}: {view.series.weighting.value.replace('_', ' ')}, instance {view.instance_number}, {view.gap_mm:.1f} mm from the disc's centre"
    return ReportImage(f"axial_{level.slug}", draw_axial(view), caption)


def _fat(view: AxialView) -> ReportImage:
    return ReportImage(
        f"fat_{view.level.level.slug}", draw_axial(view, fat=True), f"{view.level.level.value}: share of fat in each muscle, dark lean, yellow fat"
    )


def _age_map(heat: AgeHeatMap, spine: SpineMap, view: SagittalView) -> ReportImage:
    rows, columns = view.grey.shape
    place = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1) * SAGITTAL_MM + np.array(view.corner_mm)
    years = heat.at(spine.midplane.points_mm(place / PIXEL_MM))
    return ReportImage("age_map", draw_age_map(view, years), "Regions that make the spine look older (red) or younger (blue) than average, mid-sagittal")
