"""`sfumato filter`, as people run it; and everything they may hand it by mistake."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sfumato.cli.main import app
from sfumato.errors import ConfigError, InputError, SfumatoError
from sfumato.features.backbone import Backbone
from sfumato.features.preprocess import Preprocess
from sfumato.filter.enrollment import open_enrollment
from tests.serve.live import python
from tests.serve.world import HIDDEN, World

QUICK = ("--hidden", HIDDEN, "--epochs", 1, "--least-steps", 1)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["filter", *map(str, arguments)])


def line(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output + str(result.exception)
    found = json.loads(result.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.fixture
def photos(world: World, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(40):
        (folder / f"{index}.png").write_bytes(world.png(0, index))
    return folder


def test_an_enrollment_is_written_over_no_key_and_no_backbone(
    world: World, photos: Path, tmp_path: Path
) -> None:
    key, backbone = tmp_path / "me.pem", tmp_path / "public.backbone"
    backbone.write_bytes(world.backbone_file.read_bytes())
    for out in (key, backbone):
        found = run("enroll", photos, "-o", out, "--backbone", backbone, "--key", key)
        assert isinstance(found.exception, InputError)
        assert "would be lost" in str(found.exception)
    assert not key.exists()
    assert backbone.read_bytes() == world.backbone_file.read_bytes()
    found = run("backbone", "-o", backbone, "--spec", f"onnx:{backbone}")
    assert "would be lost" in str(found.exception)


def test_enrol_add_check_and_remove(world: World, photos: Path, tmp_path: Path) -> None:
    bank, key, mine = tmp_path / "my.bank", tmp_path / "me.pem", tmp_path / "me.enrollment"
    made = line(
        "enroll", photos, "-o", mine, "--backbone", world.backbone_file, "--key", key,
        "--hidden", HIDDEN, "--epochs", 40, "--least-steps", 100, "--seed", 0,
    )  # fmt: skip
    signed = open_enrollment(mine.read_bytes())
    assert made["count"] == 40
    assert (made["id"], made["mu"], made["sigma"], made["calibration"]) == (
        signed.id,
        signed.enrollment.mu,
        signed.enrollment.sigma,
        "cross-fitted",
    )
    assert key.stat().st_mode & 0o777 == 0o600
    line("bank", "add", mine, "--db", bank, "--account", "ada")
    picture = tmp_path / "upload.png"
    picture.write_bytes(world.png(0, 5))
    check = ("check", picture, "--db", bank, "--backbone", world.backbone_file)
    stranger = line(*check)
    assert stranger["decision"] == "block"
    assert stranger["enrollment"] == made["id"]
    assert line(*check, "--account", "ada")["decision"] == "share"
    listed = line("bank", "list", "--db", bank)["enrollments"]
    assert [(e["id"], e["account"], e["status"]) for e in listed] == [(made["id"], "ada", "active")]
    line("bank", "remove", str(made["id"])[:10], "--db", bank)
    assert line("bank", "list", "--db", bank)["enrollments"] == []
    assert line(*check)["decision"] == "share"
    files = b"".join(path.read_bytes() for path in tmp_path.glob("my.bank*"))
    assert mine.read_bytes()[-200:-100] not in files


def test_the_same_key_signs_again(world: World, photos: Path, tmp_path: Path) -> None:
    key, out = tmp_path / "me.pem", tmp_path / "me.enrollment"
    owners = set()
    for seed in (1, 2):
        line(
            "enroll", photos, "-o", out, "--backbone", world.backbone_file, "--key", key,
            *QUICK, "--seed", seed,
        )  # fmt: skip
        owners.add(open_enrollment(out.read_bytes()).owner)
    assert len(owners) == 1


def test_a_few_pictures_are_trained_on_for_as_many_steps_as_asked(
    world: World, photos: Path, tmp_path: Path
) -> None:
    """A thousand steps were taken whatever --epochs said."""
    words = ("enroll", photos, "--backbone", world.backbone_file, "--key", tmp_path / "me.pem")
    errors = [
        line(*words, "-o", tmp_path / str(steps), *QUICK[:-1], steps, "--seed", 0)["mu"]
        for steps in (1, 100)
    ]
    assert errors[1] < 0.8 * errors[0]


def test_an_unreadable_file_is_named_skipped_and_counted(
    world: World,
    photos: Path,
    tmp_path: Path,
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    (photos / "notes.txt").write_text("not a picture")
    result = run(
        "enroll", photos, "-o", tmp_path / "e", "--backbone", world.backbone_file, "--key",
        tmp_path / "k", *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "skipped broken.jpg: " in result.stderr
    assert "skipped notes.txt: " in result.stderr
    assert "40 pictures, 2 files skipped" in result.stdout


def test_a_linked_folder_is_named_and_not_passed_over(
    world: World, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x.png").write_bytes(world.png(0, 50))
    (photos / "dogs").symlink_to(tmp_path / "store")
    (photos / "x.png").symlink_to(tmp_path / "store" / "x.png")
    (photos / "again").symlink_to(photos)
    made = line(
        "enroll", photos, "-o", tmp_path / "me", "--backbone", world.backbone_file,
        "--key", tmp_path / "key.pem", *QUICK,
    )  # fmt: skip
    assert (made["count"], made["skipped"]) == (40, ["again", "dogs", "x.png"])


def test_a_backbone_file_is_what_its_spec_says(tmp_path: Path) -> None:
    made = line("backbone", "--spec", "raw:1x8x8", "-o", tmp_path / "b")
    assert made["dim"] == 64
    again = line("backbone", "--spec", str(tmp_path / "b"), "-o", tmp_path / "c")
    assert again["fingerprint"] == made["fingerprint"]


@pytest.mark.parametrize("spec", ["onnx", "face"])
def test_a_backbone_that_nobody_could_use_is_not_written(spec: str, tmp_path: Path) -> None:
    if spec == "onnx":
        spec = f"onnx:{_graph(tmp_path, 3, 4, 4)}"
    else:
        pytest.importorskip("dlib")
    done = run("backbone", "--spec", spec, "-o", tmp_path / "b")
    assert isinstance(done.exception, InputError)
    assert "needs --public, a folder of pictures" in str(done.exception)
    assert not (tmp_path / "b").exists()


def test_what_an_onnx_file_does_not_say_is_typed_and_kept(photos: Path, tmp_path: Path) -> None:
    graph = _graph(tmp_path, "h", "w", 3)
    words = (
        "--size", 6, 5, "--mean", 0.4, "--mean", 0.5, "--mean", 0.6, "--std", 0.2, "--order", "bgr",
        "--fit", "border", "--crop", 0.9, "--interpolation", "bicubic",
    )  # fmt: skip
    out = tmp_path / "b"
    made = line("backbone", "--spec", f"onnx:{graph}", "--public", photos, "-o", out, *words)
    assert made["dim"] == 90
    assert Backbone.load(out).preprocess == Preprocess(
        size=(6, 5), mean=(0.4, 0.5, 0.6), std=(0.2,), order="bgr", layout="nhwc", fit="border",
        crop=0.9, interpolation="bicubic",
    )  # fmt: skip
    done = run("backbone", "--spec", f"onnx:{graph}", "--public", photos, "-o", tmp_path / "c")
    assert isinstance(done.exception, ConfigError)
    assert "give `size`" in str(done.exception)
    assert not (tmp_path / "c").exists()


def _graph(folder: Path, *shape: int | str) -> Path:
    """Write an ONNX graph that gives pictures of this shape back, flattened."""
    onnx = pytest.importorskip("onnx")
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Flatten", ["x"], ["y"])],
            "net",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", *shape])],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", "d"])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(made, folder / "net.onnx")
    return folder / "net.onnx"


def test_an_account_gets_its_token_once(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/bank.db"
    token = line("user", "add", "ada", "--db", db)["token"]
    assert isinstance(token, str)
    assert len(token) >= 43
    assert isinstance(run("user", "add", "ada", "--db", db).exception, SfumatoError)


def test_rules_tokens_log_backup_and_restore(world: World, tmp_path: Path) -> None:
    db, other = (f"sqlite:///{tmp_path}/{name}.db" for name in ("bank", "other"))
    file, saved = tmp_path / "me.enrollment", tmp_path / "saved.backup"
    file.write_bytes(world.enrollments[0])
    line("bank", "add", file, "--db", tmp_path / "bank.db", "--account", "ada")
    line("user", "token", "ada", "--db", db, "--scope", "upload", "--days", 2)
    changed = line("rules", "set", "--db", db, "--alpha", 1.5, "--enforced", 0.5)
    assert changed == line("rules", "show", "--db", db)
    assert (changed["alpha"], changed["enforced"]) == (1.5, 0.5)
    line("rules", "account", "ada", "--db", db, "--alpha", 3)
    line("rules", "enrollment", open_enrollment(world.enrollments[0]).id, "--db", db,
         "--disable-hours", 2)  # fmt: skip
    assert line("user", "revoke", "ada", "--db", db)["revoked"] == 1
    found = line("db", "backup", "--db", db, "-o", saved)
    assert line("db", "restore", saved, "--db", other) == found
    assert line("db", "check", "--db", other) == found
    log = line("log", "--db", other)
    assert (log["count"], log["digest"]) == (found["events"], found["digest"])
    actions = [event["action"] for event in log["events"]]
    assert actions.count("change rules") == 3
    assert line("log", "--db", other, "--after", log["events"][-2]["sequence"])["events"] == [
        log["events"][-1]
    ]
    line("db", "purge", "--db", other)
    for wrong in (
        ["user", "token", "nobody", "--db", db],
        ["user", "token", "ada", "--db", db, "--scope", "everything"],
        ["rules", "set", "--db", db, "--alpha", 99],
        ["rules", "show", "--db", f"sqlite:///{tmp_path}/new.db"],
        ["rules", "account", "nobody", "--db", db, "--alpha", 1],
        ["db", "restore", saved, "--db", db],
        ["db", "restore", tmp_path / "none", "--db", f"sqlite:///{tmp_path}/new.db"],
    ):
        assert isinstance(run(*wrong).exception, SfumatoError), wrong


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_every_command_takes_a_database_in_both_forms(
    world: World, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "bank.db"
    place = ("--db", form.format(path))
    (tmp_path / "me.enrollment").write_bytes(world.enrollments[0])
    (tmp_path / "new.png").write_bytes(world.png(1, 0))
    line("bank", "add", tmp_path / "me.enrollment", *place, "--account", "ada")
    for command in (
        ["bank", "list"],
        ["check", tmp_path / "new.png", "--backbone", world.backbone_file],
        ["user", "token", "ada"],
        ["rules", "show"],
        ["log"],
        ["db", "check"],
    ):
        line(*command, *place)
    assert not [p for p in tmp_path.iterdir() if ":" in p.name]


def test_an_entry_beyond_every_number_is_refused(tmp_path: Path) -> None:
    """It was the driver's traceback."""
    bank = tmp_path / "bank.db"
    assert run("user", "add", "ada", "--db", bank).exit_code == 0
    for after in (2**31, 10**30, -1):
        assert isinstance(run("log", "--db", bank, "--after", after).exception, SystemExit)


def test_a_command_that_asks_creates_no_database(tmp_path: Path) -> None:
    for command in (["rules", "show"], ["log"], ["db", "check"], ["user", "token", "ada"]):
        result = run(*command, "--db", tmp_path / "none.db")
        assert "no database at" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


class Place:
    """Where one bad thing is tried, and what is at hand."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def enroll(self, source: Path, *options: object) -> list[object]:
        return [
            "enroll", source, "-o", self.folder / "out", "--key", self.folder / "key",
            "--backbone", self.world.backbone_file, *QUICK, *options,
        ]  # fmt: skip

    def photos(self, count: int) -> Path:
        for index in range(count):
            self.file(f"photos/{index}.png", self.world.png(0, index))
        return self.folder / "photos"

    def add(self, content: bytes) -> list[object]:
        """Add to a bank that has one good enrollment."""
        bank = self.folder / "kept.bank"
        if not bank.exists():
            good = self.file("good.enrollment", self.world.enrollments[0])
            assert run("bank", "add", good, "--db", bank, "--account", "ada").exit_code == 0
        bad = self.file("bad.enrollment", content)
        return ["bank", "add", bad, "--db", bank, "--account", "eve"]

    def check(self, content: bytes, *options: object) -> list[object]:
        self.add(b"")
        image = self.file("image.png", content)
        backbone = self.world.backbone_file
        bank = self.folder / "kept.bank"
        return ["check", image, "--db", bank, "--backbone", backbone, *options]

    def serve(self, *options: object) -> list[object]:
        db = f"sqlite:///{self.folder}/service.db"
        return ["serve", "--backbone", self.world.backbone_file, "--db", db, "--port", 0, *options]


def _altered(world: World) -> bytes:
    content = bytearray(world.enrollments[1])
    content[-5] ^= 1
    return bytes(content)


BAD: dict[str, tuple[Callable[[Place], list[object]], str]] = {
    "a wrong folder": (lambda p: p.enroll(p.folder / "nowhere"), "nowhere does not exist"),
    "a file for a folder": (lambda p: p.enroll(p.file("x", b"x")), "is a file"),
    "an empty folder": (lambda p: p.enroll(p.file("void/.x", b"x").parent), "it is empty"),
    "one picture": (lambda p: p.enroll(p.photos(1)), "at least 2 usable pictures, got 1 of 1"),
    "no usable picture": (
        lambda p: p.enroll(p.file("texts/a.txt", b"text").parent),
        "got 0 of 1 file: a.txt: expected a picture",
    ),
    "no backbone": (
        lambda p: p.enroll(p.photos(2), "--backbone", "nowhere"),
        "path of a saved backbone",
    ),
    "a broken backbone": (
        lambda p: p.enroll(p.photos(2), "--backbone", p.file("b", b"broken")),
        "safetensors",
    ),
    "a broken key": (lambda p: p.enroll(p.photos(2), "--key", p.file("k", b"x")), "Ed25519 key"),
    "nowhere to write": (lambda p: p.enroll(p.photos(2), "-o", "/proc/none/out"), "cannot write"),
    "another backbone": (
        lambda p: p.add(p.world.other(backbone="0" * 64)),
        "enroll again with the backbone",
    ),
    "other sizes": (lambda p: p.add(p.world.other(hidden=HIDDEN + 1)), f"`hidden` {HIDDEN}"),
    "a forged enrollment": (lambda p: p.add(_altered(p.world)), "signature"),
    "a truncated enrollment": (lambda p: p.add(p.world.enrollments[1][:-9]), "safetensors"),
    "no enrollment": (lambda p: ["bank", "add", p.folder / "x", "--db", p.folder / "b",
                                 "--account", "ada"], "cannot read"),
    "an unknown id": (
        lambda p: ["bank", "remove", "00000000", "--db", p.add(b"")[4]],
        "fits 0",
    ),
    "no bank": (lambda p: ["bank", "list", "--db", p.folder / "none"], "no database at"),
    "a bank that is none": (
        lambda p: ["bank", "list", "--db", p.file("b", b"x" * 5000)],
        "expected a bank's database",
    ),
    "no picture": (lambda p: p.check(b"text"), "expected a picture"),
    "an unknown account": (
        lambda p: p.check(p.world.png(0, 0), "--account", "eve"),
        "there are: ada",
    ),
    "a port out of range": (lambda p: p.serve("--port", 70000), "0..65535"),
    "a host that is none": (lambda p: p.serve("--host", "no.such.host.invalid"), "host"),
    "a database of another kind": (lambda p: p.serve("--db", "mysql://h/d"), "sqlite:///FILE"),
    "a server's backbone": (lambda p: p.serve("--backbone", p.file("b", b"x")), "safetensors"),
}  # fmt: skip


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        # SQLite's shared memory is no content, and the locks are empty.
        if path.is_file() and path.suffix not in (".db-shm", ".lock", ".bank-shm")
    }


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line_and_changes_nothing(
    name: str,
    world: World,
    tmp_path: Path,
) -> None:
    make, text = BAD[name]
    arguments = make(Place(world, tmp_path))
    before = _contents(tmp_path)
    result = run(*arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, SfumatoError), result.exception
    assert result.exception.exit_code != 0
    message = str(result.exception)
    assert text in message
    assert "\n" not in message
    after = _contents(tmp_path)
    assert {k: v for k, v in after.items() if k in before} == before
    assert set(after) - set(before) <= {"service.db", "service.db-wal", "key"}


def test_a_port_in_use_is_one_clear_line(world: World, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(*Place(world, tmp_path).serve("--port", port))
    assert isinstance(result.exception, SfumatoError)
    assert f"127.0.0.1:{port}: Address already in use; stop" in str(result.exception)


ON_A_FULL_DISK = """
import json, resource, sys
from typer.testing import CliRunner
from sfumato.cli.main import app
commands = json.loads(sys.argv[1])
CliRunner().invoke(app, ["filter", "backbone", "--spec", "raw:1x8x8", "-o", sys.argv[2]])  # imports
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
for command in commands:
    error = CliRunner().invoke(app, ["filter", *command]).exception
    print(json.dumps([type(error).__name__, str(error), getattr(error, "exit_code", None)]))
"""


@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    place = Place(world, tmp_path)
    commands = [
        place.enroll(place.photos(2)),
        ["backbone", "--spec", "raw:1x64x64", "-o", tmp_path / "out"],
        place.add(world.enrollments[1]),
        ["user", "add", "ada", "--db", f"sqlite:///{tmp_path}/service.db"],
    ]
    before = _contents(tmp_path)
    texts = [[str(argument) for argument in command] for command in commands]
    done = python(ON_A_FULL_DISK, json.dumps(texts), tmp_path / "warm")
    assert done.returncode == 0, done.stderr
    for reported in done.stdout.splitlines():
        kind, message, code = json.loads(reported)
        assert kind in ("InputError", "StorageError"), message
        assert "cannot write" in message
        assert "\n" not in message
        assert code not in (0, None)
    assert len(done.stdout.splitlines()) == len(commands)
    after = _contents(tmp_path)
    assert {k: v for k, v in after.items() if k in before} == before
    assert not [name for name in after if name.endswith(".part") or name == "out"]
    assert len(line("bank", "list", "--db", tmp_path / "kept.bank")["enrollments"]) == 1


def test_a_real_full_disk_loses_nothing(world: World, tmp_path: Path) -> None:
    """The same on a file system of 320 KiB, where this may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=320k tmpfs {disk} 2>/dev/null") != 0:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        bank = disk / "my.bank"
        kept = 0
        for seed in range(60):
            file = tmp_path / "e"
            file.write_bytes(world.small(seed))
            result = run("bank", "add", file, "--db", bank, "--account", "ada")
            if result.exit_code:
                break
            kept += 1
        assert "database" in str(result.exception)
        assert isinstance(result.exception, SfumatoError)
        assert 0 < kept < 60
        listed = line("bank", "list", "--db", bank)["enrollments"]
        assert len(listed) == kept
        os.system(f"mount -o remount,size=2m {disk}")
        line("bank", "add", file, "--db", bank, "--account", "ada")
        line("bank", "remove", listed[0]["id"], "--db", bank)
    finally:
        os.system(f"umount {disk}")


def test_a_backbone_without_a_network_has_no_onnx_copy(tmp_path: Path) -> None:
    found = run("backbone", "--spec", "raw:1x8x8", "--onnx", "-o", tmp_path / "b")
    assert found.exit_code != 0
    assert not (tmp_path / "b").exists()
