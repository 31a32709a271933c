"""The Helm chart, rendered with several sets of values and held to Kubernetes' own schemas.

``python -m tests.run.chart`` lints and checks it for `make check`; the tests read what it renders.
Nothing here talks to a cluster.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["CHART", "VALUE_SETS", "find_helm", "pods", "refusal", "render", "validate"]

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "deploy" / "helm" / "flywheel"
_VALUES = REPOSITORY / "tests" / "data" / "chart"
VALUE_SETS = ("default", *sorted(path.stem for path in _VALUES.glob("*.yaml")))
_CUSTOM = {"ray.io/v1", "keda.sh/v1alpha1"}  # their schemas come with their operators
_KUBERNETES = "1.37"

Manifest = dict[str, Any]


def find_helm() -> Path | None:
    """Return the helm that `make check` built, else one on the path; None: there is none."""
    built = sorted((REPOSITORY / ".flywheel" / "tools").glob("helm-*/helm"))
    on_path = shutil.which("helm")
    return built[-1] if built else Path(on_path) if on_path else None


@cache
def render(values: str) -> tuple[Manifest, ...]:
    """Return the manifests of a set of values; RuntimeError: helm refuses them, or is not there."""
    text = _helm("template", "demo", str(CHART), "--namespace", "flywheel", *_file(values))
    return tuple(manifest for manifest in yaml.safe_load_all(text) if manifest)


def refusal(*assignments: str) -> str:
    """Return why the chart refuses values that are set on the command line; empty: it does not."""
    words = [word for one in assignments for word in ("--set", one)]
    try:
        _helm("template", "demo", str(CHART), *words)
    except RuntimeError as error:
        return str(error)
    return ""


def pods(values: str) -> Iterator[tuple[str, Manifest]]:
    """Yield name and pod template of all that runs; those of Ray's nodes too."""
    for manifest in render(values):
        spec, name = manifest.get("spec", {}), manifest["metadata"]["name"]
        if manifest["kind"] == "RayCluster":
            yield f"{name}-head", spec["headGroupSpec"]["template"]
            for group in spec["workerGroupSpecs"]:
                yield f"{name}-{group['groupName']}", group["template"]
        elif "template" in spec:
            yield name, spec["template"]


def validate(manifests: Iterable[Manifest]) -> int:
    """Hold manifests to Kubernetes' schemas, unknown fields refused, and return how many those were.

    Raises:
        kubernetes_validate.ValidationError: one does not fit.
    """
    import kubernetes_validate

    own = [manifest for manifest in manifests if manifest["apiVersion"] not in _CUSTOM]
    for manifest in own:
        kubernetes_validate.validate(manifest, _KUBERNETES, strict=True)
    return len(own)


def main() -> int:
    """Lint, render and check the chart with each set of values; skipped where helm cannot be had."""
    if find_helm() is None:
        sys.stdout.write("chart: not checked, since there is neither helm nor Go to build it\n")
        return int(os.environ.get("CI") == "true")
    documents = 0
    for values in VALUE_SETS:
        _helm("lint", "--strict", str(CHART), *_file(values))
        documents += validate(render(values))
        documents += validate(_as_pod(template) for _, template in pods(values))
    sets = f"{documents} manifests of {len(VALUE_SETS)} sets of values"
    sys.stdout.write(f"chart: {sets} fit Kubernetes {_KUBERNETES}\n")
    return 0


def _helm(*words: str) -> str:
    helm = find_helm()
    if helm is None:
        raise RuntimeError("There is no helm: run `make check` on a machine with Go.")
    command = [str(helm), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"helm {words[0]}: {done.stdout}{done.stderr}")
    return done.stdout


def _file(values: str) -> list[str]:
    return [] if values == "default" else ["--values", str(_VALUES / f"{values}.yaml")]


def _as_pod(template: Manifest) -> Manifest:
    # A pod within a custom resource has no schema there.
    metadata = {"name": "pod", **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


if __name__ == "__main__":
    sys.exit(main())
