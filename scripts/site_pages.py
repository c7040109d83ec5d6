"""Pages of the documentation site that are generated from the code: commands, models, fields of the findings, and the project's own files.

A hook of MkDocs (see mkdocs.yml). What is generated cannot disagree with the code.
"""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from lumbar import pipeline
from lumbar.cli.main import GROUPS, VERBS
from lumbar.domain import findings
from lumbar.models import registry
from lumbar.models.card import Card, read_card

ROOT = Path(__file__).parent.parent
PROJECT_PAGES = {"project/architecture.md": "ARCHITECTURE.md", "project/contributing.md": "CONTRIBUTING.md", "project/changelog.md": "CHANGELOG.md"}
_FIELD = re.compile(r"^    (?P<name>[a-z]\w*): (?P<type>.+?)(?: = .+?)?(?:  # (?P<meaning>.*))?$")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add pages that the navigation does not name to its section *How to*."""
    sections = {title: pages for section in config.nav or [] for title, pages in section.items()}
    named = {page if isinstance(page, str) else next(iter(page.values())) for pages in sections.values() for page in pages}
    found = (path.relative_to(config.docs_dir).as_posix() for path in sorted(Path(config.docs_dir).rglob("*.md")))
    sections["How to"] += [path for path in found if path not in named]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    pages = {"reference/commands.md": commands(), "reference/models.md": models(), "reference/findings.md": fields()}
    pages |= {page: _plain_links((ROOT / source).read_text(encoding="utf-8")) for page, source in PROJECT_PAGES.items()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def commands() -> str:
    """Every command with its help and options, as click has them."""
    lines = ["# Commands", "", "Generated from the program. `lumbar COMMAND --help` prints the same.", ""]
    for group in ["", *sorted(GROUPS)]:
        names = sorted(name for name in VERBS if (name.split(" ")[0] if " " in name else "") == group)
        if not names:
            continue
        lines += [f"## {group or 'Main commands'}", "", *([GROUPS[group], ""] if group else [])]
        for name in names:
            lines += _command(name)
    return "\n".join(lines)


def _command(name: str) -> list[str]:
    module, function = VERBS[name][0].split(":")
    command: click.Command = getattr(importlib.import_module(module), function)
    context = click.Context(command, info_name=f"lumbar {name}")
    lines = [f"### lumbar {name}", "", "```text", " ".join(command.get_usage(context).split()), "```", "", *_help(command.help or ""), ""]
    options = [record for record in (p.get_help_record(context) for p in command.get_params(context) if isinstance(p, click.Option)) if record]
    if options:
        lines += ["| option | meaning |", "| --- | --- |", *(f"| `{_cell(option, code=True)}` | {_cell(meaning)} |" for option, meaning in options), ""]
    return lines


def _help(text: str) -> Iterator[str]:
    """Paragraphs of a help text; examples, and those that click must not wrap (marked by \\b), become code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b") or paragraph.startswith("Example"):
            yield from ("```text", inspect.cleandoc(paragraph.replace("\b\n", "")), "```", "")
        else:
            yield from (paragraph.replace("\b\n", "").replace("<", "&lt;").replace("*", "\\*"), "")


def models() -> str:
    """The card of every model in the package, results on real people first."""
    lines = ["# Models", "", "Generated from the card of each model. `lumbar models show NAME` prints it, and `recipes/` measures every figure again.", ""]
    lines += ["A model is a folder with ONNX networks, a card and the hash of every file. Models marked *research only* were trained on data whose licence", ""]
    lines[-2] += " allows non-commercial research only; they lie in a folder of their own and can be left out."
    lines += [
        "",
        "`loss`: weighted log loss as in the RSNA 2024 score; `prior`: the same for the prevalence of the grades alone; `ece`: expected calibration error;",
    ]
    lines += ["`coverage`: share of 90 % conformal sets that contain the true grade. Intervals are 95 %.", ""]
    for folder in registry.model_folders():
        lines += _model(read_card(folder))
    return "\n".join(lines)


def _model(card: Card) -> list[str]:
    lines = [f"## {card.name}", "", f"Version {card.version}, task `{card.task}`{', **research only**' if card.research_only else ''}. {card.description}", ""]
    lines += [f"*Intended use.* {card.intended_use}", ""]
    synthetic = [result for result in card.results if re.search("synthetic|phantom", result.data)]
    trained = [result for result in card.results if "training subject" in result.data]
    real = [result for result in card.results if result not in synthetic and result not in trained]
    for title, results in (("On real images", real), ("On synthetic images", synthetic), ("On the training data: no evidence for other people", trained)):
        shown = [result for result in results if result.headline]
        rest = [result for result in results if not result.headline]
        if shown:
            lines += [f"**{title}**", "", *_table(shown), ""]
        if rest:
            more = f"{title}: {len(rest)} {'further ' if shown else ''}results"
            lines += [f'??? note "{more}"', "", *(f"    {line}" for line in _table(rest)), ""]
    lines += ["**Training data**", "", *_table(card.training_data), ""]
    shapes = [f"- `{spec.name}` {list(spec.shape)}: {spec.meaning}" for spec in (*card.inputs, *card.outputs)]
    if shapes:
        lines += ['??? note "Inputs and outputs"', "", *(f"    {line}" for line in shapes), ""]
    return lines


def fields() -> str:
    """Every field of the findings and of the request, from the dataclasses and their comments."""
    lines = ["# Fields of the findings", "", "Generated from the dataclasses. `findings.json` has the same names; its JSON Schema comes with the package"]
    lines[-1] += " (`lumbar.report.document.schema()`)."
    lines += [
        "",
        "Points are LPS patient coordinates of the input in millimetres. A value that could not be measured is null, and a warning gives the reason.",
        "",
    ]
    classes = [one for _, one in inspect.getmembers(findings, inspect.isclass) if dataclasses.is_dataclass(one)]
    for one in sorted(classes, key=lambda c: (c is not findings.Findings, c.__module__, inspect.getsourcelines(c)[1])):
        lines += _fields_of(one)
    lines += ["## Request", "", *_fields_of(pipeline.Request)[2:]]
    return "\n".join(lines)


def _fields_of(one: type) -> list[str]:
    lines = [f"## {one.__name__}", "", (inspect.getdoc(one) or "").split("\n")[0], "", "| field | type | meaning |", "| --- | --- | --- |"]
    for match in filter(None, (_FIELD.match(line) for line in inspect.getsource(one).splitlines())):
        lines.append(f"| `{match['name']}` | `{_cell(match['type'], code=True)}` | {_cell(match['meaning'] or '')} |")
    return [*lines, ""]


def _table(rows: Any) -> list[str]:
    """Dataclasses of one kind as a table, columns named by their fields; empty columns are left out."""
    names = [field.name for field in dataclasses.fields(rows[0]) if any(getattr(row, field.name) not in (None, "", (), True, False) for row in rows)]
    lines = [f"| {' | '.join(name.replace('_', ' ') for name in names)} |", f"|{' --- |' * len(names)}"]
    return [*lines, *(f"| {' | '.join(_value(getattr(row, name)) for name in names)} |" for row in rows)]


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " to ".join(_value(one) for one in value) or "–"
    return _cell(str(value))


def _cell(text: str, code: bool = False) -> str:
    text = " ".join(text.split())
    return text if code else re.sub(r"([\[\]*|])", r"\\\1", text.replace("<", "&lt;"))


def _plain_links(text: str) -> str:
    """Markdown without links to files of the repository, which the site does not hold."""
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", text)
