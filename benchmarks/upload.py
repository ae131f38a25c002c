"""Where the time of one upload goes, on one thread and without HTTP: shares and limits.

Stages, as the service runs them: `token` (who asks), `decode`, `features`, `score` (1,000 and
100,000 enrollments, D = 128, one feature at a time), `rule` (whose claim decides), `write` (a
blocked decision, synced to disk). `ratio` is the limit's speed over ours, 1.00 the limit itself:
of decoding Pillow's bare decoder, of scoring a plain sum over the same weights, of writing one
4 KiB block written and synced. Pictures are drawn characters as JPEGs, enlarged and grained.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.enrollments import HIDDEN
from benchmarks.interleave import best_seconds
from benchmarks.server import DIM, enrollments, make_backbone, pictures
from sfumato.data.decoding.decode import decode_image
from sfumato.features.backbone import Backbone
from sfumato.filter.bank.bank import Bank, BankScores
from sfumato.filter.rule.guard import Sigmas, contest_rule
from sfumato.serve.database.db import open_database
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.decisions import Decision, Match, Owner, keep_blocks
from sfumato.serve.records.store import Store
from sfumato.serve.records.tokens import Tokens

_SIDES = (256, 1024, 3464)  # 3464 squared is the 12 megapixels of a phone
_PAIRS = torch.empty(0, 2, dtype=torch.int64)


def run(*, quick: bool) -> dict[str, Any]:
    """Measure pictures of three sizes against a small and a large bank, and print the shares."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            backbone = make_backbone(folder / "public.backbone")
            sides, counts = (_SIDES[:1], (1000,)) if quick else (_SIDES, (1000, 100_000))
            banks = {count: filled_bank(backbone, count) for count in counts}
            return {
                "rows": [
                    profile(folder, backbone, bank, side, 30 if quick else 15)
                    for side in sides
                    for bank in banks.values()
                ]
            }
    finally:
        torch.set_num_threads(threads)


def profile(folder: Path, backbone: Backbone, bank: Bank, side: int, rounds: int) -> dict[str, Any]:
    """Measure each stage of one upload, and the machine's limit of those that have one."""
    content = photo(side)
    picture = decode_image(content)
    with torch.inference_mode():
        x = backbone(picture[None]).clone()
    seconds = best_seconds(
        {
            **_database(folder / f"{side}-{len(bank)}.db"),
            "decode": partial(decode_image, content),
            "features": lambda: _features(backbone, picture),
            "score": partial(bank.score, x),
            "rule": partial(_rule, bank.score(x)),
            "limit of decode": partial(_bare, content),
            "limit of score": partial(_read, bank),
            "limit of write": partial(_synced, folder / "block"),
        },
        rounds,
    )
    stages = ("token", "decode", "features", "score", "rule", "write")
    total = sum(seconds[stage] for stage in stages)
    found: dict[str, dict[str, Any]] = {
        stage: {
            "ms": round(1e3 * seconds[stage], 3),
            "share": round(seconds[stage] / total, 3),
            "ratio": round(limit / seconds[stage], 2)
            if (limit := seconds.get(f"limit of {stage}"))
            else None,
        }
        for stage in stages
    }
    print(f"upload {side}x{side}, N {len(bank)}: {1e3 * total:.1f} ms", flush=True)
    for stage, figures in found.items():
        of = "" if figures["ratio"] is None else f", {figures['ratio']:.2f} of the limit"
        print(f"  {stage:9}{figures['ms']:9.2f} ms  {100 * figures['share']:5.1f} %{of}")
    return {"side": side, "enrollments": len(bank), "ms": round(1e3 * total, 2), "stages": found}


def photo(side: int) -> bytes:
    """Return a drawn character as a JPEG of any size, grained as a camera's picture is."""
    small = Image.open(io.BytesIO(pictures(count=1)[0]))
    large = small.resize((side, side), Image.Resampling.BICUBIC)
    grain = Image.effect_noise((side, side), 12).convert("RGB")
    buffer = io.BytesIO()
    Image.blend(large, grain, 0.1).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _database(path: Path) -> dict[str, Callable[[], object]]:
    """Return the two stages that ask the database."""
    store = Store(open_database(f"sqlite:///{path}"))
    account, token = add_account(store.engine, "ada")
    match = Match(claim="class", enrollment="0" * 32, account=1, margin=1.0, score=0.5)

    def write() -> None:
        blocked = Decision(against=match, nearest=match, frame=None, enforced=True)
        keep_blocks(store, "", [(Owner(account.id), blocked)])

    return {
        "token": partial(Tokens(store.engine, store.clock).account, f"Bearer {token}"),
        "write": write,
    }


def filled_bank(backbone: Backbone, count: int) -> Bank:
    """Return a bank of `count` random enrollments for a backbone."""
    bank = Bank.empty(DIM, HIDDEN, backbone=backbone.fingerprint)
    for number, made in enumerate(islice(enrollments(backbone, pictures(count=2)), count)):
        bank.add(str(number), made)
    return bank


def _features(backbone: Backbone, picture: Tensor) -> Tensor:
    with torch.inference_mode():
        found: Tensor = backbone(picture[None])
        return found


def _rule(scores: BankScores) -> object:
    owned = torch.zeros(1, len(scores.ids), dtype=torch.bool)
    alpha = torch.full((len(scores.ids),), 2.0)
    unit = Sigmas(scores.mu, scores.sigma)
    return contest_rule(scores.errors, unit(scores.errors), owned, contested=_PAIRS, alpha=alpha)


def _bare(content: bytes) -> None:
    Image.open(io.BytesIO(content)).load()


def _read(bank: Bank) -> None:
    for segment in bank.segments:
        weights = segment.weights()
        weights.encoder.sum()
        weights.decoder.sum()


def _synced(path: Path) -> None:
    with path.open("wb") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
