"""An audit of a protector that releases on a device, by attackers that train there."""

from __future__ import annotations

import pytest
import torch

from sfumato.attack.learners import LearnerConfig
from sfumato.audit.quality import PictureQuality
from sfumato.data.sources import load
from sfumato.device import resolve_device
from sfumato.protect.anonymizer_fit import AnonymizerConfig, fit_anonymizer
from sfumato.types import Knowledge, Releases
