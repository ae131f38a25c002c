"""Plain words for what an audit measured: for someone who has never trained a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sfumato.audit.measure.cells import PLAIN


@dataclass(frozen=True, slots=True)
class Wording:
    """How a report speaks of an attack, or of a use."""

    title: str
    """A short phrase that goes on after "by" or stands alone: "reading digit"."""
    done: str
    """One or two sentences: what was done, and by whom with what knowledge."""
    metric: str
    """What the figure is."""


_ROUNDING = 1e-4  # of a percent; figures are float32 sums
_OWN = (
    "The adversary has pictures of its own with labels, may have any picture released as often as "
    "it likes, and never saw the victims' pictures."
)

_WORDS: Mapping[str, Callable[[str], Wording]] = {
    "attributes": lambda label: Wording(
        f"reading {label}",
        f"Guesses {label} from a release. {_OWN} Several kinds of classifiers are trained; the one "
        "that does best on pictures the adversary held out is applied to the victims.",
        "share of right answers, every value of the label counting the same",
    ),
    "knowing": lambda label: Wording(
        f"reading {label} with the labels of use known",
        f"Guesses {label} from a release and from the labels of use, which are released along. "
        f"{_OWN} The floor is what these labels say without any release.",
        "share of right answers, every value of the label counting the same",
    ),
    "groups": lambda label: Wording(
        f"naming {label} from ten releases",
        f"Has ten releases that share their {label}, with the labels of use, and puts together "
        f"what each of them says. {_OWN} The floor is what the labels say without any release.",
        "share of groups named rightly, every value of the label counting the same",
    ),
    "copies": lambda _: Wording(
        "releasing originals",
        "Compares each released picture with every picture that the adversary or the keeper has. "
        "It counts as an original if it is equal to one, or nearer to one than two originals ever "
        "are to each other. The floor is how many originals would pass for copies of others.",
        "share of releases that are originals",
    ),
    "popcounts": lambda label: Wording(
        f"reading {label} from bit counts",
        f"Guesses {label} from how many bits of each encrypted number are set, which moving bits "
        f"about does not change. {_OWN}",
        "share of right answers, every value of the label counting the same",
    ),
    "reconstruct": lambda _: Wording(
        "redrawing the picture",
        f"A network learns to draw the original from its release. {_OWN}",
        "likeness of the drawn picture to the original (structural similarity, 1 is the same)",
    ),
    "verify": lambda _: Wording(
        "matching one person's pictures",
        "Says whether two releases show the same person, of people whom the adversary never saw. "
        f"{_OWN}",
        "chance that a pair of one person scores above a pair of two (area under the ROC curve)",
    ),
    "reidentify": lambda label: Wording(
        f"naming the {label}" if label else "naming the person",
        "Looks a release up among releases of people whom the adversary knows by name.",
        "share of victims whose name comes first",
    ),
    "matched": lambda _: Wording(
        "taking a face for its original",
        "Compares each protected face with its own original by a network of faces that was trained "
        "elsewhere, at that network's own threshold. A face that was missed is matched. The floor "
        "is how often two different faces are.",
        "share of faces matched",
    ),
    "recognised": lambda _: Wording(
        "recognising faces",
        "Looks each protected face up among all original faces, by the same network. Where people "
        "are named, a person is looked for in other photographs than the face's own; else the "
        "face's own original is looked for.",
        "share of faces whose person, or original, comes first",
    ),
    "faces": lambda label: Wording(
        f"reading {label} by a network of faces",
        f"Guesses {label} from what a network of faces, trained elsewhere, makes of a protected "
        f"face. {_OWN}",
        "share of right answers, every value of the label counting the same",
    ),
    "linkage": lambda _: Wording(
        "linking release and original",
        "Names the private label by the labelled originals that lie near a release, after learning "
        f"from pairs which release belongs to which original. {_OWN}",
        "share of right answers",
    ),
    "bitstatistics": lambda _: Wording(
        "putting the bits back",
        "Recovers encrypted features from the ciphertext alone, by how often each bit is set in "
        "features of public pictures. The adversary has the public network, and no key. The "
        "ceiling is what it recovers where bits are only moved (ShuffleBits).",
        "likeness of recovered and true features (median cosine similarity)",
    ),
    "membership": lambda _: Wording(
        "telling who was trained on",
        "Says whether a picture was among those that the protection was trained with.",
        "share of members and strangers told apart (mean of both shares)",
    ),
    "poison": lambda label: Wording(
        f"stealing enrolled pictures (users by {label})",
        "Every user enrolls one half of their releases with the upload filter. Another user has "
        "stolen these, enrolls them as well, and uploads the other half. The floor is what users "
        "who stole nothing get shared, the ceiling a platform without a filter.",
        "share of the victims' uploads that the filter shares",
    ),
    "enrollment-mean": lambda label: Wording(
        f"drawing the mean out of enrollments (users by {label})",
        "The platform draws the mean of a user's features out of the user's enrollment, with the "
        "code statistics that screening needs.",
        "likeness of the drawn and the true mean, both less the public mean (cosine similarity)",
    ),
    "enrollment-pictures": lambda label: Wording(
        f"drawing pictures out of enrollments (users by {label})",
        "The platform draws features out of a user's enrollment, with the code statistics that "
        "screening needs.",
        "share of an enrolled feature's distance to the public mean that a drawn one explains",
    ),
    "enrollment-membership": lambda label: Wording(
        f"telling what was enrolled (users by {label})",
        "The platform says of a user's features which were enrolled and which were not. It trains "
        "enrollments of its own on other features of that user; the strongest attack counts.",
        "chance that an enrolled feature scores above another of the user (area under the ROC "
        "curve)",
    ),
    "utility": lambda label: Wording(
        f"reading {label}",
        f"An honest recipient trains a fresh classifier of {label} on releases, with the same "
        "effort as the adversary.",
        "share of right answers, every value of the label counting the same",
    ),
    "quality": lambda _: Wording(
        "looking like the original",
        "Compares each released picture with its original.",
        "structural similarity (1 is the same picture)",
    ),
    "matching": lambda _: Wording(
        "matching people",
        "An honest recipient learns to tell people apart by their releases.",
        "chance that a pair of one person scores above a pair of two (area under the ROC curve)",
    ),
}


def wording(attack: str) -> Wording:
    """Return the words for an attack by its name in a report; of an unknown one, its name."""
    plain = attack.endswith(PLAIN)
    kind, _, label = attack.removesuffix(PLAIN).partition(":")
    if kind not in _WORDS:
        return Wording(
            attack, "An attack from outside Sfumato; its own documentation says more.", ""
        )
    words = _WORDS[kind](label)
    if not plain:
        return words
    return Wording(
        words.title,
        f"{words.done} It learned on unencrypted releases of its own pictures, and was applied to "
        "encrypted ones.",
        words.metric,
    )


def amount(share: float) -> str:
    """Return a share as a word: little, some, much, nearly all, all."""
    limits = {"little": 0.2, "some": 0.5, "much": 0.8, "nearly all": 0.995, "all": math.inf}
    return next(word for word, limit in limits.items() if share < limit)


def percent(share: float) -> str:
    """Return a share as whole percent."""
    return f"{round(100 * share)} %".replace("-", "\N{MINUS SIGN}")


def at_most(share: float) -> str:
    """Return an upper limit as whole percent, rounded up: 4.3 % is not at most 4 %."""
    return percent(math.ceil(100 * share - _ROUNDING) / 100)


def at_least(share: float) -> str:
    """Return a lower limit as whole percent, rounded down."""
    return percent(math.floor(100 * share + _ROUNDING) / 100)


def span(ends: tuple[float, float]) -> str:
    """Return an interval of shares as whole percent that hold it."""
    return f"{at_least(ends[0]).removesuffix(' %')} to {at_most(ends[1])}"
