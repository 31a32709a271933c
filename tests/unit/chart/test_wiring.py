"""What belongs together in the chart finds each other: selectors, ports, volumes, policies."""

import pytest

from tests.run.chart import render
from tests.unit.chart.reading import containers, of_kind, selects

_WORKLOADS = ("Deployment", "StatefulSet")
_FREE = {"demo-dagster-webserver", "demo-ingest"}  # reached by nobody unless a value says so


def test_selectors_take_their_own_pods_alone(manifests, templates):
    """A Service, a budget and a workload select the pods of one component, which are there."""
    for kind in (*_WORKLOADS, "Service", "PodDisruptionBudget"):
        for name, manifest in of_kind(manifests, kind).items():
            selector = manifest["spec"]["selector"]
            labels = selector if kind == "Service" else selector["matchLabels"]
            taken = [
                pod
                for pod, template in templates.items()
                if labels.items() <= template["metadata"]["labels"].items()
            ]
            assert taken == [name], (kind, name)


def test_scalers_scale_what_is_there_and_own_the_number(manifests):
    """A workload with a scaler names no replicas, which each upgrade would set again."""
    scalers = of_kind(manifests, "HorizontalPodAutoscaler") | of_kind(manifests, "ScaledObject")
    for name, scaler in scalers.items():
        target = scaler["spec"]["scaleTargetRef"]
        assert target["name"] == name
        assert "replicas" not in of_kind(manifests, target["kind"])[name]["spec"]
    for kind in _WORKLOADS:
        for name, manifest in of_kind(manifests, kind).items():
            assert name in scalers or manifest["spec"]["replicas"] >= 1


def test_what_is_one_is_replaced_and_never_doubled(manifests):
    """Dagster's programs end before their successors begin."""
    for name, manifest in of_kind(manifests, "Deployment").items():
        if "dagster" in name:
            assert manifest["spec"]["replicas"] == 1
            assert manifest["spec"]["strategy"] == {"type": "Recreate"}


def test_services_and_probes_name_ports_that_are_open(manifests, templates):
    """A number or the name of a container's port."""
    for name, template in templates.items():
        ports = [port for one in containers(template) for port in one.get("ports", [])]
        open_ports = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
        for container in containers(template):
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if "httpGet" in container.get(probe, {}):
                    assert container[probe]["httpGet"]["port"] in open_ports, name
        service = of_kind(manifests, "Service").get(name)
        for port in service["spec"]["ports"] if service else ():
            assert port["targetPort"] in open_ports, name
            assert port["port"] in open_ports, name


def test_each_mount_has_its_volume(manifests, templates):
    """Claims and ConfigMaps are in the chart, or are named by the values."""
    own = (
        of_kind(manifests, "PersistentVolumeClaim").keys() | of_kind(manifests, "ConfigMap").keys()
    )
    for name, template in templates.items():
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        gateway = {"spool"} if name == "demo-gateway" else set()  # by its claim template
        for container in containers(template):
            assert {m["name"] for m in container["volumeMounts"]} <= volumes.keys() | gateway, name
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            config = volume.get("configMap", {}).get("name")
            assert {claim, config} - {None} <= own | {"shared-home", "workloads"}, name


def test_folders_of_the_home_are_made_before_they_are_mounted(templates):
    """A folder that is missing would be made as root's, and nobody could write into it."""
    for name, template in templates.items():
        made = {
            word
            for one in template["spec"].get("initContainers", [])
            if one["name"] == "folders"
            for word in one["args"]
        }
        [*_, program] = template["spec"]["containers"]
        mounted = {
            mount["mountPath"]
            for mount in program["volumeMounts"]
            if mount["name"] == "home" and "subPath" in mount
        }
        assert mounted == made, name


@pytest.mark.parametrize("values", ["default", "everything", "own-services"], indirect=True)
def test_policies_cover_each_pod(manifests, templates):
    """Nothing goes in or out of any pod by default, and each has a way out to what it needs."""
    policies = of_kind(manifests, "NetworkPolicy")
    closed = policies["demo-nothing-else"]["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & closed.keys()
    for name, template in templates.items():
        labels = template["metadata"]["labels"]
        assert selects(closed["podSelector"], labels), name
        opened = [p["spec"] for p in policies.values() if selects(p["spec"]["podSelector"], labels)]
        if not name.startswith("demo-vllm"):  # it calls nobody
            assert any(policy.get("egress") for policy in opened), name


@pytest.mark.parametrize("values", ["default", "everything", "own-services"], indirect=True)
def test_each_service_lets_in_whoever_calls_it(manifests, templates):
    """The policy of a Service opens its own port, and only that."""
    policies = of_kind(manifests, "NetworkPolicy")
    for name, service in of_kind(manifests, "Service").items():
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        if name in _FREE and f"demo-to-{component}" not in policies:
            continue
        policy = policies[f"demo-to-{component}"]["spec"]
        assert selects(policy["podSelector"], templates[name]["metadata"]["labels"])
        [rule] = policy["ingress"]
        assert [port["port"] for port in rule["ports"]] == [
            port["port"] for port in service["spec"]["ports"]
        ]
        assert rule["from"], "an empty list would let in everybody"


def test_the_webserver_is_open_to_nobody_unless_a_value_says_so():
    """It has no login."""
    assert "demo-to-dagster-webserver" not in of_kind(render("default"), "NetworkPolicy")
    assert "demo-to-dagster-webserver" in of_kind(render("everything"), "NetworkPolicy")
