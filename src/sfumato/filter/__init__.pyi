"""What `sfumato.filter` offers, loaded when first used."""

from .bank.bank import Bank, BankScores
from .enroll import enroll
from .enrollment import Enrollment, SignedEnrollment, open_enrollment, seal_enrollment
from .oneclass import OneClass, OneClassConfig
from .private_pictures import FolderFeatures, owner_key, read_features
from .rule.guard import Outcome, contest_rule, first_claims, paper_rule

__all__ = [
    "Bank",
    "BankScores",
    "Enrollment",
    "FolderFeatures",
    "OneClass",
    "OneClassConfig",
    "Outcome",
    "SignedEnrollment",
    "contest_rule",
    "enroll",
    "first_claims",
    "open_enrollment",
    "owner_key",
    "paper_rule",
    "read_features",
    "seal_enrollment",
]
