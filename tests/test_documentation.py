"""The documentation is true: every command line in it parses, and the site builds strictly, holds everything, and needs no network."""

import dataclasses
import importlib
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest

from lumbar.cli.main import VERBS
from lumbar.domain.findings import LevelFinding, SeverityFinding
from lumbar.models.card import read_card
from lumbar.models.registry import model_folders

ROOT = Path(__file__).parent.parent
WRITTEN = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
GROUPS = {name.split(" ")[0] for name in VERBS if " " in name}


def command_lines() -> list[tuple[str, str]]:
    """(file, command line) of every `lumbar …` in code of the documentation."""
    found = []
    for path in WRITTEN:
        text = path.read_text(encoding="utf-8")
        lines = [line for block in re.findall(r"```.*?\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        lines += re.findall(r"`(lumbar [^`]+)`", text)
        found += [(path.name, line.strip()) for line in lines if re.match(r"\s*lumbar [a-z]", line)]
    return found


@pytest.mark.parametrize(("file", "line"), command_lines())
def test_every_command_line_parses(file: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    name = " ".join(words[:2]) if words[0] in GROUPS else words[0]
    assert name in VERBS or words[1:] == ["--help"], f"{file}: {line}: no such command"
    module, function = VERBS[name][0].split(":")
    command: click.Command = getattr(importlib.import_module(module), function)
    with click.Context(command) as context:
        command.make_parser(context).parse_args([word for word in words[len(name.split(" ")) :] if word != "--help"])


class Sources(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"script", "img", "iframe", "source"}:
            self.loaded.append(values.get("src") or "")
        if tag == "link" and values.get("rel") in {"stylesheet", "preconnect", "preload", "icon"}:
            self.loaded.append(values.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocstrings", reason="lumbar[docs] is not installed")
    pytest.importorskip("material", reason="lumbar[docs] is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_holds_every_command_model_and_field(site: Path) -> None:
    commands = (site / "reference/commands.html").read_text(encoding="utf-8")
    assert not [name for name in VERBS if f">lumbar {name}<" not in commands]
    models = (site / "reference/models.html").read_text(encoding="utf-8")
    assert not [card.name for card in map(read_card, model_folders()) if f">{card.name}<" not in models or f"Version {card.version}" not in models]
    fields = (site / "reference/findings.html").read_text(encoding="utf-8")
    assert not [field.name for one in (LevelFinding, SeverityFinding) for field in dataclasses.fields(one) if f"<code>{field.name}</code>" not in fields]
    python = (site / "reference/python.html").read_text(encoding="utf-8")
    assert all(name in python for name in ("read_study", "load_models", "analyze", "Request", "Result", "GeometryError"))


def test_the_site_needs_no_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        sources = Sources()
        sources.feed(page.read_text(encoding="utf-8"))
        assert sources.loaded
        assert not [one for one in sources.loaded if one.startswith(("http:", "https:", "//"))], page.name
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert not any(re.search(r"(@import|url\()\s*[\"']?https?:", style) for style in styles)
