"""Protectors x attacks on the same data, plus utility."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from sfumato._version import __version__
from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.copies import CopiesAttack
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.verify import VerificationAttack
from sfumato.audit.attacks import Setting, default_attacks
from sfumato.audit.measure.about import Data, Settings
from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.cells import NO_KEY, CellStore, Job
from sfumato.audit.measure.collection import of_collection
from sfumato.audit.measure.contracts import check_contracts
from sfumato.audit.measure.disjoint import check_disjoint
from sfumato.audit.measure.evidence import Role
from sfumato.audit.measure.labels import check_labels, numbered_alike
from sfumato.audit.measure.quality import PictureQuality
from sfumato.audit.report.report import Report
from sfumato.audit.report.sheets import Sheet, draw_pictures
from sfumato.data.imageset import ImageSet
from sfumato.device import precision_on, resolve_device
from sfumato.errors import ConfigError
from sfumato.progress import Executor, sequential
from sfumato.protect.labels import refuse_same
from sfumato.types import Attack, KeyedProtector, Protector


def audit(
    protectors: Sequence[Protector],
    *,
    victims: ImageSet,
    adversary: ImageSet,
    private: str | Sequence[str],
    utility: str | Sequence[str] = (),
    identity: str | None = None,
    matching: bool = False,
    attacks: Sequence[Attack] | None = None,
    seeds: Sequence[int] = (0,),
    config: LearnerConfig | None = None,
    out: Path | None = None,
    pictures: bool = False,
    executor: Executor = sequential,
) -> Report:
    """Attack every protector in every way and return the report.

    Each private label is read by attribute attacks, each utility label by the same learners in
    the hands of an honest recipient; `attacks` adds more, and stands for those of
    `default_attacks` where it is left out. Releases that are pictures are also compared with the
    originals, whatever is asked for: to find copies, and how much they still look alike.
    A protector of collections releases both sides as one, as their owner would, with the utility
    labels kept. `identity` is the label that names people: none may then be on both sides, and
    victims are resampled by person; where it is private, victims' releases are matched in place of
    being named (`VerificationAttack`). With `matching` the recipient must still be able to tell
    people apart. Of a `KeyedProtector` the attacks that learn are run twice: trained on its
    releases, and trained on plain ones and applied to ciphertext; its ceiling is what plain
    releases give. With `out`, cells are kept there, so that a second run takes up where the first
    one was stopped; with `pictures` as well, some victims' pictures are drawn there beside their
    releases. A failed cell is a named cell of the report. Cells are measured by one process or
    many machines; figures are the same.

    Raises:
        DataError: the adversary's images are not disjoint from the victims', a label is missing or
            has one value only, or a protector of collections refuses this one.
        ConfigError: there is nothing to do, a setting needs another one, or an object is no
            `Protector` or `Attack`.
    """
    ready = prepare(
        protectors, victims=victims, adversary=adversary, private=private, utility=utility,
        identity=identity, matching=matching, attacks=attacks, seeds=seeds, config=config, out=out,
        pictures=pictures,
    )  # fmt: skip
    ready.store.measure(ready.work, executor)
    cells = [cell for job in ready.work for cell in ready.store.cells(*job)]
    drawn: tuple[Sheet, ...] = ()
    if pictures and out is not None:
        drawn = draw_pictures(victims, ready.protectors, ready.attacks, out)
    return Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sfumato=__version__,
        data=Data(
            victims=ready.store.sides[0], adversary=ready.store.sides[1], disjoint=ready.disjoint
        ),
        settings=ready.settings,
        environment=_environment(),
        cells=_completed(cells, len(victims)),
        guarantees={protector.name: protector.guarantee for protector in protectors},
        pictures=drawn,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An audit that was checked, and of which nothing is measured yet."""

    store: CellStore
    protectors: Sequence[Protector]
    """As they release this collection."""
    trials: Sequence[tuple[Role, Attack]]
    disjoint: str
    settings: Settings

    @property
    def attacks(self) -> list[Attack]:
        """What every protector is put before."""
        return [attack for _, attack in self.trials]

    @property
    def work(self) -> list[Job]:
        """Every protector with every trial."""
        return [(protector, *trial) for protector in self.protectors for trial in self.trials]


def prepare(
    protectors: Sequence[Protector],
    *,
    victims: ImageSet,
    adversary: ImageSet,
    private: str | Sequence[str],
    utility: str | Sequence[str] = (),
    identity: str | None = None,
    matching: bool = False,
    attacks: Sequence[Attack] | None = None,
    seeds: Sequence[int] = (0,),
    config: LearnerConfig | None = None,
    out: Path | None = None,
    pictures: bool = False,
) -> Prepared:
    """Check everything that `audit` is given, with the same arguments, and measure nothing.

    Raises:
        DataError, ConfigError: as `audit`.
    """
    if matching and identity is None:
        raise ConfigError("`matching` needs `identity`, the label that names people")
    if pictures and out is None:
        raise ConfigError("pictures need `out`, a folder to be drawn in")
    check_contracts(protectors, attacks or ())
    victims, adversary = numbered_alike(victims, adversary)
    how = check_disjoint(victims, adversary, identity)
    labels: dict[Role, list[str]] = {"privacy": _names(private), "utility": _names(utility)}
    config = config or LearnerConfig()
    kept = labels["utility"]
    setting = Setting(seeds=tuple(seeds), config=config, identity=identity, kept=tuple(kept))
    if attacks is None:
        attacks = default_attacks(labels["privacy"], setting)
    trials = _trials(labels, attacks, setting, matching=matching)
    if not protectors or not trials:
        raise ConfigError("an audit needs a protector, and a private label or an attack")
    check_labels((victims, adversary), [*labels["privacy"], *labels["utility"]], attacks)
    return Prepared(
        store=CellStore(victims, adversary, out),
        protectors=[of_collection(one, (victims, adversary), kept) for one in protectors],
        trials=trials,
        disjoint=how,
        settings=Settings(
            private=tuple(labels["privacy"]),
            attacks=tuple(attack.name for role, attack in trials if role == "privacy"),
            utility=tuple(labels["utility"]),
            identity=identity,
            seeds=tuple(seeds),
            protectors=tuple(protector.name for protector in protectors),
            keyed=tuple(one.name for one in protectors if isinstance(one, KeyedProtector)),
            learners=config.learners,
            restarts=config.restarts,
            epochs=config.epochs,
            precision=precision_on(resolve_device(config.device), config.precision),
        ),
    )


def _trials(
    labels: Mapping[Role, Sequence[str]],
    attacks: Sequence[Attack],
    setting: Setting,
    *,
    matching: bool,
) -> list[tuple[Role, Attack]]:
    """Return what every protector is put before; nothing where nothing was asked for."""
    for name in set(labels["privacy"]) & set(labels["utility"]):
        refuse_same(name, name)
    given = {attack.name for attack in attacks}
    read = [_private(name, setting) for name in labels["privacy"]]
    asked: list[tuple[Role, Attack]] = [
        *(("privacy", attack) for attack in read if attack.name not in given),
        *(("privacy", attack) for attack in attacks),
        *(("utility", _reading("utility", name, setting)) for name in labels["utility"]),
    ]
    if not asked:
        return []
    found: list[tuple[Role, Attack]] = [
        ("privacy", CopiesAttack(seed=setting.seeds[0])),
        *asked,
        ("utility", PictureQuality()),
    ]
    if matching:
        matcher = VerificationAttack(
            identity=setting.identity or "",
            seeds=setting.seeds,
            config=setting.config,
            name="matching",
        )
        found.append(("utility", matcher))
    return found


def _private(label: str, setting: Setting) -> Attack:
    """Return how a private label is learned: read, or where it names people, matched.

    Of people none is on both sides, so nobody can be named; that two releases show one person can
    be told of strangers, too.
    """
    if label == setting.identity:
        return VerificationAttack(identity=label, seeds=setting.seeds, config=setting.config)
    return _reading("attributes", label, setting)


def _reading(kind: str, label: str, setting: Setting) -> AttributeAttack:
    """Return how a label is read, by an adversary or an honest recipient."""
    return AttributeAttack(
        attributes=(label,),
        seeds=setting.seeds,
        config=setting.config,
        group=None if setting.identity == label else setting.identity,
        name=f"{kind}:{label}",
    )


def _completed(cells: Sequence[Cell], victims: int) -> tuple[Cell, ...]:
    """Return the whole matrix: ways to attack a keyed protector have no meaning for others."""
    done = {(cell.protector, cell.attack): cell for cell in cells}
    columns = list(dict.fromkeys((cell.role, cell.attack) for cell in cells))
    rows = list(dict.fromkeys(cell.protector for cell in cells))
    return tuple(
        done.get((row, attack))
        or Cell(protector=row, attack=attack, role=role, key="", victims=victims, reason=NO_KEY)
        for row in rows
        for role, attack in columns
    )


def _environment() -> dict[str, str | None]:
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "accelerator": cuda,
    }


def _names(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
