"""The bank that the load benchmark measures is what its docstring says."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch

from benchmarks.enrollments import HIDDEN
from benchmarks.server import DIM, LISTED, REACH, enrollments, features, make_backbone, pictures
from sfumato.filter.bank.bank import Bank


def test_half_are_claimed_and_one_in_so_many_is_listed(tmp_path: Path) -> None:
    backbone = make_backbone(tmp_path / "public.backbone")
    uploads = pictures(count=8)
    bank = Bank.empty(DIM, HIDDEN, backbone=backbone.fingerprint, reach=REACH)
    some = list(islice(enrollments(backbone, uploads), 4 * LISTED + 1))
    for number, made in enumerate(some):
        bank.add(str(number), made)
    x = features(backbone, uploads)
    limits = torch.tensor([made.mu + 2 * made.sigma for made in some])
    claimed = bank.errors(x) <= limits
    assert claimed.any(1).sum() == len(x) / 2
    assert not claimed[:, 1:].any()
    assert bank.shortlist is not None
    assert bank.shortlist.near(x, limits).tolist() == [0, *range(LISTED, 4 * LISTED + 1, LISTED)]
