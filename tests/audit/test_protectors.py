from __future__ import annotations

import pytest

from sfumato.audit.protectors import open_protector
from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError, DataError


def test_ksame_takes_the_adversarys_pictures_one_a_person(blobs: ImageSet) -> None:
    protector = open_protector("ksame:5:person", blobs)
    assert protector.name == "ksame:5"
    released = protector.release(blobs.floats()[:3])
    assert released.shape == blobs.floats()[:3].shape
    with pytest.raises(ConfigError, match="K from 2 to 5"):
        open_protector("ksame:6:person", blobs)
    with pytest.raises(ConfigError, match="whole number"):
        open_protector("ksame:many", blobs)
    with pytest.raises(DataError, match="no label 'age'"):
        open_protector("ksame:2:age", blobs)
