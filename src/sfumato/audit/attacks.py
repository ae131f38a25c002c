"""Attacks by the name that the command line gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.groups import GroupAttack
from sfumato.attack.linkage import LinkageAttack
from sfumato.attack.membership import MembershipAttack
from sfumato.attack.on_cipher.bitstatistics import BitStatistics
from sfumato.attack.on_filter.audited import (
    EnrolledMembership,
    EnrollmentAttack,
    Figure,
    PoisonAttack,
)
from sfumato.attack.reconstruct import ReconstructionAttack
from sfumato.attack.reidentify import ReidentificationAttack
from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.verify import VerificationAttack
from sfumato.audit import plugins
from sfumato.errors import ConfigError
from sfumato.protect.labels import refuse_same
from sfumato.types import Attack


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What every attack of one audit is made with."""

    seeds: tuple[int, ...]
    config: LearnerConfig
    identity: str | None = None
    """The label that names people, none of whom is on both sides."""
    kept: tuple[str, ...] = ()
    """The labels that a release carries: those of use."""
    sheets: Path | None = None
    """Folder for drawn pictures; None where victims' pictures are not asked for."""


def _reconstruct(_: str, setting: Setting) -> Attack:
    # SSIM has a meaning for any release and does not flatter: a recognisable picture is far from
    # the 59 dB of an unprotected one.
    config = ReconstructionConfig(
        epochs=setting.config.epochs,
        device=setting.config.device,
        precision=setting.config.precision,
    )
    return ReconstructionAttack(
        seeds=setting.seeds, config=config, metric="ssim", sheets=setting.sheets
    )


def _verify(_: str, setting: Setting) -> Attack:
    if setting.identity is None:
        raise ConfigError("`attack` verify needs `identity`, the label that names people")
    return VerificationAttack(identity=setting.identity, seeds=setting.seeds, config=setting.config)


def _reidentify(label: str, setting: Setting) -> Attack:
    if not label:
        raise ConfigError("`attack` reidentify:LABEL needs the label that names people")
    return ReidentificationAttack(identity=label, seeds=setting.seeds, config=setting.config)


def _knowing(label: str, setting: Setting) -> Attack:
    if not label or not setting.kept:
        raise ConfigError(
            "`attack` knowing:LABEL needs the label to read, and `utility` for the labels known"
        )
    return AttributeAttack(
        attributes=(label,),
        known=setting.kept,
        seeds=setting.seeds,
        config=setting.config,
        group=None if setting.identity == label else setting.identity,
        name=f"knowing:{label}",
    )


def _groups(label: str, setting: Setting) -> Attack:
    if not label:
        raise ConfigError("`attack` groups:LABEL needs the label that a group shares")
    return GroupAttack(
        label=label,
        known=setting.kept,
        seeds=setting.seeds,
        config=setting.config,
        name=f"groups:{label}",
    )


def _linkage(label: str, setting: Setting) -> Attack:
    if not label:
        raise ConfigError("`attack` linkage:LABEL needs the label to name")
    return LinkageAttack(
        label=label,
        seeds=setting.seeds,
        config=setting.config,
        group=setting.identity,
        name=f"linkage:{label}",
    )


def _membership(_: str, setting: Setting) -> Attack:
    return MembershipAttack(seeds=setting.seeds, config=setting.config)


def _popcounts(label: str, setting: Setting) -> Attack:
    if not label:
        raise ConfigError("`attack` popcounts:LABEL needs the label to read")
    return AttributeAttack(
        attributes=(label,),
        seeds=setting.seeds,
        config=setting.config,
        view="popcounts",
        group=None if setting.identity == label else setting.identity,
        name=f"popcounts:{label}",
    )


def _bitstatistics(_: str, setting: Setting) -> Attack:
    return BitStatistics(seed=setting.seeds[0])


def _poison(label: str, setting: Setting) -> Attack:
    if not label:
        raise ConfigError("`attack` poison:LABEL needs the label that names users")
    return PoisonAttack(
        label=label, seeds=setting.seeds, device=setting.config.device, name=f"poison:{label}"
    )


def _enrollment(figure: Figure) -> Callable[[str, Setting], Attack]:
    def make(label: str, setting: Setting) -> Attack:
        kind = f"enrollment-{figure}"
        if not label:
            raise ConfigError(f"`attack` {kind}:LABEL needs the label that names users")
        return EnrollmentAttack(
            figure=figure,
            label=label,
            seeds=setting.seeds,
            device=setting.config.device,
            name=f"{kind}:{label}",
        )

    return make


def _enrolled(label: str, setting: Setting) -> Attack:
    if not label:
        raise ConfigError("`attack` enrollment-membership:LABEL needs the label that names users")
    name = f"enrollment-membership:{label}"
    return EnrolledMembership(
        label=label, seeds=setting.seeds, device=setting.config.device, name=name
    )


ATTACKS: Mapping[str, tuple[str, Callable[[str, Setting], Attack]]] = {
    "reconstruct": ("reconstruct", _reconstruct),
    "verify": ("verify (needs `identity`)", _verify),
    "reidentify": ("reidentify:LABEL (people known to the adversary)", _reidentify),
    "linkage": ("linkage:LABEL (by pairs of original and release)", _linkage),
    "knowing": ("knowing:LABEL (reads the `utility` labels along)", _knowing),
    "groups": ("groups:LABEL (from ten releases that share it)", _groups),
    "membership": ("membership (by the label `member`)", _membership),
    "bitstatistics": ("bitstatistics", _bitstatistics),
    "popcounts": ("popcounts:LABEL", _popcounts),
    "poison": ("poison:LABEL (users who enroll stolen pictures)", _poison),
    "enrollment-mean": ("enrollment-mean:LABEL (by a platform)", _enrollment("mean")),
    "enrollment-pictures": ("enrollment-pictures:LABEL", _enrollment("pictures")),
    "enrollment-membership": ("enrollment-membership:LABEL", _enrolled),
}


def default_attacks(private: Sequence[str], setting: Setting) -> list[Attack]:
    """Return what is tried beside reading each private label and looking for copies.

    Nobody has to know what to ask for: the picture is drawn from its release, and each private
    label is named by the originals near it, by a release with the labels that it carries, and by
    several releases. Where a label `member` says which pictures the protection was trained with,
    they are told from strangers. Where one has no meaning, it says so itself.
    """
    for label in private:
        for kept in setting.kept:
            refuse_same(label, kept)
    kinds = ("linkage", *(("knowing",) if setting.kept else ()), "groups")
    named = [f"{kind}:{label}" for label in private for kind in kinds]
    specs = ["reconstruct", *named, "membership"]
    return [open_attack(spec, setting) for spec in specs]


def open_attack(spec: str, setting: Setting) -> Attack:
    """Return the attack that `spec` names: ours, a package's, or MODULE:CLASS[:ARGUMENT].

    One that is not ours is made with its argument alone, and takes care of its own seeds.

    Raises:
        ConfigError: no attack has this name, it cannot be imported, or it needs a label that is not
            given.
    """
    kind, _, label = spec.partition(":")
    if kind in ATTACKS:
        return ATTACKS[kind][1](label, setting)
    found: Attack | None = plugins.installed(plugins.ATTACKS, Attack, spec)
    if found is not None:
        return found
    if not plugins.names_a_class(spec):
        usages = (usage for usage, _ in ATTACKS.values())
        known = "; ".join([*usages, *plugins.names(plugins.ATTACKS)])
        raise ConfigError(f"`attack` {spec!r} is none of: {known}; MODULE:CLASS[:ARGUMENT]")
    own: Attack = plugins.at_hand(Attack, spec)
    return own
