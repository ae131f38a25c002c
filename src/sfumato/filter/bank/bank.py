"""All enrollments, stacked for scoring: the platform's side of the filter.

Thread-safe by a readers-writer lock: scoring, sampling and saving read; adding and removing write.
Errors, ids, mu and sigma that must belong together come from one call of `score`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.device import Device, resolve_device
from sfumato.errors import ConfigError, DataError, EnrollmentError
from sfumato.filter.bank import file as bankfile
from sfumato.filter.bank.lock import SharedLock
from sfumato.filter.bank.picks import Picks
from sfumato.filter.bank.scoring import score_picked, tile_errors, wipe_scratch
from sfumato.filter.bank.segment import STORED, Segment
from sfumato.filter.bank.shortlist import SMALL, Shortlist
from sfumato.filter.bank.workers import run_all
from sfumato.filter.codes import draw_codes
from sfumato.filter.enrollment import Enrollment

_FIRST_BYTES = 1 << 20  # of the first segment; each later one is as large as all before it
_MOST_BYTES = 256 << 20  # of any segment: what a nearly empty one may waste


@dataclass(frozen=True, slots=True)
class BankScores:
    """What one batch of features scored against one state of the bank; columns are `ids`."""

    ids: tuple[str, ...]
    errors: Float[Tensor, "b n"]
    mu: Float[Tensor, "n"]
    sigma: Float[Tensor, "n"]
    rows: Int64[Tensor, "n"]
    """The columns' places among all that the bank has."""
    listed: Bool[Tensor, "b n"]
    """Whether the column may claim the upload, as far as a shortlist can tell; else all may.

    A column is there for the sake of one upload. What it says of another one scored beside it
    must not count, or a decision would depend on who uploads at the same time.
    """


class Bank:
    """Autoencoders of any number of enrollments for one backbone, in float32 or bfloat16.

    Attributes:
        dim: D, the length of a feature.
        hidden: M, the length of a code.
        backbone: fingerprint of the extractor that all features come from.
        dtype: of the stored matrices; scores are always computed in float32.
        device: where the enrollments are, and are scored. What comes out is on the CPU.
    """

    def __init__(
        self,
        dim: int,
        hidden: int,
        backbone: str,
        dtype: torch.dtype,
        segments: list[Segment],
        device: Device = "cpu",
    ) -> None:
        if dim < 1 or hidden < 1:
            raise ConfigError(f"expected dim and hidden of at least 1, got {dim} and {hidden}")
        if dtype not in STORED:
            raise ConfigError(f"a bank stores float32 or bfloat16, not {dtype}")
        self.dim, self.hidden, self.backbone, self.dtype = dim, hidden, backbone, dtype
        self.device = resolve_device(device)
        self._segments = [segment.to(self.device) for segment in segments]
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._shortlist: Shortlist | None = None
        self._lock = SharedLock()

    @classmethod
    def empty(
        cls,
        dim: int,
        hidden: int,
        *,
        backbone: str,
        dtype: torch.dtype = torch.float32,
        reach: float | None = None,
        device: Device = "cpu",
    ) -> Bank:
        """Return a bank without enrollments; with a `reach` it keeps a shortlist, on the CPU.

        Raises:
            ConfigError: a size is below 1, the dtype is neither float32 nor bfloat16, or the reach
                is negative.
            UnavailableError: this machine has no such device.
        """
        bank = cls(dim, hidden, backbone, dtype, [], device)
        if reach is not None:
            bank._shortlist = Shortlist(dim, reach=reach)
        return bank

    @classmethod
    def open(cls, path: Path, *, reach: float | None = None, device: Device = "cpu") -> Bank:
        """Map the bank that `save` wrote: it scores at once, and is read as scoring needs it.

        An accelerator reads all of it first.

        Later changes stay in memory until the next `save`. A shortlist is no part of the file:
        with a `reach` all decoders are read once to make it.

        Raises:
            BankError: the file is missing, damaged or of an unknown version.
            UnavailableError: this machine has no such device.
        """
        stored = bankfile.read(path)
        bank = cls(
            stored.dim, stored.hidden, stored.backbone, stored.dtype, stored.segments, device
        )
        bank._ids = list(stored.ids)
        bank._rows = {id_: row for row, id_ in enumerate(stored.ids)}
        if reach is not None:
            bank._shortlist = Shortlist.of(stored.segments, stored.dim, reach=reach)
        return bank

    def save(self, path: Path) -> None:
        """Write the bank as one file, whole or not at all; enrollments removed since are gone.

        The rows of removed enrollments are also overwritten in the file that was there before,
        so that the disk's free space does not keep them (as far as the file system and the disk
        write in place).

        Raises:
            InputError: the file cannot be written; the old one is then as it was.
        """
        with self._lock.reading():
            bankfile.write(
                path,
                bankfile.StoredBank(
                    dim=self.dim,
                    hidden=self.hidden,
                    backbone=self.backbone,
                    dtype=self.dtype,
                    ids=tuple(self._ids),
                    segments=[segment.to(torch.device("cpu")) for segment in self._segments],
                ),
            )

    @property
    def segments(self) -> Sequence[Segment]:
        """The memory of the enrollments, in the order of `ids`."""
        return self._segments

    @property
    def shortlist(self) -> Shortlist | None:
        """The shortlist that narrows down who is scored, if the bank keeps one."""
        return self._shortlist

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._rows

    @property
    def ids(self) -> tuple[str, ...]:
        """The enrollments in the order of the columns; removing one changes the order."""
        with self._lock.reading():
            return tuple(self._ids)

    @property
    def mu(self) -> Float[Tensor, "n"]:
        """Each enrollment's mean error on its own images."""
        with self._lock.reading():
            return self._column("mu")

    @property
    def sigma(self) -> Float[Tensor, "n"]:
        """Each enrollment's standard deviation of the error on its own images."""
        with self._lock.reading():
            return self._column("sigma")

    def add(self, id_: str, enrollment: Enrollment) -> None:
        """Add an enrollment; it is scored from the next call on.

        Raises:
            ConfigError: the id is taken.
            EnrollmentError: it was made for another backbone or has other sizes.
        """
        if enrollment.backbone != self.backbone:
            raise EnrollmentError(
                f"expected an enrollment for backbone {self.backbone[:16]}..., got one for "
                f"{enrollment.backbone[:16]}...; enroll again with the platform's backbone"
            )
        if (enrollment.dim, enrollment.hidden) != (self.dim, self.hidden):
            raise EnrollmentError(
                f"expected D = {self.dim} and M = {self.hidden}, "
                f"got {enrollment.dim} and {enrollment.hidden}"
            )
        with self._lock.writing():
            if id_ in self._rows:
                raise ConfigError(f"the bank has an enrollment {id_!r} already; remove it first")
            if not self._segments or self._segments[-1].count == self._segments[-1].capacity:
                self._segments.append(self._grown())
            self._segments[-1].append(enrollment)
            if self._shortlist is not None:
                self._shortlist.append(self._segments[-1], self._segments[-1].count - 1)
            self._rows[id_] = len(self._ids)
            self._ids.append(id_)

    def remove(self, id_: str) -> None:
        """Erase an enrollment: its numbers are overwritten. A file is rid of it at `save`.

        Raises:
            ConfigError: there is no such enrollment.
        """
        with self._lock.writing():
            row = self._row(id_)
            segment, place = self._place(row)
            last = self._segments[-1]
            segment.overwrite(place, last, last.count - 1)
            last.drop_last()
            if not last.count:
                self._segments.pop()
            if self._shortlist is not None:
                self._shortlist.remove(row)
            moved = self._ids.pop()
            if moved != id_:
                self._ids[row] = moved
                self._rows[moved] = row
            del self._rows[id_]

    def score(self, x: Float[Tensor, "b d"], ids: Sequence[str] | None = None) -> BankScores:
        """Score features in [0, 1] against all enrollments, or against those in `ids`.

        `errors` is eq. (8) before its minimum: (b, n), the squared distance between each feature
        and its reconstruction by each enrollment's autoencoder. An autoencoder whose numbers
        overflow has an infinite error.

        Raises:
            DataError: the features are not of the bank's dimensions, or outside [0, 1].
            ConfigError: an id is not in the bank.
        """
        self._check(x)
        with self._lock.reading():
            rows = None if ids is None else torch.tensor([self._row(i) for i in ids]).long()
            return self._scored(x, rows)

    def score_near(
        self,
        x: Float[Tensor, "b d"],
        *,
        limits: Float[Tensor, " n"],
        always: Int64[Tensor, " k"] | None = None,
    ) -> BankScores:
        """Score features against those that may claim one of them, and the rows in `always`.

        Who is left out claims none of them, as far as the shortlist can tell; who is in has the
        score that `score` gives. A small bank, one that keeps no shortlist, and features that half
        of the bank may claim are scored against all. `limits` are the largest errors that each
        enrollment of the bank claims.

        Raises:
            DataError: the features are not of the bank's dimensions, or outside [0, 1].
            ConfigError: there is not one limit an enrollment.
        """
        self._check(x)
        with self._lock.reading():
            if self._shortlist is None or len(self) < SMALL:
                return self._scored(x, None)
            found = self._shortlist.listed(x, limits)
            rows = found.rows if always is None else torch.cat([found.rows, always]).unique()
            scores = self._scored(x, None if 2 * len(rows) > len(self) else rows)
            listed = torch.zeros(len(scores.rows), len(x), dtype=torch.bool)
            listed[torch.searchsorted(scores.rows, found.rows)] = found.who
            return replace(scores, listed=listed.T)

    def errors(
        self, x: Float[Tensor, "b d"], ids: Sequence[str] | None = None
    ) -> Float[Tensor, "b n"]:
        """Return the errors of `score` alone."""
        return self.score(x, ids).errors

    def samples(self, id_: str, count: int, *, seed: int) -> Float[Tensor, "count d"]:
        """Decode random codes of an enrollment: features as its owner's pictures might have.

        Codes are drawn from the normal distribution with the mean and covariance of the codes of
        the owner's images, then clipped at 0 as eq. (2) does.

        Raises:
            ConfigError: there is no such enrollment.
        """
        with self._lock.reading():
            segment, place = self._place(self._row(id_))
            own = {name: tensor[place].cpu() for name, tensor in segment.tensors.items()}
            codes = draw_codes(own["code_mean"], own["code_covariance"], count, seed=seed)
            return torch.addmm(own["decoder_bias"], codes, own["decoder"].float().T).sigmoid()

    def _scored(self, x: Float[Tensor, "b d"], rows: Int64[Tensor, " n"] | None) -> BankScores:
        with torch.no_grad():
            count = len(self) if rows is None else len(rows)
            errors = torch.empty(count, len(x), device=self.device)
            x = x.float().contiguous().to(self.device)
            picks = None if rows is None else Picks.of(self._segments, rows, self.device)
            self._run(self._tasks(x, errors) if picks is None else _picked(x, errors, picks))
            column = self._column if picks is None else picks.column
            mu, sigma = column("mu"), column("sigma")
        if rows is None:
            ids, rows = tuple(self._ids), torch.arange(len(self))
        else:
            ids = tuple(self._ids[i] for i in rows.tolist())
        listed = torch.ones(len(x), len(ids), dtype=torch.bool)
        return BankScores(ids, errors.T.cpu().contiguous(), mu, sigma, rows, listed)

    def _run(self, tasks: Iterator[Callable[[], None]]) -> None:
        if self.device.type == "cpu":
            run_all(tasks, wipe_scratch)
            return
        # An accelerator works through what it is given; threads would only wait for each other.
        for task in tasks:
            task()
        wipe_scratch()

    def _tasks(
        self, x: Float[Tensor, "b d"], out: Float[Tensor, "n b"]
    ) -> Iterator[Callable[[], None]]:
        start = 0
        for segment in self._segments:
            for first, tile in segment.weights().tiles():
                rows = slice(start + first, start + first + len(tile))
                yield partial(tile_errors, x, tile, out[rows])
            start += segment.count

    def _column(self, name: str) -> Float[Tensor, "_"]:
        """Return one number of every enrollment."""
        parts = [s.tensors[name][: s.count] for s in self._segments]
        return torch.cat(parts).cpu() if parts else torch.zeros(0)

    def _row(self, id_: str) -> int:
        if id_ not in self._rows:
            raise ConfigError(f"the bank has no enrollment {id_!r}")
        return self._rows[id_]

    def _place(self, row: int) -> tuple[Segment, int]:
        ends = accumulate(segment.count for segment in self._segments)
        for segment, end in zip(self._segments, ends, strict=True):
            if row < end:
                return segment, row - (end - segment.count)
        raise AssertionError(f"row {row} of {len(self)}")

    def _grown(self) -> Segment:
        row_bytes = 2 * self.dim * self.hidden * self.dtype.itemsize
        most = max(1, _MOST_BYTES // row_bytes)
        capacity = min(most, max(len(self._ids), _FIRST_BYTES // row_bytes, 1))
        return Segment.empty(capacity, self.dim, self.hidden, self.dtype, self.device)

    def _check(self, x: Float[Tensor, "b d"]) -> None:
        if x.shape[1] != self.dim:
            raise DataError(f"expected features of {self.dim} dimensions, got {x.shape[1]}")
        if not bool(((x >= 0) & (x <= 1)).all()):
            raise DataError("features must lie in [0, 1]; take them from the bank's backbone")


def _picked(
    x: Float[Tensor, "b d"], out: Float[Tensor, "n b"], picks: Picks
) -> Iterator[Callable[[], None]]:
    for pieces, columns in picks.tiles():
        yield partial(score_picked, x, pieces, out, columns)
