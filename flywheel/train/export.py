"""What leaves a run: the adapter by an allow-list, its manifest, and last of all the result."""

import hashlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flywheel.artifacts.adapter_folder import MANIFEST, verify_adapter, write_manifest
from flywheel.artifacts.base_folder import TOKENIZER_FILES, tokenizer_digest
from flywheel.artifacts.local_copy import bring_here
from flywheel.errors import ConfigurationError, IntegrityError
from flywheel.io.atomic import place, write_json
from flywheel.ports.train_launcher import TrainResult, TrainSpec
from flywheel.train.checkpoints import FOLDER
from flywheel.train.servable import serving_rank

__all__ = ["ADAPTER", "RESULT", "export", "finished", "spec_digest"]

ADAPTER = "adapter"
RESULT = "result.json"
_SPEC_DIGEST = "spec_digest"
_MODEL_FILES = ("adapter_model.safetensors", "adapter_config.json")
_LIBRARIES = ("torch", "transformers", "peft", "trl", "bitsandbytes")


def spec_digest(spec: TrainSpec) -> str:
    """Digest what a result depends on: all of the spec but where code, base and rows lay."""
    elsewhere = {"git_revision", "base_folder", "dataset_folder"}
    return hashlib.sha256(spec.model_dump_json(exclude=elsewhere).encode()).hexdigest()


def finished(spec: TrainSpec, out: Path) -> TrainResult | None:
    """Return the verified result of an earlier run of the same spec, or None."""
    path = out / RESULT
    bring_here(path)
    if not path.is_file():
        return None
    try:
        result = TrainResult.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise IntegrityError(
            f"{path} is not a training result.", next_step=f"remove {out} and train again"
        ) from error
    if result.details.get(_SPEC_DIGEST) != spec_digest(spec):
        raise ConfigurationError(
            f"{out} holds the result of another spec.",
            next_step="give every attempt its own folder",
        )
    digest = verify_adapter(out / result.adapter, base_digest=spec.base_digest)
    if digest != result.manifest_digest:
        raise IntegrityError(
            f"The manifest in {out / result.adapter} is not the one of its result.",
            next_step=f"remove {out} and train again",
        )
    return result


def export(  # noqa: PLR0913 - everything that leaves a run
    spec: TrainSpec,
    out: Path,
    model: Any,
    tokenizer: Any,
    *,
    metrics: Mapping[str, float],
    resumed_from_step: int,
    training: Mapping[str, Any],
    rank: int,
) -> TrainResult:
    """Write adapter, manifest and result, each complete before the next begins."""
    serving = {"max_lora_rank": serving_rank(rank)}
    raw, part, adapter = out / ".raw", out / ".adapter.part", out / ADAPTER
    for folder in (raw, part, adapter):
        shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(raw, selected_adapters=["default"])
    tokenizer.save_pretrained(raw)
    part.mkdir()
    for name in (*_MODEL_FILES, *TOKENIZER_FILES):
        if (raw / name).is_file():
            shutil.copyfile(raw / name, part / name)
    shutil.rmtree(raw)
    versions = _versions()
    digest = write_manifest(
        part,
        {
            "release": spec.release,
            "workload_id": spec.workload.id,
            "cycle": spec.cycle,
            "base_digest": spec.base_digest,
            "tokenizer_digest": tokenizer_digest(spec.base_folder),
            "dataset_hash": spec.dataset_hash,
            "git_revision": spec.git_revision,
            "serving": serving,
            "training": dict(training),
            "versions": versions,
        },
    )
    place(part, adapter)
    result = TrainResult(
        status="succeeded",
        release=spec.release,
        adapter=ADAPTER,
        manifest_digest=digest,
        dataset_hash=spec.dataset_hash,
        base_digest=spec.base_digest,
        metrics=dict(metrics),
        resumed_from_step=resumed_from_step,
        versions=versions,
        details={
            _SPEC_DIGEST: spec_digest(spec),
            "serving": serving,
            "training": dict(training),
            "manifest": MANIFEST,
        },
    )
    write_json(out / RESULT, result.model_dump(mode="json"), indent=1, sort_keys=True)
    shutil.rmtree(out / FOLDER, ignore_errors=True)  # holds pickles, and has done its work
    return result


def _versions() -> dict[str, str]:
    return {name: str(sys.modules[name].__version__) for name in _LIBRARIES if name in sys.modules}
