"""Attribute classifiers read off the inner layers of a face network: the crowd's well-taught part.

A network that learned faces from millions of pictures sees more than small ones that learn from a
few thousand. Each probe is the network up to one of its blocks and a linear layer on what that
block shows in 3x3 parts of the picture. They are seen in training, as the matcher itself is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.docl.facenet import FaceNet
from sfumato.progress import track
from sfumato.protect.san_views import random_view

_DEPTHS = (4, 7, 9, 12)
"""Blocks after which a probe looks: at 64, 64, 128 and 256 channels."""
_SIDE = 100  # pixels; the network is made for 150, but a probe learns from what it gets
_PARTS = 3
_BATCH = 64
_STEPS, _ROWS = 300, 256
_LEARNING_RATE = 1e-2
_DECAY = 1e-3


class Probe(nn.Module):
    """Logits `(n, 1)` from images `(n, c, h, w)` in [0, 1], grey or RGB."""

    def __init__(self, net: FaceNet, depth: int, width: int) -> None:
        super().__init__()
        self.net, self.depth = net, depth
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.norm(shown(self.net, images, (self.depth,))[0]))


def shown(net: FaceNet, images: Tensor, depths: tuple[int, ...]) -> list[Tensor]:
    """Return what the network sees after some of its blocks, as rows."""
    x = F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True).expand(-1, 3, -1, -1)
    x = (x * 255 - net.mean) / 255
    x = x.contiguous(memory_format=torch.channels_last)
    x = F.max_pool2d(net.stem(x).relu(), 3, 2)
    found = []
    for number, block in enumerate(net.blocks[: max(depths)], start=1):
        x = block(x)
        if number in depths:
            found.append(F.adaptive_avg_pool2d(x, _PARTS).flatten(1))
    return found


def train_probes(net: FaceNet, images: Tensor, labels: Tensor, *, seed: int) -> list[Probe]:
    """Train the linear layers on random views of images in [0, 1] with labels `(n,)`."""
    torch.manual_seed(seed)
    with torch.no_grad():
        parts = [
            shown(net, random_view(batch), _DEPTHS)
            for batch in track(images.split(_BATCH), "what the face network sees")
        ]
    rows = [torch.cat(part) for part in zip(*parts, strict=True)]
    probes = [Probe(net, depth, r.shape[1]) for depth, r in zip(_DEPTHS, rows, strict=True)]
    wanted = labels.float()[:, None]
    for probe, seen in zip(probes, rows, strict=True):
        _train_head(nn.Sequential(probe.norm, probe.head), seen, wanted)
    return [probe.eval() for probe in probes]


def _train_head(body: nn.Module, seen: Tensor, wanted: Tensor) -> None:
    optimizer = torch.optim.Adam(body.parameters(), lr=_LEARNING_RATE, weight_decay=_DECAY)
    for _ in range(_STEPS):
        some = torch.randint(len(seen), (min(_ROWS, len(seen)),))
        loss = F.binary_cross_entropy_with_logits(body(seen[some]), wanted[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
