"""`BakeoffArm` and `BakeoffFile`: what a bake-off measured, kept from try to try, without any text."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from flywheel.errors import IntegrityError
from flywheel.io.atomic import write_json
from flywheel.io.records import JsonObject

__all__ = ["BakeoffArm", "BakeoffFile", "BakeoffKind"]

BakeoffKind = Literal["zero_shot", "few_shot", "tuned"]


@dataclass(frozen=True)
class BakeoffArm:
    """One way of answering with one base; where ``problem`` is set nothing was measured.

    ``right`` says of each validation case, in their order, whether it was right. Of texts, ``scores``
    are those on which the gate decides, in [0, 1], and ``rules_kept`` is the share that keeps every
    rule that holds for it, None without rules. Times are seconds; ``train_bytes`` is the largest
    memory of the training, ``base_bytes`` the size of the base.
    """

    base: str
    base_digest: str
    kind: BakeoffKind
    right: tuple[bool, ...] = ()
    scores: tuple[float, ...] = ()
    rules_kept: float | None = None
    seconds_p50: float | None = None
    seconds_p95: float | None = None
    seconds_mean: float | None = None
    base_bytes: int = 0
    train_seconds: float | None = None
    train_bytes: int | None = None
    spent_seconds: float = 0.0
    problem: str | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of right cases; None where nothing was measured."""
        return sum(self.right) / len(self.right) if self.right else None


def _read_arm(raw: JsonObject) -> BakeoffArm:
    # A bake-off of an earlier version has no scores.
    lists = {"right": tuple(raw["right"]), "scores": tuple(raw.get("scores", ()))}
    return BakeoffArm(**(raw | lists))


@dataclass
class BakeoffFile:
    """The measured arms of one bake-off in one file, replaced whole after every arm."""

    path: Path
    arms: list[BakeoffArm] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> "BakeoffFile":
        """Read what an earlier try measured; nothing where there was none.

        Raises:
            IntegrityError: the file is damaged.
        """
        try:
            raw = json.loads(path.read_bytes())
            arms = [_read_arm(one) for one in raw["arms"]]
        except FileNotFoundError:
            return cls(path)
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"The bake-off in {path} is damaged: {error}", next_step="remove it and start again"
            ) from error
        return cls(path, arms)

    def find(self, base_digest: str, kind: BakeoffKind) -> BakeoffArm | None:
        """Return an arm's last try, which may have met a problem; None before the first."""
        matches = (one for one in self.arms if (one.base_digest, one.kind) == (base_digest, kind))
        return next(matches, None)

    def keep(self, arm: BakeoffArm) -> BakeoffArm:
        """Add an arm, or replace its earlier try, whose time still counts as spent."""
        key = (arm.base_digest, arm.kind)
        self.arms = [one for one in self.arms if (one.base_digest, one.kind) != key]
        self.arms.append(arm)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"arms": [asdict(one) for one in self.arms]}, indent=1)
        return arm

    @property
    def spent_seconds(self) -> float:
        """Seconds of all tries so far."""
        return sum(one.spent_seconds for one in self.arms)
