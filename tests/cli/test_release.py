from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from sfumato.cli.main import app
from sfumato.data.decoding.decode import encode_png
from sfumato.data.sources import load
from sfumato.errors import ConfigError, InputError
from sfumato.nets.cuts import PAPER_CUT
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.release.maps import open_maps


def test_a_blurred_collection_is_written_and_read_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app,
        ["release", "blur:1", "--data=digits", "--count=30", "--keep=digit", "--json", f"-o{out}"],
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["images"] == 30
    read = load(f"folder:{out}")
    assert len(read) == 30
    assert set(read.labels) == {"digit"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["smudge:1"], ConfigError, "is no protector: expected one of: none, noise:SIGMA"),
        (["blur:1", "--split", "half"], ConfigError, "--split is all, train or test"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, arguments: list[str], error: type[Exception], message: str
) -> None:
    result = CliRunner().invoke(
        app, ["release", *arguments, "--data=digits", f"-o{tmp_path / 'out'}"]
    )
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["release", "none", "--data", "digits", "--count", "3", "-o", str(tmp_path)]
    )
    assert isinstance(result.exception, InputError)


@pytest.mark.slow
def test_an_obfuscators_maps_train_a_classifier_without_pictures(tmp_path: Path) -> None:
    made = Obfuscator(
        channels=1, height=32, width=32, utility="digit", classes=list("0123456789"), scale=0.07,
        cut=PAPER_CUT, map_channels=4, noise=0.0,
    ).eval()  # fmt: skip
    pictures = load("digits", size=32, count=100).floats()
    with torch.no_grad():
        made.set_step(made.means(pictures))
    made.save_pretrained(tmp_path / "made")
    arguments = ["--data=digits", "--count=1200", "--keep=digit", "--json", f"-o{tmp_path / 'out'}"]
    result = CliRunner().invoke(app, ["release", str(tmp_path / "made"), *arguments])
    assert result.exit_code == 0, result.output
    released = json.loads(result.stdout.splitlines()[-1])
    assert released["maps"] == 1200
    assert released["picture_bytes"] == 1200 * 32 * 32
    file = tmp_path / "classifier.safetensors"
    result = CliRunner().invoke(
        app,
        ["fit", "classifier", f"--from-release={tmp_path / 'out'}", "--label=digit",
         "--epochs=20", "--device=cpu", "--json", f"-o{file}"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["accuracy"] > 0.5
    assert file.is_file()


def _album(folder: Path, count: int = 6) -> Path:
    folder.mkdir()
    images = load("digits", count=count, seed=1).images
    rows = ["file_name,who"]
    for i, picture in enumerate(images):
        (folder / f"{i}.png").write_bytes(encode_png(picture))
        rows.append(f"{i}.png,{'abc'[i % 3]}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


def _release(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["release", *map(str, arguments), "--json"])


def test_an_unusable_file_ends_nothing_and_is_named(tmp_path: Path) -> None:
    album = _album(tmp_path / "album")
    (album / "metadata.csv").unlink()
    (album / "0.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = _release("blur:1", f"--data=folder:{album}", "--batch=1", f"-o{out}")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout.splitlines()[-1])
    listed = tmp_path / "out.left-out.csv"
    assert (said["images"], said["left_out"], said["left_out_list"]) == (5, 1, str(listed))
    assert "left out 1 of 6 files: 0.png: expected a picture" in result.stderr
    assert f"{listed} (not part of the release)" in result.stderr
    assert listed.read_text().splitlines()[1].startswith('0.png,"expected a picture')


def test_ksame_has_the_whole_set_as_its_gallery(tmp_path: Path) -> None:
    album, out = _album(tmp_path / "album"), tmp_path / "out"
    result = _release("ksame:3", f"--data=folder:{album}", f"-o{out}")
    assert result.exit_code == 0, result.output
    released = [image.numpy().tobytes() for image in load(f"folder:{out}").images]
    assert sorted(Counter(released).values()) == [3, 3]
    result = _release("ksame:3:who", f"--data=folder:{album}", f"-o{tmp_path / 'people'}")
    assert json.loads(result.stdout.splitlines()[-1])["protector"] == "ksame:3:who"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ksame:7"], "ksame:K needs K from 2 to 6, as many different pictures as folder:.* has"),
        (["ksame:4:who"], "ksame:K needs K from 2 to 3, as many values of 'who' as folder:.* has"),
        (["ksame:3:who", "--keep=who"], "--keep who: ksame:3:who was made to hide that label"),
        (["ksame:x"], "ksame:X needs a whole number X, got 'x'"),
        (["noise:-1"], "^noise:X needs X above 0, got -1"),
        (
            ["shufflebits:raw:1x8x8"],
            "features extract DATA .*, then sfumato features seal .* --shufflebits$",
        ),
        (["sealed:raw:1x8x8"], "features extract DATA .*, then sfumato features seal .* ENVELOPE$"),
        (["features:raw:1x8x8"], "features extract DATA --backbone .*; they are not protected$"),
    ],
)
def test_what_cannot_be_released_is_said_with_the_way_there_is(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    album, out = _album(tmp_path / "album"), tmp_path / "out"
    result = _release(*arguments, f"--data=folder:{album}", f"-o{out}")
    assert isinstance(result.exception, ConfigError)
    assert re.search(message, str(result.exception)), result.exception
    assert [path.name for path in tmp_path.iterdir()] == ["album"]


def test_home_is_expanded_in_every_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _album(tmp_path / "album")
    made = Anonymizer(channels=1, height=8, width=8, hides="who", lam=1.0, features=2, code=2)
    made.save_pretrained(tmp_path / "made")
    result = _release("~/made", "--data=folder:~/album", f"-o{tmp_path / 'out'}")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["protector"] == "anonymizer:1"


def test_a_protector_fitted_anew_does_not_go_on_with_an_old_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album, out = _album(tmp_path / "album"), tmp_path / "out"

    def fit() -> None:
        made = Anonymizer(channels=1, height=8, width=8, hides="who", lam=1.0, features=2, code=2)
        made.save_pretrained(tmp_path / "made")

    def stopping(*_: object) -> None:
        raise KeyboardInterrupt

    fit()
    command = [tmp_path / "made", f"--data=folder:{album}", f"-o{out}"]
    with monkeypatch.context() as patch:
        patch.setattr(Anonymizer, "forward", stopping)
        _release(*command)
    assert (tmp_path / ".out.part").is_dir()
    fit()
    result = _release(*command)
    assert isinstance(result.exception, InputError)
    assert "something else: the protector changed" in str(result.exception)
    shutil.rmtree(tmp_path / ".out.part")
    assert _release(*command).exit_code == 0


def _obfuscator(noise: float = 1.0) -> Obfuscator:
    return Obfuscator(
        channels=1, height=32, width=32, utility="who", classes=["a", "b"], scale=0.07,
        map_channels=4, noise=noise,
    ).eval()  # fmt: skip


def test_released_again_maps_are_the_same_and_their_secret_stays_beside(tmp_path: Path) -> None:
    album, made = _album(tmp_path / "album"), tmp_path / "made"
    _obfuscator().save_pretrained(made)
    maps = []
    for name in ("first", "again"):
        result = _release(made, f"--data=folder:{album}", f"-o{tmp_path / name}")
        assert result.exit_code == 0, result.output
        read = open_maps(tmp_path / name).maps
        maps.append(sorted(row.numpy().tobytes() for row in read))
        assert [path.name for path in (tmp_path / name).iterdir()] == ["maps.arrow"]
    assert maps[0] == maps[1]
    key = tmp_path / "made.noise-key"
    assert json.loads(result.stdout.splitlines()[-1])["noise_key"] == str(key)
    other = tmp_path / "keys" / "mine"
    _release(made, f"--data=folder:{album}", f"-o{tmp_path / 'other'}", f"--noise-key={other}")
    assert other.is_file()
    assert maps[0] != sorted(row.numpy().tobytes() for row in open_maps(tmp_path / "other").maps)


def test_a_noise_key_is_refused_where_it_would_be_handed_on_or_draws_nothing(
    tmp_path: Path,
) -> None:
    album, made, out = _album(tmp_path / "album"), tmp_path / "made", tmp_path / "out"
    _obfuscator().save_pretrained(made)
    (tmp_path / "linked").symlink_to(made)
    beyond = (tmp_path / "linked" / "key", album / ".." / made.name / "key")
    for inside in (made / "key", out / "key", *beyond):
        result = _release(made, f"--data=folder:{album}", f"-o{out}", f"--noise-key={inside}")
        assert isinstance(result.exception, ConfigError)
        assert "is handed on, and its secret with it" in str(result.exception)
    result = _release("blur:1", f"--data=folder:{album}", f"-o{out}", f"--noise-key={tmp_path}/k")
    assert isinstance(result.exception, ConfigError)
    assert "--noise-key is for an obfuscator with noise, got blur:1" in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["album", "linked", "made"]
    _obfuscator(noise=0.0).save_pretrained(tmp_path / "still")
    assert _release(tmp_path / "still", f"--data=folder:{album}", f"-o{out}").exit_code == 0
    assert not (tmp_path / "still.noise-key").exists()
