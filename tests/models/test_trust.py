"""Signatures, the trust list, and models installed side by side."""

import base64
import json
import shutil
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="lumbar[cluster] is not installed")

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lumbar.cli.main import main
from lumbar.errors import ModelError, UsageError
from lumbar.models import registry
from lumbar.models.card import CARD_FILE, SIGNATURE_FILE, Card, TensorSpec, TrainingData, read_card
from lumbar.models.folder import check_folder, write_card
from lumbar.models.install import install_all
from lumbar.models.trust import list_shipped, make_key, read_trust_list, shipped_cards, sign, trust_key, trust_of


def model(folder: Path, version: str = "1.0.0", content: str = "[1]") -> Path:
    folder.mkdir(parents=True)
    (folder / "table.json").write_text(content)
    spec = TensorSpec("x", (1,), "a number")
    write_card(folder, Card("toy", version, "toy-task", "a table", "tests", (spec,), (spec,), (), (TrainingData("none", "CC0"),), ()))
    return folder


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    folder, trust = model(tmp_path / "toy"), tmp_path / "trust.json"
    make_key(tmp_path / "key.pem")
    trust_key("us", sign(folder, tmp_path / "key.pem"), trust)
    return folder, trust


def test_the_list_of_shipped_models_is_current() -> None:
    assert dict(shipped_cards()) == list_shipped(), "a packaged model changed: run `python scripts/list_shipped_models.py` and commit shipped.json"


def test_shipped_models_are_trusted_without_a_signature_also_as_copies(tmp_path: Path) -> None:
    folder = next(registry.PLACES[1].glob("*"))
    shutil.copytree(folder, tmp_path / "copy")
    assert trust_of(folder).by == trust_of(tmp_path / "copy").by == "shipped with lumbar"
    card = tmp_path / "copy" / CARD_FILE
    card.write_text(card.read_text().replace('"version"', '"version" '))
    assert not trust_of(tmp_path / "copy").trusted


def test_a_signature_is_plain_ed25519_over_the_card(signed: tuple[Path, Path]) -> None:
    """Checked with the library directly, as another program would."""
    folder, trust = signed
    document = json.loads((folder / SIGNATURE_FILE).read_text())
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(document["public_key"]))
    key.verify(base64.b64decode(document["signature"]), (folder / CARD_FILE).read_bytes())
    assert trust_of(folder, trust).by == "us"


def test_only_what_a_trusted_key_has_signed_is_trusted(signed: tuple[Path, Path], tmp_path: Path) -> None:
    folder, trust = signed
    make_key(tmp_path / "stranger.pem")
    other = shutil.copytree(folder, tmp_path / "other")
    sign(other, tmp_path / "stranger.pem")
    assert "not on the trust list" in trust_of(other, trust).reason
    card = folder / CARD_FILE
    card.write_text(card.read_text().replace("a table", "another table"))
    assert "does not fit" in trust_of(folder, trust).reason
    assert trust_of(model(tmp_path / "plain"), trust).reason == "it is not signed"


def test_a_changed_file_is_noticed_by_its_hash_and_a_new_card_drops_the_signature(signed: tuple[Path, Path]) -> None:
    folder, trust = signed
    (folder / "table.json").write_text("[2]")
    assert trust_of(folder, trust).trusted  # the card still is what was signed …
    with pytest.raises(ModelError, match="changed or damaged"):
        check_folder(folder)  # … and says that this file is not
    write_card(folder, read_card(folder))
    assert not trust_of(folder, trust).trusted


def test_keys_are_private_never_overwritten_and_checked(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="never overwritten"):
        make_key(tmp_path / "key.pem")
    for wrong, message in (("no base64!", "not base64"), ("AAAA", "32 bytes")):
        with pytest.raises(UsageError, match=message):
            trust_key("x", wrong, tmp_path / "trust.json")
    with pytest.raises(ModelError, match="cannot be read"):
        read_trust_list(tmp_path / "trust.json")


def test_versions_lie_side_by_side_and_the_newest_is_used(signed: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, trust = signed
    store = tmp_path / "store"
    monkeypatch.setattr(registry, "default_store", lambda: store)
    for version in ("1.9.0", "1.10.0"):
        new = model(tmp_path / version, version, "[3]")
        sign(new, tmp_path / "key.pem")
        install_all(new, store, trust)
    assert install_all(folder, store, trust)[0].new and not install_all(folder, store, trust)[0].new
    assert registry.find_folder("toy-task") == store / "toy" / "1.10.0"
    assert [read_card(one).version for one in registry.model_folders() if one.is_relative_to(store)] == ["1.10.0", "1.9.0", "1.0.0"]
    assert registry.find_folder("toy-task", store / "toy" / "1.9.0").name == "1.9.0"
    with pytest.raises(ModelError, match="another model of that name and version"):
        install_all(model(tmp_path / "fake", "1.9.0", "[4]"), store, trust, allow_unsigned=True)


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


def test_install_from_a_zip_refuses_the_unsigned_and_the_wrong_hash(signed: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, trust = signed
    store, zipped, plain = tmp_path / "store", tmp_path / "toy.zip", tmp_path / "plain.zip"
    unsigned = model(tmp_path / "unsigned", "2.0.0")
    for path, source in ((zipped, folder), (plain, unsigned)):
        with zipfile.ZipFile(path, "w") as archive:
            for file in source.iterdir():
                archive.write(file, f"inside/{file.name}")
    assert run("models", "install", zipped, "--to", store, "--trust", trust, "--sha256", "0" * 64) == 3
    assert run("models", "install", plain, "--to", store, "--trust", trust) == 3
    assert "not signed" in capsys.readouterr().err and not store.exists()
    assert run("models", "install", zipped, "--to", store, "--trust", trust) == 0
    assert run("models", "install", plain, "--to", store, "--trust", trust, "--allow-unsigned") == 0
    assert "UNSIGNED" in capsys.readouterr().out
    assert {path.name for path in (store / "toy").iterdir()} == {"1.0.0", "2.0.0"}
    assert run("models", "install", "http://example.org/toy.zip", "--to", store) == 2


def test_verify_names_the_signing_key(signed: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, trust = signed
    assert run("models", "verify", "--models", folder, "--trust", trust, "--json") == 0
    first, *shipped = json.loads(capsys.readouterr().out)
    assert first["ok"] and first["trusted_by"] == "us"
    assert {entry["trusted_by"] for entry in shipped} == {"shipped with lumbar"}
    unsigned = model(tmp_path / "unsigned", "2.0.0")
    assert run("models", "verify", "--models", unsigned, "--trust", trust) == 0
    assert run("models", "verify", "--models", unsigned, "--trust", trust, "--require-trust") == 3
