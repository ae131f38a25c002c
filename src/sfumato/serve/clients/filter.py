"""A client of the filter service. Private pictures stay on its device; enrollments are sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jaxtyping import UInt8
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from sfumato.counted import counted
from sfumato.errors import ArtifactError, ConfigError, ServiceError
from sfumato.features.backbone import Backbone
from sfumato.features.picture import features_of, only_crop
from sfumato.features.views import ViewDraws, stacked_views
from sfumato.filter.enroll import enroll
from sfumato.filter.enrollment import seal_enrollment
from sfumato.filter.neardup import pdq, stack
from sfumato.filter.oneclass import OneClassConfig, Preset
from sfumato.serve.clients.connection import Connection
from sfumato.serve.wire import EnrollmentAnswer, ErasureAnswer, UploadAnswer

T = TypeVar("T")
_TOKEN: Final = re.compile(r"[!-~]+")
_POLICY: Final = TypeAdapter(dict[str, Any])
_ENROLLMENT: Final = TypeAdapter(EnrollmentAnswer)
_ENROLLMENTS: Final = TypeAdapter(list[EnrollmentAnswer])
_ERASURES: Final = TypeAdapter(list[ErasureAnswer])
_UPLOAD: Final = TypeAdapter(UploadAnswer)


class FilterClient(Connection):
    """A device that talks to one service with one account's token.

    Raises:
        ConfigError: the URL is no address of a service, or the token is none.

    Raises, from every method:
        RequestError: the service refused; `status` and the message are its own.
        ServiceError: the service cannot be reached, or its answer is not what it should be.
    """

    def __init__(self, url: str, token: str, *, timeout_seconds: float = 60.0) -> None:
        if not _TOKEN.fullmatch(token):
            raise ConfigError(
                "`token`: expected an account's token, as `filter user add` printed it: letters "
                "and digits on one line; got something else"
            )
        headers = {"Authorization": f"Bearer {token}"}
        super().__init__(url, headers=headers, timeout_seconds=timeout_seconds)
        self._backbone: Backbone | None = None

    def backbone(self) -> Backbone:
        """Fetch the provider's backbone once, and check that it is the one that it says.

        Raises:
            ArtifactError: the file is damaged, or its fingerprint is not the announced one.
        """
        if self._backbone is None:
            answer = self.send("GET", "/v1/backbone")
            found = Backbone.from_bytes(answer.content)
            announced = answer.headers.get("ETag", "").strip('"')
            if found.fingerprint != announced:
                raise ArtifactError(
                    f"the service announced backbone {announced[:12]}..., but sent "
                    f"{found.fingerprint[:12]}...; nothing was enrolled, ask the provider"
                )
            self._backbone = found
        return self._backbone

    def policy(self) -> dict[str, Any]:
        """Return the service's limits and the sizes that an enrollment must have."""
        return _read(_POLICY.validate_json, self.send("GET", "/v1/policy"))

    def enroll(
        self,
        pictures: Sequence[UInt8[Tensor, "_ _ _"]],
        key: Ed25519PrivateKey,
        *,
        seed: int,
        preset: Preset = "default",
        copies: bool = False,
    ) -> EnrollmentAnswer:
        """Train on private pictures here, and upload nothing but the signed enrollment.

        It is what `sfumato filter enroll` makes of them.

        Args:
            pictures: Each whole and at its own size, (c, h, w), grey or RGB.
            key: Signs the enrollment.
            seed: Draws the weights, the views, the order of pictures and the noise. Keep it to
                yourself: who knows it knows which views were trained on.
            preset: The training; see `OneClassConfig`.
            copies: Whether hashes of the pictures go along, so that near copies are claimed too.

        Raises:
            DataError: fewer than two pictures; with a backbone that takes faces also pictures that
                show none or several, all of them named.
            UnavailableError: copies are asked for, and pdqhash is not installed.
        """
        backbone, policy = self.backbone(), self.policy()
        config = OneClassConfig.preset(preset, hidden=int(policy["hidden"])).suited(backbone.kind)
        features = features_of(backbone, pictures)
        draws = ViewDraws(backbone, config.augmentation, len(pictures), seed=seed)
        views = stacked_views([draws.of(only_crop(backbone, picture)) for picture in pictures])
        hashes = stack(map(pdq, pictures)) if copies else None
        made = enroll(
            features,
            config,
            backbone=backbone.fingerprint,
            seed=seed,
            views=views,
            copies=hashes,
        )
        return self.send_enrollment(seal_enrollment(made, key))

    def send_enrollment(self, content: bytes) -> EnrollmentAnswer:
        """Upload an enrollment file; when this returns, the service has it on disk."""
        return _read(_ENROLLMENT.validate_json, self.send("POST", "/v1/enrollments", content))

    def enrollments(self) -> list[EnrollmentAnswer]:
        """Return the account's enrollments."""
        return _read(_ENROLLMENTS.validate_json, self.send("GET", "/v1/enrollments"))

    def erase(self, enrollment_id: str) -> None:
        """Erase one of the account's enrollments from the service, for good.

        When this returns, the service decides nothing by it, and will not forget to rid its files
        of it; `erasures` says when that is done. Asking again is harmless.
        """
        self.send("DELETE", f"/v1/enrollments/{enrollment_id}")

    def erasures(self) -> list[ErasureAnswer]:
        """Return the account's erasures, the last one first."""
        return _read(_ERASURES.validate_json, self.send("GET", "/v1/erasures"))

    def upload(self, image: bytes) -> UploadAnswer:
        """Ask whether an image file may be shared."""
        return _read(_UPLOAD.validate_json, self.send("POST", "/v1/uploads", image))


def _read(parse: Callable[[bytes], T], answer: httpx.Response) -> T:
    try:
        return parse(answer.content)
    except ValidationError as error:
        raise ServiceError(
            f"expected an answer of the filter service, got something else "
            f"({counted(error.error_count(), 'fault')}); is this its address, and of this version?"
        ) from error
