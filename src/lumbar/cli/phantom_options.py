"""Options that the phantom's commands share."""

import click

from lumbar.phantom.study import MATRIX_SCALES

matrix_scale = click.option(
    "--matrix-scale",
    type=click.FloatRange(*MATRIX_SCALES),
    default=1.0,
    show_default=True,
    help="Lower resolution of the same field of view; 0.5 takes about half the time.",
)
