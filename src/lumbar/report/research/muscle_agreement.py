"""Agreement of two methods as plots, a table and a page that opens offline."""

import base64
import csv
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
from jinja2 import Template

from lumbar.muscle.evaluate import Pairs, VolumeAgreement
from lumbar.report.research.figures import new_figure

UNITS = {"volume": "ml", "fat": "fraction"}

_PAGE = Template(
    """<!doctype html><html lang="en"><meta charset="utf-8"><title>Agreement of {{ quantity }}</title>
<style>body{font:15px sans-serif;max-width:70em;margin:2em auto}td,th{padding:.3em .8em;text-align:right}th{border-bottom:1px solid}img{max-width:100%}</style>
<h1>Agreement of {{ quantity }} ({{ unit }}), {{ n }} cases</h1>
<p>Differences are automatic minus reference. Limits are the bias ∓ 1.96 standard deviations (n − 1). ICC(2,1) with its 95 % interval. Equivalent: both
one-sided t tests at ±5 % of the mean reference reject at p &lt; 0.05. Research use only.</p>
<table><tr><th>muscle<th>MAE<th>bias<th>limits<th>ICC(2,1)<th>Pearson<th>TOST p<th>equivalent</tr>
{% for e in entries %}<tr><td>{{ e.side.value }} {{ e.muscle.value | replace("_", " ") }}<td>{{ "%.3g" | format(e.agreement.mae) }}
<td>{{ "%+.3g" | format(e.agreement.bias) }}<td>{{ "%.3g" | format(e.agreement.loa_low) }} … {{ "%.3g" | format(e.agreement.loa_high) }}
<td>{{ "%.4f" | format(e.agreement.icc_2_1) }} ({{ "%.4f" | format(e.agreement.icc_2_1_low) }}–{{ "%.4f" | format(e.agreement.icc_2_1_high) }})
<td>{{ "%.4f" | format(e.agreement.pearson) }}<td>{{ "%.2g" | format(e.agreement.tost_p) }}<td>{{ "yes" if e.agreement.equivalent else "no" }}</tr>
{% endfor %}</table><p><img alt="Bland–Altman and scatter plots" src="data:image/png;base64,{{ image }}"></p></html>
""",
    autoescape=True,
)


def write_agreement(folder: Path, quantity: str, pairs: Mapping[int, Pairs], entries: tuple[VolumeAgreement, ...]) -> None:
    """Write `<quantity>_agreement.csv`, `.png` and `.html` into `folder`."""
    with (folder / f"{quantity}_agreement.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [{"label": e.label, "muscle": e.muscle.value, "side": e.side.value, **asdict(e.agreement)} for e in entries]
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    image = _plots(UNITS[quantity], pairs, entries)
    (folder / f"{quantity}_agreement.png").write_bytes(image)
    page = _PAGE.render(quantity=quantity, unit=UNITS[quantity], n=entries[0].agreement.n, entries=entries, image=base64.b64encode(image).decode())
    (folder / f"{quantity}_agreement.html").write_text(page, encoding="utf-8")


def _plots(unit: str, pairs: Mapping[int, Pairs], entries: tuple[VolumeAgreement, ...]) -> bytes:
    """For each label, a Bland–Altman plot above a scatter plot."""

    figure = new_figure(figsize=(4 * len(entries), 7.5), layout="constrained")
    axes = figure.subplots(2, len(entries), squeeze=False)
    for column, entry in enumerate(entries):
        reference, measured = pairs[entry.label]
        a = entry.agreement
        top, bottom = axes[0, column], axes[1, column]
        top.scatter((reference + measured) / 2, measured - reference, s=6, alpha=0.6)
        for value, style in ((a.bias, "-"), (a.loa_low, "--"), (a.loa_high, "--")):
            top.axhline(value, linestyle=style, color="black", linewidth=1)
        top.set(title=f"{entry.side.value} {entry.muscle.value.replace('_', ' ')}", xlabel=f"mean of both ({unit})", ylabel=f"automatic − reference ({unit})")
        bottom.scatter(reference, measured, s=6, alpha=0.6)
        ends = np.array([min(reference.min(), measured.min()), max(reference.max(), measured.max())])
        bottom.plot(ends, ends, color="black", linewidth=1)
        bottom.set(xlabel=f"reference ({unit})", ylabel=f"automatic ({unit})")
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
