"""Every kind of protector goes to the hub with its audited card, and comes back to the bit."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch

from sfumato.audit.report.card import write_cards
from sfumato.nets.cuts import PAPER_CUT
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.pretrained import KINDS, PretrainedProtector, open_pretrained
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.san.model import SemiAdversarial
from tests.audit.findings import cell, report
from tests.protect.standing import STANDING

SIZE = {"channels": 1, "height": 32, "width": 32}
MADE: dict[str, PretrainedProtector] = {
    "anonymizer": Anonymizer(**SIZE, hides="person", lam=1.0, features=4, code=4, gallery=2),
    "prototypes": PrototypeAnonymizer(
        **SIZE, hides="person", prototypes=3, features=4, dim=8, standing=STANDING
    ),
    "san": SemiAdversarial(**SIZE, attributes=("glasses",)),
    "obfuscator": Obfuscator(
        **SIZE, utility="digit", classes=["a", "b"], scale=0.07, cut=PAPER_CUT, map_channels=2
    ),
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub that is a folder: what is uploaded is copied, what is downloaded is read from there."""
    root = tmp_path / "hub"

    def create(_: object, repo_id: str, **options: object) -> SimpleNamespace:
        assert options["exist_ok"]
        (root / repo_id).mkdir(parents=True, exist_ok=True)
        return SimpleNamespace(repo_id=repo_id)

    def upload(_: object, *, repo_id: str, folder_path: Path, **options: object) -> str:
        assert options["repo_type"] == "model"
        shutil.copytree(folder_path, root / repo_id, dirs_exist_ok=True)
        return f"commit of {repo_id}"

    def download(repo_id: str, filename: str, **_: object) -> str:
        path = root / repo_id / filename
        if not path.is_file():
            raise huggingface_hub.errors.LocalEntryNotFoundError(f"no {filename}")
        return str(path)

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", download)
    monkeypatch.setattr("sfumato.protect.pretrained.hf_hub_download", download)
    return root


def released(protector: PretrainedProtector, images: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    return protector.release(images)


def audited(made: PretrainedProtector, folder: Path) -> PretrainedProtector:
    made.save_pretrained(folder)
    cells = report(cell("none", "attributes:mood", 1.0), cell(made.name, "attributes:mood", 0.75))
    write_cards({str(folder): made}, cells)
    return open_pretrained(folder)


def test_every_kind_is_here() -> None:
    assert set(MADE) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_protector_is_pushed_with_its_audited_card(kind: str, hub: Path, tmp_path: Path) -> None:
    made = MADE[kind]
    assert audited(made, tmp_path / "made").push_to_hub("me/it") == "commit of me/it"
    there = {path.name for path in (hub / "me" / "it").iterdir()}
    assert there == {"config.json", "model.safetensors", "README.md"}
    card = (hub / "me" / "it" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: sfumato")
    assert "| reading mood | privacy | 0.800 |" in card
    assert card == (tmp_path / "made" / "README.md").read_text()
    images = torch.rand(3, *made.shape)
    for back in (open_pretrained(hub / "me" / "it"), open_pretrained("me/it")):
        assert back.kind == kind
        assert back.name == made.name
        assert torch.equal(released(back, images), released(made, images))
    open_pretrained("me/it").push_to_hub("you/it")
    assert (hub / "you" / "it" / "README.md").read_text() == card


@pytest.mark.usefixtures("hub")
def test_a_card_does_not_go_with_other_weights(hub: Path, tmp_path: Path) -> None:
    made = audited(MADE["prototypes"], tmp_path / "made")
    with torch.no_grad():
        made.get_buffer("pictures").add_(0.5)
    made.push_to_hub("me/it")
    card = (hub / "me" / "it" / "README.md").read_text()
    assert "Not audited yet" in card


@pytest.mark.usefixtures("hub")
def test_a_pushed_protector_without_a_card_can_be_opened(hub: Path, tmp_path: Path) -> None:
    audited(MADE["anonymizer"], tmp_path / "made").push_to_hub("me/it")
    (hub / "me" / "it" / "README.md").unlink()
    assert open_pretrained("me/it").kind == "anonymizer"
