"""The command `lumbar`: its verbs, and the reporting of errors.

A verb's module is imported only when the verb is used, so that `lumbar --help` and a cold start stay quick.
"""

import importlib
import os
import sys
from typing import Any

import click

from lumbar import __version__
from lumbar.cli.streams import forgiving_streams
from lumbar.errors import LumbarError

# name → (module:click command, one line of help); a name with a space is a verb of a group.
VERBS: dict[str, tuple[str, str]] = {
    "segment spine": ("lumbar.cli.segment_spine:segment_spine", "Vertebrae, discs and canal of one image, with named levels."),
    "analyze": ("lumbar.cli.analyze:analyze", "Analyze a study: levels, measurements, grades, muscles, age, and a report."),
    "compare": ("lumbar.cli.compare:compare_command", "Compare two examinations of one person: what changed beyond measurement error."),
    "batch": ("lumbar.cli.batch:batch", "Analyze many studies on local workers or a cluster."),
    "deidentify": ("lumbar.cli.deidentify:deidentify", "Copy a study without identity."),
    "serve": ("lumbar.cli.serve:serve", "Run a web service with a worklist and a viewer."),
    "users set": ("lumbar.cli.users:set_user", "Add a user of the service, or change one."),
    "users list": ("lumbar.cli.users:list_users", "List the users of the service."),
    "users remove": ("lumbar.cli.users:remove_user", "Remove a user of the service."),
    "inspect": ("lumbar.cli.inspect:inspect", "List the series of a study with plane, weighting, role and the reason."),
    "evaluate severity": ("lumbar.cli.evaluate_severity:evaluate_severity", "Score a submission with the official metric and more."),
    "explore rsna2024": ("lumbar.cli.explore_rsna2024:explore_rsna2024", "Describe the RSNA 2024 data set."),
    "predict crops": ("lumbar.cli.predict_crops:predict_crops", "Grade axial crops and write a submission."),
    "predict foramina": ("lumbar.cli.predict_foramina:predict_foramina", "Grade foramina on sagittal T1 slices and write a submission."),
    "prepare rsna2024": ("lumbar.cli.prepare_rsna2024:prepare_rsna2024", "Cut training crops from RSNA 2024 studies."),
    "train spine": ("lumbar.cli.train_spine:train_spine", "Train a spine model on labelled sagittal slices."),
    "train severity": ("lumbar.cli.train_severity:train_severity", "Train severity graders of axial crops or of whole studies."),
    "predict rsna2024": ("lumbar.cli.predict_rsna2024:predict_rsna2024", "Grade RSNA 2024 studies and write a submission."),
    "predict discs": ("lumbar.cli.predict_discs:predict_discs", "Grade discs on mid-sagittal images."),
    "models install": ("lumbar.cli.models_install:install_model", "Install a model from a folder, a zip or an address."),
    "models keygen": ("lumbar.cli.models_sign:keygen", "Generate a key for signing models."),
    "models sign": ("lumbar.cli.models_sign:sign_model", "Sign a model."),
    "models trust": ("lumbar.cli.models_sign:trust_public_key", "Trust the models signed with a key."),
    "models list": ("lumbar.cli.models_list:list_models", "List the installed models."),
    "models show": ("lumbar.cli.models_show:show_model", "Show a model's card."),
    "models verify": ("lumbar.cli.models_verify:verify_models", "Check hashes and load every model."),
    "evaluate muscle": ("lumbar.cli.evaluate_muscle:evaluate_muscle", "Score muscle masks, or the agreement of volumes."),
    "aging": ("lumbar.cli.aging:aging", "Describe the ageing of a population: curves, stages, deltas."),
    "cohort": ("lumbar.cli.cohort:cohort", "Describe the results of many studies: prevalence, sites, groups, z-scores."),
    "evaluate age": ("lumbar.cli.evaluate_age:evaluate_age", "Score predicted ages from a table."),
    "evaluate spine": ("lumbar.cli.evaluate_spine:evaluate_spine", "Score spine masks."),
    "measure muscle": ("lumbar.cli.measure_muscle:measure_muscle", "Measure muscles from a mask."),
    "phantom cohort": ("lumbar.cli.phantom_cohort:cohort", "Make many synthetic studies in a data set's layout."),
    "phantom study": ("lumbar.cli.phantom_study:study", "Make one synthetic study in DICOM with its ground truth."),
    "segment muscle": ("lumbar.cli.segment_muscle:segment_muscle", "Label and measure back muscles on an axial NIfTI image."),
    "train age": ("lumbar.cli.train_age:train_age", "Train an age model on sagittal T2 or STIR series."),
    "train muscle": ("lumbar.cli.train_muscle:train_muscle", "Train the muscle network on Dixon pairs with masks."),
    "models import-nnunet": ("lumbar.cli.models_import_nnunet:import_nnunet", "Import a trained nnU-Net v2 folder."),
}
GROUPS = {
    "evaluate": "Score predictions against a reference.",
    "explore": "Describe a data set.",
    "measure": "Measure existing masks.",
    "models": "Model folders: list, show, verify, install, sign, trust, import.",
    "phantom": "Make synthetic studies with ground truth.",
    "predict": "Grade data-set tables and write submissions.",
    "prepare": "Prepare a data set for training.",
    "segment": "Segment one NIfTI image.",
    "train": "Train a model (needs lumbar[train]).",
    "users": "Users of the service: set, list, remove.",
}


class LazyGroup(click.Group):
    """A click group that looks its verbs up in `VERBS` and imports them on first use."""

    prefix = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Verbs of this group, then, at the top, the groups that have any."""
        own = [name.removeprefix(self.prefix) for name in VERBS if name.startswith(self.prefix) and " " not in name.removeprefix(self.prefix)]
        if self.prefix:
            return sorted(own)
        return sorted([*own, *(group for group in GROUPS if any(name.startswith(f"{group} ") for name in VERBS))])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb `cmd_name`, imported now, or a group of verbs."""
        if not self.prefix and cmd_name in GROUPS:
            return _group(cmd_name)
        entry = VERBS.get(self.prefix + cmd_name)
        if entry is None:
            return None
        module, function = entry[0].split(":")
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List verbs with their line of help without importing them."""
        rows = [(name, VERBS[self.prefix + name][1] if self.prefix + name in VERBS else GROUPS[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _group(name: str) -> LazyGroup:
    group = LazyGroup(name=name, help=GROUPS[name], no_args_is_help=True)
    group.prefix = f"{name} "
    return group


def _root() -> LazyGroup:
    options: list[click.Parameter] = [
        click.Option(["--debug"], is_flag=True, help="Show the whole traceback of an error."),
        click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version and stop."),
    ]
    text = "Lumbar-spine MRI: levels, measurements, grades, muscles and a report from a study. Research use only, not a medical device."
    return LazyGroup(name="lumbar", help=text, params=options, callback=lambda debug: None, no_args_is_help=True)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"lumbar {__version__}")
        ctx.exit()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code (0 done, 1 internal, 2 usage, 3 unusable input, 4 done in part)."""
    forgiving_streams()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy starts threads: the matrices are small, and the threads would wait for each other
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]  # accepted before and after the verb
    try:
        result: Any = _root().main(args=words, prog_name="lumbar", standalone_mode=False)
    except LumbarError as error:
        _fail(str(error), error.exit_code, debug)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", 130, debug)
    except Exception as error:
        _fail(f"internal error: {type(error).__name__}: {error} (run again with --debug for the traceback)", 1, debug)
    else:
        sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        raise  # noqa: PLE0704  (called from an except block only)
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
