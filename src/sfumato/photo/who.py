"""Who is protected: one enrolled person alone, or everybody but them.

The person is known by the filter's own one-class model of them, made on their device from the
backbone `face`. Each box is cut with its surroundings, its face is found again there and turned
upright by that backbone, and its error is measured in sigmas from what the person's own pictures
have.

The two errors do not weigh the same. Under `except` a stranger who is taken for the person is left
clear, so only a close match counts. Under `only` the person who is taken for a stranger is left
clear, so a loose match is enough. A face that cannot be told is protected in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from jaxtyping import UInt8
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.features.backbone import Backbone
from sfumato.features.picture import all_features_of
from sfumato.filter.enrolled import gather, scores
from sfumato.filter.enrollment import Enrollment
from sfumato.fingerprint import fingerprint
from sfumato.photo.blend import cut_around
from sfumato.photo.choice import Chooser
from sfumato.photo.find.box import Face

Whom = Literal["only", "except"]
LIMITS: Final = {"only": 4.0, "except": 1.0}
"""Sigmas above the mean up to which a face is the person: set so that, on people of LFW, few of
them are lost (`only`), or few strangers are taken for them (`except`)."""


class PersonChooser(Chooser):
    """Protects the enrolled person alone (`only`), or everybody else (`except`).

    Raises:
        ConfigError: the enrollment was made for another backbone, or for one without faces.
    """

    fingerprint: str

    def __init__(self, enrollment: Enrollment, backbone: Backbone, whom: Whom) -> None:
        if not backbone.finds_faces:
            raise ConfigError(
                f"a person is told by their face: expected the backbone `face`, got {backbone.name}"
            )
        if enrollment.backbone != backbone.fingerprint:
            raise ConfigError(
                "the enrollment was made for another backbone: give the one that it was made with"
            )
        self._users = gather([enrollment])
        self._backbone, self._whom = backbone, whom
        self.fingerprint = fingerprint(
            whom, LIMITS[whom], backbone.fingerprint, self._users.net, enrollment.mu,
            enrollment.sigma,
        )  # fmt: skip

    def __call__(self, picture: UInt8[Tensor, "3 h w"], faces: Sequence[Face]) -> list[bool]:
        """Return for each face whether it is protected."""
        return [protected(self._whom, self.sigmas(picture, face)) for face in faces]

    def of_track(self, answers: Sequence[bool]) -> bool:
        """Return whether a track is: by one match (`only`), unless most are clear (`except`)."""
        clear = len(answers) - sum(answers)
        return any(answers) if self._whom == "only" else 2 * clear <= len(answers)

    def sigmas(self, picture: UInt8[Tensor, "3 h w"], face: Face) -> float | None:
        """Return how far a face is from the person, in sigmas; None where it cannot be told."""
        cut = cut_around(picture, face)
        features = all_features_of(self._backbone, cut)
        if len(features) != 1:  # none, or a neighbour's as well
            return None
        errors = scores(self._users.net, features)
        return float(self._users.unit(errors)[0, 0])


def protected(whom: Whom, sigmas: float | None) -> bool:
    """Return whether a face is protected that is so far from the person."""
    if sigmas is None:
        return True
    is_person = sigmas <= LIMITS[whom]
    return is_person if whom == "only" else not is_person
