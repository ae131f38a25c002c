"""A client of the feature service. Each picture has a new key pair; features come sealed."""

from __future__ import annotations

import base64

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.cipher.request import Kem, RequestKey
from sfumato.errors import ServiceError
from sfumato.serve.clients.connection import Connection
from sfumato.serve.wire import FEATURES_PATH, PUBLIC_KEY_HEADER


class FeatureClient(Connection):
    """Asks one service for features.

    `kem` says how each request's key is encapsulated: hybrid, with ML-KEM-768, unless asked
    otherwise.
    """

    def __init__(
        self, url: str, *, kem: Kem = Kem.MLKEM768_X25519, timeout_seconds: float = 60.0
    ) -> None:
        super().__init__(url, timeout_seconds=timeout_seconds)
        self.kem = kem

    def features(self, image: bytes) -> Float[Tensor, "d"]:
        """Return the features of an image file.

        Raises:
            RequestError: the service refused the picture; the message is its own.
            ServiceError: the service cannot be reached, or answers something else.
            EnvelopeError: the answer was altered, or sealed to another key.
        """
        key = RequestKey.draw(self.kem)
        headers = {PUBLIC_KEY_HEADER: base64.urlsafe_b64encode(key.public).decode()}
        answer = self.send("POST", FEATURES_PATH, image, headers=headers)
        features = key.open(answer.content)
        if features.dtype != torch.float32 or features.ndim != 2 or len(features) != 1:
            raise ServiceError(
                f"expected the float32 features of one picture, got {features.dtype} "
                f"of shape {tuple(features.shape)}"
            )
        return features[0]
