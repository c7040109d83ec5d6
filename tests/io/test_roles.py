"""Weighting and role from headers as scanners write them."""

import pytest

from lumbar.domain.study import Plane, Role, Weighting
from lumbar.io.roles import judge, role_of
from lumbar.io.slices import Acquisition

A = Acquisition


# Times are those of common lumbar protocols (1.5 and 3 T, turbo spin echo).
@pytest.mark.parametrize(
    ("acquisition", "weighting"),
    [
        (A(repetition_ms=550, echo_ms=10, scanning_sequence=("SE",)), Weighting.T1),
        (A(repetition_ms=3500, echo_ms=105, scanning_sequence=("SE",)), Weighting.T2),
        (A(repetition_ms=4000, echo_ms=50, inversion_ms=160, scanning_sequence=("SE", "IR")), Weighting.STIR),
        (A(repetition_ms=2000, echo_ms=20, inversion_ms=860, scanning_sequence=("SE", "IR")), Weighting.T1),  # T1 FLAIR
        (A(repetition_ms=1500, echo_ms=130, sequence_name="*spcR3d1"), Weighting.T2),  # 3-D SPACE
        (A(description="T1"), Weighting.T1),
        (A(description="T2"), Weighting.T2),
        (A(description="SAG T2 TSE"), Weighting.T2),
        (A(description="t2_tse_sag_384"), Weighting.T2),
        (A(description="Sag T1 FSE"), Weighting.T1),
        (A(description="t1w_tse"), Weighting.T1),
        (A(description="SAG STIR"), Weighting.STIR),
        (A(description="t2_tirm_sag"), Weighting.STIR),
        (A(description="AX T2 FRFSE FS"), Weighting.T2),
        (A(description="T2 DIXON W", image_type=("ORIGINAL", "PRIMARY", "M", "WATER"), repetition_ms=3500, echo_ms=90), Weighting.DIXON_WATER),
        (A(description="vibe_dixon", image_type=("DERIVED", "PRIMARY", "DIXON", "FAT")), Weighting.DIXON_FAT),
        (A(description="mDIXON", image_type=("ORIGINAL", "PRIMARY", "W", "W", "DERIVED")), Weighting.DIXON_WATER),
        (A(description="t1_vibe_dixon_tra_F"), Weighting.DIXON_FAT),
        (A(description="TUM01_water"), Weighting.DIXON_WATER),
        (A(description="MRI LSPINE W/O CONTRAST T1"), Weighting.T1),
        (A(description="sub-01_ses-1_T1w"), Weighting.T1),
        (A(description="lumbar spine"), Weighting.UNKNOWN),
        (A(), Weighting.UNKNOWN),
        (A(description="T1 and T2"), Weighting.UNKNOWN),
    ],
)
def test_weighting(acquisition, weighting):
    verdict = judge(acquisition)
    assert verdict.weighting is weighting
    assert not verdict.excluded
    assert not verdict.warnings


@pytest.mark.parametrize(
    ("acquisition", "why"),
    [
        (A(description="3-plane LOC"), "localizer"),
        (A(image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), "localizer"),
        (A(description="survey"), "localizer"),
        (A(description="T2", image_type=("DERIVED", "SECONDARY", "MPR")), "other images"),
        (A(description="ep2d_diff_b50"), "diffusion"),
        (A(description="T2", b_value=800.0), "diffusion"),
        (A(description="ADC"), "diffusion"),
        (A(description="MYELO T2"), "myelogram"),
        (A(description="T1 FS +C", repetition_ms=600, echo_ms=10), "after contrast"),
        (A(description="Sag T1", contrast_agent=True), "after contrast"),
        (A(description="SAG T1 FS"), "fat suppression"),
        (A(description="AX T2* GRE"), "gradient echo"),
        (A(description="T2 map"), "map"),
        (A(description="dixon", image_type=("DERIVED", "PRIMARY", "DIXON", "OPP_PHASE")), "out-of-phase"),
        (A(description="eADC (10^-6 mm2/s)", repetition_ms=20, echo_ms=2), "diffusion"),
        (A(description="Apparent Diffusion Coefficient", repetition_ms=4000, echo_ms=80), "diffusion"),
        (A(description="Sag T2 dual echo", repetition_ms=3400, echo_ms=20, scanning_sequence=("SE",)), "proton density"),
    ],
)
def test_unused_series_have_a_reason(acquisition, why):
    assert why in judge(acquisition).excluded


def test_the_first_echo_of_two_is_no_t2_and_a_stir_of_short_echo_is_one():
    assert judge(A(description="T2", repetition_ms=3400, echo_ms=100)).excluded == ""
    assert judge(A(description="STIR", repetition_ms=3400, echo_ms=35)).excluded == ""


def test_times_win_over_words_with_a_warning():
    verdict = judge(A(description="T1", repetition_ms=4000, echo_ms=100))
    assert verdict.weighting is Weighting.T2
    assert len(verdict.warnings) == 1
    assert "description indicates T1" in verdict.warnings[0]
    assert "TR 4000 ms, TE 100 ms" in verdict.warnings[0]


def test_a_stir_without_inversion_time_is_no_contradiction():
    verdict = judge(A(description="STIR", repetition_ms=4500, echo_ms=70))
    assert verdict.weighting is Weighting.STIR
    assert not verdict.warnings


@pytest.mark.parametrize(
    ("plane", "weighting", "role"),
    [
        (Plane.SAGITTAL, Weighting.STIR, Role.SAGITTAL_T2),
        (Plane.SAGITTAL, Weighting.T1, Role.SAGITTAL_T1),
        (Plane.AXIAL, Weighting.T2, Role.AXIAL_T2),
        (Plane.AXIAL, Weighting.T1, Role.AXIAL_T1),
        (Plane.CORONAL, Weighting.T2, Role.OTHER),
        (Plane.AXIAL, Weighting.STIR, Role.OTHER),
        (Plane.SAGITTAL, Weighting.UNKNOWN, Role.OTHER),
        (Plane.AXIAL, Weighting.DIXON_FAT, Role.DIXON_FAT),
    ],
)
def test_role(plane, weighting, role):
    assert role_of(plane, weighting) is role
