"""The upload filter (paper `docl`): people enroll on their own device; uploads are checked.

Enrollment, on the owner's device:

- read_features: computes the features of all pictures of a folder.
- FolderFeatures: the features of a folder, and the files that could not be read.
- enroll: trains an `Enrollment` on one person's features.
- Enrollment: what the service stores for one person: a one-class model and its error statistics.
- OneClass: a stack of one-class autoencoders.
- OneClassConfig: the settings of their training.
- owner_key: opens or creates the key that signs a person's enrollments.
- seal_enrollment: signs an enrollment and returns its file.
- open_enrollment: checks an enrollment file and opens it.
- SignedEnrollment: an enrollment whose signature was checked.

Decision, at the service:

- Bank: all enrollments of one backbone, scored together.
- BankScores: the scores of a batch of uploads against a bank.
- contest_rule: decides a batch of uploads; the default rule.
- first_claims: what that rule compares in a bank with a policy.
- paper_rule: decides a batch of uploads as the paper does.
- Outcome: what a rule says about a batch of uploads.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
