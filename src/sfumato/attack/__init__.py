"""Attacks: what an adversary can learn from releases and from their own data.

Attacks on a release:

- AttributeAttack: reads a private label with classifiers trained on the adversary's releases.
- LinkageAttack: links each release to labelled originals and reads their label.
- GroupAttack: names the label value that all pictures behind one release share.
- MembershipAttack: tells whether a picture was in the training set.
- ReconstructionAttack: draws the original picture from its release.
- ReidentificationAttack: finds a victim in a gallery of known people.
- VerificationAttack: tells whether two releases show the same person.
- CopiesAttack: counts the releases that are exact or near copies of an original.

Attacks on the upload filter and on encrypted features:

- PoisonAttack: enrolls stolen pictures and uploads their owner's others, in an audit.
- EnrollmentAttack: draws out of enrollments what they were trained on, in an audit.
- EnrolledMembership: tells which pictures were enrolled, in an audit.
- attack_membership: measures how surely a platform tells which pictures were enrolled.
- enrollment_leak: measures what enrollments reveal about the pictures behind them.
- poison: measures how many stolen pictures an adversary gets past the filter.
- train_attackers: trains enrollments of stolen pictures, to override their owners.
- AttackerConfig: the settings of `train_attackers`.
- BitStatistics: breaks ShuffleBits by counting bits.
- recover_key: returns the most likely ShuffleBits key of given words.
- recover_features: returns the most likely features behind shuffled words.

Settings and data:

- LearnerConfig: how the attackers' classifiers are trained.
- ReconstructionConfig: how the attackers' decoders are trained.
- with_membership: joins members and non-members into one labelled set.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
