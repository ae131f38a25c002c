"""What the two anonymisers have in common: pictures of one size in and out, one label hidden."""

from __future__ import annotations

from sfumato.protect.pretrained import PretrainedProtector


class Hiding(PretrainedProtector):
    """A network that hides one label of pictures of one size.

    `target` is the private value that all releases are to look like, where there is one.
    """

    def __init__(
        self, *, channels: int, height: int, width: int, hides: str, target: str | None
    ) -> None:
        super().__init__()
        self._shape, self.hides, self.target = (channels, height, width), hides, target

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it takes."""
        return self._shape

    @property
    def real_pictures(self) -> str:
        """Say that releases are real pictures of the target, as `Guarantee.originals` does."""
        return f"its releases are real pictures of {self.hides} {self.target!r}"

    @property
    def private(self) -> tuple[str, ...]:
        """The label that it was trained to hide."""
        return (self.hides,)
