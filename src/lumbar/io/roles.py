"""Weighting and role of a series from its header, each with the evidence as text.

Tags are combined. Times (TR, TE, TI) are physical and take precedence over text; text is used where times are missing.
"""

import re
from dataclasses import dataclass

from lumbar.domain.study import Plane, Role, Weighting
from lumbar.io.slices import Acquisition

# Values of ImageType for images derived from others.
_DERIVED = {"MPR", "REFORMATTED", "PROJECTION IMAGE", "MIP", "MINIP", "CSA REPORT", "SCREEN SAVE", "SUB", "SUBTRACTION", "CURVED", "COMPOSED"}
_DIFFUSION = {"ADC", "TRACEW", "FA", "DIFFUSION", "DIRECTIONS", "ADC_UNSPECIFIED", "EADC"}
# Maps that scanners compute, by image type.
_FAT_FRACTION_TYPE = re.compile(r"(FAT[_ ]?FRAC(TION)?|PDFF|FF|FAT[_ ]?PERCENT(AGE)?)([_ ]?MAP)?")
_MAP_TYPE = re.compile(
    r"(WATER[_ ]?FRAC(TION)?|WF|[TR][12][_ ]?(STAR|\*)?([_ ]?MAP)|[TR]2[_ ]?(STAR|\*)|R[12]|(B[01]|FIELD)[_ ]?MAP|T[12]|PERFUSION|[RT]2_STAR_UNSPECIFIED)"
)
_DIXON = {
    **dict.fromkeys(("W", "WATER", "DIXON_WATER"), "water"),
    **dict.fromkeys(("F", "FAT", "DIXON_FAT"), "fat"),
    **dict.fromkeys(("IP", "IN_PHASE", "IN-PHASE", "INPHASE", "IN"), "in phase"),
    **dict.fromkeys(("OP", "OUT_PHASE", "OPP_PHASE", "OUT-PHASE", "OUTPHASE", "OPP"), "out of phase"),
}
_WORDS = {
    "localizer": r"\b(loc|locali[sz]er|scout|survey|3.?plane|plan)\b",
    "diffusion": r"\b(dwi|ep2d|diff(usion)?|e?adc|apparent|trace\w*|dti|b\d{3,4})\b",
    "myelography": r"myelo",
    "fat fraction": r"\b(fat ?frac(tion)?|ff|pdff|fat ?percent(age)?)( ?map)?\b",
    "map": r"\b([tr][12](\*|star)? ?map|r[12](\*|star)?(?![a-z0-9])|water ?frac(tion)?|(b[01]|field) ?map|perf(usion)?)(?![a-z0-9])",
    "part": r"\bpart (phase|imag|real)\b",
    "subtraction": r"subtraction|\bsub$",
    "stir": r"\b(stir|tirm|irfse|ir.?tse)\b",
    "t2*": r"t2\s?(\*|starw?)|\b(medic|merge|mffe|gre)\b",
    "t2": r"t2(?![*a-z0-9]|\s?star)|\bt2w\b",
    "t1": r"t1(?![*a-z0-9])|\bt1w\b",
    "pd": r"\bpdw?\b|proton",
    "contrast": r"(\+|\bpost)\s?-?(c|gd|gad|contrast)\b|\bgd\b|\bgad\b|\bkm\b|\bcontrast\b",
    "fat suppression": r"\b(fs|fatsat|fat ?sat|fat ?sup\w*|spair|spir|chem ?sat)\b",
    "water": r"\bwater\b|\bpart w\b|\bw$|\bdixon ?w\b",
    "fat": r"\bfat$|\bpart f(at)?\b|\bfat (image|only|dixon)\b|\bfat:|\bdixon ?f(at)?\b|\bf$",
    "in phase": r"\bin ?phase\b|\bin$|\bip$",
    "out of phase": r"\b(out|opp|opposed)( ?of)? ?(phase)?$|\bop$",
    "dixon": r"dixon|ideal|mdixon|flex\b|\bvibe\b|\blava\b",
}
_PROTON_DENSITY_MS = (1500.0, 40.0)  # least repetition and longest echo time
_NEGATED = re.compile(r"\b(w ?o|without|ohne|no|non|pre)\b ?(iv )?(c|gd|gad|km|contrast)\b")  # "without contrast" is not contrast
_PATTERNS = {name: re.compile(pattern) for name, pattern in _WORDS.items()}


UNKNOWN_WEIGHTING = "neither text nor times give its weighting"  # then the pixels may


@dataclass(frozen=True)
class Verdict:
    """Contrast of a series according to its header."""

    weighting: Weighting
    excluded: str  # why the series is of no use here whatever its weighting, or ""
    evidence: tuple[str, ...]  # sentences for `lumbar inspect`
    warnings: tuple[str, ...] = ()


def judge(acquisition: Acquisition) -> Verdict:
    """Weighting from the header; UNKNOWN if it must be determined from the pixels."""
    said = {name for name, pattern in _PATTERNS.items() if pattern.search(_plain(acquisition.description))}
    times, why_times = _from_times(acquisition)
    spoken, why_spoken = _from_words(acquisition, said)
    evidence = [why for why in (why_times, why_spoken) if why]
    warnings: list[str] = []
    # If TI was removed, STIR has the times of T2, and the text takes precedence.
    weighting = Weighting.STIR if (times, spoken) == (Weighting.T2, Weighting.STIR) else times or spoken or Weighting.UNKNOWN
    if times and spoken and not _agree(times, spoken):
        warnings.append(f"its description indicates {_shown(spoken)}, but its times {_shown(times)} ({why_times}); the times were used")
    dixon, why_dixon = _dixon(acquisition, said)
    fraction = _fat_fraction(acquisition, said)
    if fraction:
        return Verdict(Weighting.FAT_FRACTION, _exclusion(acquisition, said - {"map"}, "", Weighting.FAT_FRACTION), (fraction,))
    if dixon:
        evidence.append(why_dixon)
        weighting = _dixon_weighting(dixon, weighting)
    return Verdict(weighting, _exclusion(acquisition, said, dixon, weighting), tuple(evidence), tuple(warnings))


def role_of(plane: Plane, weighting: Weighting) -> Role:
    """What a series of this plane and weighting is good for."""
    if weighting is Weighting.DIXON_WATER:
        return Role.DIXON_WATER
    if weighting is Weighting.DIXON_FAT:
        return Role.DIXON_FAT
    if weighting is Weighting.FAT_FRACTION:
        return Role.FAT_FRACTION
    table = {
        (Plane.SAGITTAL, Weighting.T1): Role.SAGITTAL_T1,
        (Plane.SAGITTAL, Weighting.T2): Role.SAGITTAL_T2,
        (Plane.SAGITTAL, Weighting.STIR): Role.SAGITTAL_T2,
        (Plane.AXIAL, Weighting.T1): Role.AXIAL_T1,
        (Plane.AXIAL, Weighting.T2): Role.AXIAL_T2,
    }
    return table.get((plane, weighting), Role.OTHER)


def reason(place: str, verdict: Verdict) -> str:
    """Reason for the role of a series: its plane with the evidence, then the evidence on its contrast."""
    evidence = list(verdict.evidence)
    if verdict.excluded:
        evidence.append(f"not used: {verdict.excluded}")
    return "; ".join([place, *(evidence or [UNKNOWN_WEIGHTING])])


def contrast_key(a: Acquisition) -> tuple[object, ...]:
    """What differs between the images that one series can hold at one place: Dixon image, map, echo, b-value, part of a complex image."""
    return dixon_kind(a), round(a.echo_ms or 0), a.echo_number or 0, round(a.b_value or 0), round(a.inversion_ms or 0), a.image_type[2:]


def dixon_kind(acquisition: Acquisition) -> str:
    """Which of the Dixon images this is by its ImageType: water, fat, in phase, out of phase, or "" for none."""
    kinds = [_DIXON[word] for word in acquisition.image_type[2:] if word in _DIXON]
    return kinds[-1] if kinds else ""


def _fat_fraction(a: Acquisition, said: set[str]) -> str:
    """Evidence that the images are a map of fat fractions, or ""."""
    if any(_FAT_FRACTION_TYPE.fullmatch(word) for word in a.image_type[2:]):
        return "its image type says fat fraction"
    return "its description says fat fraction" if "fat fraction" in said and not dixon_kind(a) else ""


def _from_times(a: Acquisition) -> tuple[Weighting | None, str]:
    """Weighting by repetition, echo and inversion time (ms), for spin echo; gradient echo only by its short times."""
    tr, te, ti = a.repetition_ms, a.echo_ms, a.inversion_ms
    shown = ", ".join(f"{name} {value:.0f} ms" for name, value in (("TR", tr), ("TE", te), ("TI", ti)) if value is not None)
    if ti is not None and 80 <= ti <= 300 and (tr is None or tr >= 1200) and "GR" not in a.scanning_sequence:
        return Weighting.STIR, f"{shown} is a short-TI inversion"
    if tr is None or te is None:
        return None, ""
    if te >= 60 and tr >= 1200:
        return Weighting.T2, f"{shown} is T2"
    if te <= 35 and tr <= 1250 and ("GR" not in a.scanning_sequence or te <= 10):
        return Weighting.T1, f"{shown} is T1"
    if te <= 35 and ti is not None and 500 <= ti <= 1400:
        return Weighting.T1, f"{shown} is a T1 inversion"
    return None, f"{shown} fits neither T1 nor T2" if shown else ""


def _from_words(a: Acquisition, said: set[str]) -> tuple[Weighting | None, str]:
    if "stir" in said or ("TIR" in a.sequence_name.upper() and "IR" in a.scanning_sequence):
        return Weighting.STIR, "its description says STIR"
    for name, weighting in (("t2", Weighting.T2), ("t1", Weighting.T1)):
        if name in said and not ({"t1", "t2"} <= said):
            return weighting, f"its description says {weighting.value}"
    return None, ""


def _agree(times: Weighting, spoken: Weighting) -> bool:
    return times is spoken or {times, spoken} == {Weighting.T2, Weighting.STIR}


def _dixon(a: Acquisition, said: set[str]) -> tuple[str, str]:
    kind = dixon_kind(a)
    if kind:
        return kind, f"its image type says Dixon {kind}"
    if "water" in said and "fat" not in said:
        return "water", "its description says Dixon water"
    for name in ("fat", "in phase", "out of phase"):
        if name in said and ("dixon" in said or name == "fat") and "fat suppression" not in said:
            return name, f"its description says Dixon {name}"
    return "", ""


def _dixon_weighting(kind: str, weighting: Weighting) -> Weighting:
    if kind == "water":
        return Weighting.DIXON_WATER
    if kind == "fat":
        return Weighting.DIXON_FAT
    return weighting  # in phase is an ordinary image; out of phase is excluded


def _exclusion(a: Acquisition, said: set[str], dixon: str, weighting: Weighting) -> str:
    derived = _DERIVED.intersection(a.image_type)
    diffusion = _DIFFUSION.intersection(a.image_type)
    checks = [
        ("LOCALIZER" in a.image_type or "localizer" in said, "it is a localizer"),
        (bool(derived), f"it was made from other images ({', '.join(sorted(derived)).lower()})"),
        ("EP" in a.scanning_sequence or "diffusion" in said or bool(diffusion) or (a.b_value or 0) > 0, "it is diffusion-weighted or a map of it"),
        (_is_proton_density(a, weighting), "its times are those of proton density, whatever its description says"),
        ("myelography" in said, "it is a myelogram"),
        ("map" in said or any(_MAP_TYPE.fullmatch(word) for word in a.image_type[2:]), "it is a map, not an image of tissue"),
        ("part" in said, "it is a part of a complex image"),
        ("subtraction" in said, "it is a subtraction"),
        ("P" in a.image_type[2:] or "PHASE" in a.image_type[2:] or "PHASE MAP" in a.image_type, "it shows phase"),
        (dixon == "out of phase", "it is the out-of-phase image of a Dixon"),
        ("t2*" in said and "t1" not in said, "it is T2*, a gradient echo"),
        (weighting is Weighting.T1 and (a.contrast_agent or "contrast" in said), "it is T1 after contrast agent"),
        (weighting is Weighting.T1 and ("FS" in a.options or "fat suppression" in said), "it is T1 with fat suppression"),
    ]
    return next((why for holds, why in checks if holds), "")


def _is_proton_density(a: Acquisition, weighting: Weighting) -> bool:
    """Whether a spin echo named T2 has the times of proton density, as the first of two echoes."""
    long_repetition = a.repetition_ms is not None and a.repetition_ms >= _PROTON_DENSITY_MS[0]
    short_echo = a.echo_ms is not None and a.echo_ms <= _PROTON_DENSITY_MS[1]
    return weighting is Weighting.T2 and long_repetition and short_echo and a.inversion_ms is None and "GR" not in a.scanning_sequence


def _shown(weighting: Weighting) -> str:
    return weighting.value


def _plain(description: str) -> str:
    return _NEGATED.sub("", re.sub(r"[_/\\().,;-]+", " ", description.lower())).strip()
