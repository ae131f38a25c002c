"""The client of a feature service: a fresh key pair for each picture, and no plaintext between."""

from __future__ import annotations

import base64
from types import TracebackType

import httpx
import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.cipher.request import Kem, RequestKey
from sfumato.errors import RequestError, ServiceError

_PATH = "/v1/features"
_PUBLIC_KEY_HEADER = "Sfumato-Public-Key"


class FeatureClient:
    """Asks one service for features.

    `kem` says how each request's key is encapsulated: hybrid, with ML-KEM-768, unless asked
    otherwise.
    """

    def __init__(
        self, url: str, *, kem: Kem = Kem.MLKEM768_X25519, timeout_seconds: float = 60.0
    ) -> None:
        self.kem = kem
        self._http = httpx.Client(base_url=url, timeout=timeout_seconds)

    def __enter__(self) -> FeatureClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def features(self, image: bytes) -> Float[Tensor, "d"]:
        """Return the features of an image file.

        Raises:
            RequestError: the service refused the picture; the message is its own.
            ServiceError: the service cannot be reached, or answers something else.
            EnvelopeError: the answer was altered, or sealed to another key.
        """
        key = RequestKey.draw(self.kem)
        headers = {_PUBLIC_KEY_HEADER: base64.urlsafe_b64encode(key.public).decode()}
        try:
            answer = self._http.post(_PATH, content=image, headers=headers)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"cannot reach {self._http.base_url}: {error}; is the service running?"
            ) from error
        if answer.is_error:
            raise RequestError(answer.status_code, _detail(answer))
        features = key.open(answer.content)
        if features.dtype != torch.float32 or features.ndim != 2 or len(features) != 1:
            raise ServiceError(
                f"expected the float32 features of one picture, got {features.dtype} "
                f"of shape {tuple(features.shape)}"
            )
        return features[0]


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code} without a reason; is this the service's address?"
