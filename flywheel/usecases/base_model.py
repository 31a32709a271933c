"""`build_workload_base`: the base model that a workload's adapters stand on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import ConfigurationError, RefusedError
from flywheel.io.delimited_file import read_delimited
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.usecases.base_texts import base_texts

if TYPE_CHECKING:
    from flywheel.artifacts.base_folder import BaseModel
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload
    from flywheel.workload.tiers import Tier

__all__ = ["TextFile", "build_workload_base"]


@dataclass(frozen=True)
class TextFile:
    """A CSV with unlabeled inputs, and the column that they are in."""

    path: Path
    column: str = "text"


def build_workload_base(  # noqa: PLR0913 - what is built, and what a person hears of it
    platform: "Platform",
    workload: "Workload",
    name: str | None = None,
    *,
    texts: TextFile | None = None,
    replace: bool = False,
    beside: bool = False,
    on_notice: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> "BaseModel":
    """Build a base model, or find it in the cache, and remember it for the workload. Safe to repeat.

    A name that is not the workload's base may be that of one of its tiers, or of its judge; it is
    remembered for these.

    Args:
        platform: the deployment, whose home gets the model.
        workload: whose adapters stand on it.
        name: as the workload's file must say, of itself or of a tier; default: the workload's own.
        texts: inputs for tiny; default: the workload's texts in the lake.
        replace: build another base although a release stands on the present one.
        beside: build a base that the file does not name, for a bake-off or a cycle that names it.
        on_notice: called with what a person should know, such as what tiny cannot do.
        on_progress: called with what goes on.

    Raises:
        ConfigurationError: the file names another base, or the texts cannot be read.
        RefusedError: the champion stands on the present base.
    """
    name = name or workload.base_model
    tiers = [tier for tier in workload.further_models if tier.base_model == name]
    if tiers and name != workload.base_model:
        return _build_for_tiers(platform, workload, tiers, on_progress)
    # Another base than the file's gets a record of its own: what answers stays where it stands.
    keeps_present = beside and name != workload.base_model
    if beside:
        workload = workload.model_copy(update={"base_model": name})
    _check_name(platform, workload, name)
    if name == "tiny" and (shortcoming := _shortcoming(workload)) is not None:
        on_notice(f"note: {shortcoming}")
    inputs: list[str] = []
    if texts is not None:
        inputs = _read_texts(texts)
    elif name == "tiny":
        inputs = base_texts(platform.lake, workload.id)
        on_notice(f"{len(inputs):,} different texts of {workload.id} are in the lake.")

    def check(built: "BaseModel") -> None:
        _check_prompt(workload, built)
        if not replace and not keeps_present:
            _check_champion(platform, workload, built)

    on_progress(f"building {name}")
    built = platform.build_base(workload, inputs, on_progress=on_progress, check=check)
    for tier in tiers:  # the workload's own base, without an adapter
        platform.bases.remember(workload.on_tier(tier), built)
    return built


def _build_for_tiers(
    platform: "Platform",
    workload: "Workload",
    tiers: "Sequence[Tier]",
    on_progress: Callable[[str], None],
) -> "BaseModel":
    first, *others = [workload.on_tier(tier) for tier in tiers]
    texts = base_texts(platform.lake, workload.id) if first.base_model == "tiny" else []
    on_progress(f"building {first.base_model}")
    built = platform.build_base(
        first, texts, on_progress=on_progress, check=lambda built: _check_prompt(first, built)
    )
    for other in others:
        platform.bases.remember(other, built)
    return built


def _check_name(platform: "Platform", workload: "Workload", name: str) -> None:
    if name != workload.base_model:
        file = platform.settings.workload_folder / f"{workload.id}.yaml"
        raise ConfigurationError(
            f"The file of {workload.id} names the base model {workload.base_model}, not {name}.",
            next_step=f"write base_model: {name} into {file}, or build {workload.base_model}",
        )


def _shortcoming(workload: "Workload") -> str | None:
    from flywheel.basemodel.fit import check_tiny_fits

    return check_tiny_fits(workload)


def _check_prompt(workload: "Workload", built: "BaseModel") -> None:
    # A base that cannot write the workload's turns is refused before anything stands on it.
    if isinstance(workload.prompt, str):
        return
    from flywheel.basemodel.chat_check import check_chat

    check_chat(workload, built)


def _check_champion(platform: "Platform", workload: "Workload", built: "BaseModel") -> None:
    # A tiny base is named by its texts: with more of them, the same command makes another one.
    if platform.bases.recorded_digest(workload) in {None, built.digest}:
        return
    champion = platform.state.routes.champion(workload.id)
    if champion != BASE_RELEASE:
        raise RefusedError(
            f"{champion} answers for {workload.id} and stands on the present base; on this other "
            f"one ({built.digest[:16]}) it could not be served.",
            next_step="keep the present base; to start afresh, roll back to the release base and "
            "add --replace",
        )


def _read_texts(texts: TextFile) -> list[str]:
    rows = read_delimited(texts.path, [texts.column])
    return [cells[texts.column] for _, cells in rows if cells[texts.column]]
