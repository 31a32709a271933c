"""Reading of manifests for the tests of the chart."""

__all__ = ["containers", "of_kind", "selects", "variables"]


def containers(template):
    """Return all containers of a pod template."""
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def variables(template):
    """Return the variables of the first container, None for one out of a Secret."""
    return {one["name"]: one.get("value") for one in template["spec"]["containers"][0]["env"]}


def of_kind(manifests, kind):
    """Return the manifests of a kind by name."""
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def selects(selector, labels):
    """Whether a label selector takes these labels."""
    exact = selector.get("matchLabels", {})
    among = selector.get("matchExpressions", [])
    assert all(one["operator"] == "In" for one in among)
    return exact.items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in among
    )
