"""What `sfumato.attack` offers, loaded when first used."""

from .attributes import AttributeAttack
from .copies import CopiesAttack
from .groups import GroupAttack
from .linkage import LinkageAttack
from .membership import MembershipAttack, with_membership
from .on_cipher.bitstatistics import BitStatistics, recover_features, recover_key
from .on_filter.attacker import AttackerConfig, train_attackers
from .on_filter.audited import EnrolledMembership, EnrollmentAttack, PoisonAttack
from .on_filter.enrollment_leak import enrollment_leak
from .on_filter.membership import attack_membership
from .on_filter.poison import poison
from .reconstruct import ReconstructionAttack
from .reidentify import ReidentificationAttack
from .tools.decoder import ReconstructionConfig
from .tools.learners import LearnerConfig
from .verify import VerificationAttack

__all__ = [
    "AttackerConfig",
    "AttributeAttack",
    "BitStatistics",
    "CopiesAttack",
    "EnrolledMembership",
    "EnrollmentAttack",
    "GroupAttack",
    "LearnerConfig",
    "LinkageAttack",
    "MembershipAttack",
    "PoisonAttack",
    "ReconstructionAttack",
    "ReconstructionConfig",
    "ReidentificationAttack",
    "VerificationAttack",
    "attack_membership",
    "enrollment_leak",
    "poison",
    "recover_features",
    "recover_key",
    "train_attackers",
    "with_membership",
]
