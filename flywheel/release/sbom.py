"""`write_sbom`: a release as a CycloneDX bill of materials: adapter, base, data, libraries, by hash."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flywheel.artifacts.adapter_folder import MANIFEST, AdapterManifest, read_manifest
from flywheel.artifacts.gate_report import GateReport
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.io.records import JsonObject
from flywheel.release.card_facts import CardFacts, Share
from flywheel.release.model_card import INTENDED_USE, OUT_OF_SCOPE
from flywheel.state import Approval, Release

__all__ = ["SBOM_FILE", "BillOfMaterials", "write_sbom"]

SBOM_FILE = "sbom.cdx.json"
_NAMESPACE = uuid.UUID("5f1f1b0e-6d1a-4b57-9c0a-0f3a3b1f7c11")


@dataclass(frozen=True)
class BillOfMaterials:
    """What a bill of materials is made of."""

    opened: OpenedWorkload
    release: Release
    version: str
    report: GateReport
    approval: Approval
    card: CardFacts


def write_sbom(bill: BillOfMaterials, adapter: Path) -> str:
    """Write the bill as CycloneDX 1.6 in JSON; the same release always gives the same text.

    Args:
        bill: what is described.
        adapter: folder of the adapter, checked against its manifest before.

    Raises:
        IntegrityError: the adapter's manifest cannot be read.
    """
    manifest = read_manifest(adapter)
    libraries = [_library(name, version) for name, version in sorted(_versions(manifest).items())]
    base, data = _base(bill), _data(bill)
    model = _model(bill, manifest, data["bom-ref"])
    parts = [base, data, *libraries]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, bill.release.manifest_digest)}",
        "version": 1,
        "metadata": {
            "timestamp": bill.approval.given_at.isoformat(),
            "component": model,
            "properties": [
                _property("gate_digest", bill.report.digest),
                _property("approved_by", bill.approval.actor),
            ],
        },
        "components": parts,
        "dependencies": [
            {"ref": model["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _model(bill: BillOfMaterials, manifest: AdapterManifest, data: str) -> JsonObject:
    release, workload = bill.release, bill.opened.workload
    files = [
        {
            "type": "file",
            "bom-ref": f"{release.release}/{one['path']}",
            "name": one["path"],
            "hashes": [_sha256(one["sha256"])],
        }
        for one in manifest["files"]
    ]
    return {
        "type": "machine-learning-model",
        "bom-ref": release.release,
        "name": workload.id,
        "version": bill.version,
        "description": workload.description or "LoRA adapter",
        "hashes": [_sha256(release.manifest_digest)],
        "components": files,
        "modelCard": {
            "modelParameters": {
                "task": workload.task.type,
                "architectureFamily": "LoRA adapter",
                "datasets": [{"ref": data}],
            },
            "quantitativeAnalysis": {"performanceMetrics": _metrics(bill)},
            "considerations": {
                "users": [workload.owner],
                "useCases": [INTENDED_USE],
                "technicalLimitations": [OUT_OF_SCOPE],
            },
        },
        "properties": [
            _property("release", release.release),
            _property("hash_of", MANIFEST),
            _property("git_revision", str(manifest.get("git_revision", "not recorded"))),
        ],
    }


def _metrics(bill: BillOfMaterials) -> list[JsonObject]:
    metrics = [
        _metric(arm.suite, share)
        for arm in bill.report.arms
        if arm.arm == "candidate" and (share := Share.of_arm(arm)) is not None
    ]
    metrics += [_metric(f"label {one.name}", one) for one in bill.card.labels]
    for attribute, shares in (bill.card.groups or {}).items():
        metrics += [_metric(f"{attribute} {one.name}", one) for one in shares]
    return metrics


def _metric(name: str, share: Share) -> JsonObject:
    lower, upper = share.interval
    return {
        "type": "exact match",
        "value": f"{share.accuracy:.4f}",
        "slice": name,
        "confidenceInterval": {"lowerBound": f"{lower:.4f}", "upperBound": f"{upper:.4f}"},
    }


def _base(bill: BillOfMaterials) -> JsonObject:
    digest = bill.release.lineage.base_digest
    return {
        "type": "machine-learning-model",
        "bom-ref": f"base:{digest}",
        "name": bill.opened.workload.base_model,
        "hashes": [_sha256(digest)],
        "properties": [_property("hash_of", "names and contents of the folder's files")],
    }


def _data(bill: BillOfMaterials) -> JsonObject:
    release = bill.release
    counts = bill.card.splits
    properties = [_property("dataset_hash", release.dataset_hash)]
    properties += [_property(f"source.{k}", str(v)) for k, v in bill.card.sources.items()]
    properties += [_property(f"left_out.{k}", str(v)) for k, v in bill.card.exclusions.items()]
    files, problem = _split_files(release)
    if problem:
        properties.append(_property("files", problem))
    return {
        "type": "data",
        "bom-ref": f"dataset:{release.dataset_hash}",
        "name": f"{release.workload_id} dataset snapshot",
        "version": release.dataset_hash,
        "data": [
            {"type": "dataset", "name": split, "description": f"{rows} rows"}
            for split, rows in counts.items()
        ],
        "components": [
            {
                "type": "file",
                "bom-ref": f"dataset:{release.dataset_hash}/{name}",
                "name": name,
                "hashes": [_sha256(digest)],
            }
            for name, digest in sorted(files.items())
        ],
        "properties": properties,
    }


def _split_files(release: Release) -> tuple[dict[str, str], str]:
    # A snapshot may have been moved away since; the release serves without it, and the bill says so.
    folder = release.lineage.dataset_folder
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in manifest["files"].items()}, ""
    except (OSError, ValueError, KeyError) as error:
        return {}, f"not listed, the snapshot's manifest cannot be read: {type(error).__name__}"


def _library(name: str, version: str) -> JsonObject:
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _versions(manifest: AdapterManifest) -> Mapping[str, str]:
    return {str(name): str(version) for name, version in manifest.get("versions", {}).items()}


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"flywheel:{name}", "value": value}
