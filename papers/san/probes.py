"""An attribute classifier on the inner layers of a face network: the strongest of the ensemble.

A network that learned faces from millions of pictures sees more than small ones that learn from a
few thousand. Four linear layers look at what four of its blocks show in 3x3 parts of the picture;
the probe gives the mean of their logits. It is seen in training, as the matcher itself is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.docl.facenet import FaceNet
from sfumato.progress import track
from sfumato.protect.augment import random_view
from sfumato.protect.deformation import FACE_AUGMENTATION, Deformation

_DEPTHS = (4, 7, 9, 12)
"""Blocks after which a linear layer looks: at 64, 64, 128 and 256 channels."""
_SIDE = 100  # pixels; the network is made for 150, but a probe learns from what it gets
_PARTS = 3
_BATCH = 64
_STEPS, _ROWS = 300, 256
_LEARNING_RATE = 1e-2
_DECAY = 1e-3


class Probe(nn.Module):
    """Logits `(n, 1)` from images `(n, c, h, w)` in [0, 1], grey or RGB."""

    def __init__(self, net: FaceNet, heads: list[nn.Module]) -> None:
        super().__init__()
        self.net, self.heads = net, nn.ModuleList(heads)

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean of the layers' logits."""
        seen = shown(self.net, images, _DEPTHS)
        logits = [head(rows) for head, rows in zip(self.heads, seen, strict=True)]
        return torch.stack(logits).mean(0)


def shown(net: FaceNet, images: Tensor, depths: tuple[int, ...]) -> list[Tensor]:
    """Return what the network sees after some of its blocks, as rows."""
    x = F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True).expand(-1, 3, -1, -1)
    x = (x * 255 - net.mean) / 255
    x = x.contiguous(memory_format=torch.channels_last)
    x = F.max_pool2d(net.net.stem(x).relu(), 3, 2)
    found = []
    for number, block in enumerate(net.net.blocks[: max(depths)], start=1):
        x = block(x)
        if number in depths:
            found.append(F.adaptive_avg_pool2d(x, _PARTS).flatten(1))
    return found


def train_probe(
    net: FaceNet,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int,
    augmentation: Deformation = FACE_AUGMENTATION,
) -> Probe:
    """Train the linear layers on random views of images in [0, 1] with labels `(n,)`."""
    torch.manual_seed(seed)
    with torch.no_grad():
        parts = [
            shown(net, random_view(batch, augmentation), _DEPTHS)
            for batch in track(images.split(_BATCH), "what the face network sees")
        ]
    rows = [torch.cat(part) for part in zip(*parts, strict=True)]
    wanted = labels.float()[:, None]
    return Probe(net, [_head(seen, wanted) for seen in rows]).eval()


def _head(seen: Tensor, wanted: Tensor) -> nn.Module:
    head = nn.Sequential(nn.BatchNorm1d(seen.shape[1]), nn.Linear(seen.shape[1], 1))
    optimizer = torch.optim.Adam(head.parameters(), lr=_LEARNING_RATE, weight_decay=_DECAY)
    for _ in range(_STEPS):
        some = torch.randint(len(seen), (min(_ROWS, len(seen)),))
        loss = F.binary_cross_entropy_with_logits(head(seen[some]), wanted[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head
