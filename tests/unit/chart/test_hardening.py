"""No pod of the chart has more rights than it needs, nor an unbounded share of a node."""

from tests.unit.chart.reading import containers, variables

_SECRETS = (
    "FLYWHEEL_STATE_URL", "FLYWHEEL_DAGSTER_URL", "FLYWHEEL_HASH_KEY", "FLYWHEEL_KAFKA_PASSWORD",
    "FLYWHEEL_LABEL_STUDIO_TOKEN", "FLYWHEEL_WEBHOOK_SECRET", "FLYWHEEL_VLLM_TOKEN",
    "FLYWHEEL_RAY_TOKEN", "FLYWHEEL_DESK_OIDC_CLIENT_SECRET", "FLYWHEEL_ALERT_URL",
    "FLYWHEEL_ALERT_SMTP_URL",
)  # fmt: skip


def test_nobody_is_root_and_no_image_is_written(templates):
    """Each container runs as nobody, on a read-only file system, without capabilities."""
    for name, template in templates.items():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(template):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"], name
            assert not security["allowPrivilegeEscalation"], name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, name  # noqa: S108


def test_each_container_says_what_it_needs(templates):
    """CPU and memory are requested, and memory has a limit."""
    for name, template in templates.items():
        for container in containers(template):
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), name
            assert "memory" in resources["limits"], name


def test_only_dagsters_launcher_may_ask_kubernetes(templates):
    """Webserver and daemon start Jobs; nobody else has a token."""
    with_token = {
        name
        for name, template in templates.items()
        if template["spec"]["automountServiceAccountToken"]
    }
    assert with_token == {"demo-dagster-webserver", "demo-dagster-daemon"}
    for name in with_token:
        assert templates[name]["spec"]["serviceAccountName"] == "demo-launcher"


def test_secrets_come_from_the_secret_by_name(templates, values):
    """A secret setting is a reference to the key of its own name, whatever program has it."""
    expected = "words" if values == "everything" else "flywheel"
    for name, template in templates.items():
        for container in containers(template):
            for variable in container["env"]:
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if variable["name"] in _SECRETS:
                    assert reference is not None, (name, variable)
                    assert reference["key"] == variable["name"]
                if reference is not None:
                    assert reference["name"] == expected


def test_no_variable_is_set_twice(templates):
    """Of two values the second one would win, unseen."""
    for name, template in templates.items():
        for container in containers(template):
            names = [variable["name"] for variable in container["env"]]
            assert len(names) == len(set(names)), name


def test_the_gateway_has_no_secret_that_it_does_not_use(templates):
    """What applications reach holds no access to Label Studio, Ray or Dagster's tables."""
    for name in ("demo-gateway", "demo-ingest"):
        held = variables(templates[name])
        assert not {
            "FLYWHEEL_DAGSTER_URL", "FLYWHEEL_LABEL_STUDIO_TOKEN", "FLYWHEEL_RAY_TOKEN",
            "FLYWHEEL_WEBHOOK_SECRET", "FLYWHEEL_DESK_OIDC_CLIENT_SECRET",
        } & held.keys()  # fmt: skip
