"""The chart starts programs that exist, with settings that exist, and asks paths that they have."""

import importlib.util
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
import yaml

import flywheel
from flywheel.cli.catalog import load_command
from flywheel.services import vllm
from flywheel.settings import Settings
from tests.run.chart import CHART, render
from tests.unit.chart.reading import containers, of_kind, variables


def _words(container):
    entrypoint = container.get("command") or ["flywheel"]
    return [*entrypoint, *container.get("args", [])]


def _options(command, words):
    # What a command line of click's asks for; an unknown option or a missing word raises.
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.get_command(click.Context(command), words[0])
        assert command is not None, words
        words = words[1:]
    with command.make_context("program", list(words), resilient_parsing=False):
        pass


def test_each_program_is_one_of_ours_with_options_that_it_has(templates):
    """A renamed command or option fails here, and not in a cluster."""
    from dagster._cli import create_dagster_cli

    for name, template in templates.items():
        if name.startswith(("demo-vllm", "demo-ray", "run")):
            continue
        for container in containers(template):
            program, *words = _words(container)
            if program == "python":
                assert words[0] == "-m"
                assert importlib.util.find_spec(words[1]), words
            elif program == "flywheel":
                _options(load_command(words[0]), words[1:])
            else:
                _options(create_dagster_cli(), words)


def test_a_run_is_started_past_the_images_entry_point(templates):
    """Dagster's launcher gives a whole command, which is none of `flywheel`'s."""
    [container] = containers(templates["run"])
    assert container["command"] == ["/usr/bin/env"]
    assert container["args"][0] == "dagster"


def test_each_variable_is_a_setting(templates):
    """Every FLYWHEEL_ name, in programs and in the chart's files, is one of `Settings`."""
    known = {f"FLYWHEEL_{field.upper()}" for field in Settings.model_fields}
    for name, template in templates.items():
        for container in containers(template):
            used = {one["name"] for one in container["env"] if one["name"].startswith("FLYWHEEL_")}
            assert used <= known, name
    for path in CHART.rglob("*.*"):
        used = set(re.findall(r"\bFLYWHEEL_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8")))
        assert used <= known, path


def test_the_settings_of_each_program_are_valid_together(templates, monkeypatch, tmp_path):
    """What a pod gets loads, secrets included: no adapter lacks its address or token."""
    for name, template in templates.items():
        held = variables(template)
        if "FLYWHEEL_STATE_URL" not in held:
            continue  # vLLM's and Ray's, which are no programs of ours
        for variable in os.environ:
            if variable.startswith("FLYWHEEL_"):
                monkeypatch.delenv(variable)
        for variable, value in held.items():
            if variable.startswith("FLYWHEEL_"):
                monkeypatch.setenv(variable, "postgresql://a" if value is None else value)
        monkeypatch.chdir(tmp_path)
        settings = Settings()
        assert settings.event_log == "kafka", name
        assert settings.home == Path("/var/lib/flywheel/home"), name


@pytest.mark.parametrize("values", ["everything"], indirect=True)
def test_the_parts_that_are_on_are_used_by_who_needs_them(templates):
    """Gateways and runs ask the replicas by name; runs train on the cluster beside them."""
    gateway, run = variables(templates["demo-gateway"]), variables(templates["run"])
    assert gateway["FLYWHEEL_VLLM_URL"] == run["FLYWHEEL_VLLM_URL"]
    assert gateway["FLYWHEEL_VLLM_URL"].split(",") == [
        "http://demo-vllm-01234567-0.demo-vllm-01234567:8000",
        "http://demo-vllm-01234567-1.demo-vllm-01234567:8000",
        "http://demo-vllm-11111111-0.demo-vllm-11111111:8000",
    ]
    assert "FLYWHEEL_TRAIN_LAUNCHER" not in gateway
    assert run["FLYWHEEL_TRAIN_LAUNCHER"] == "ray"
    assert run["FLYWHEEL_TRAIN_EXCHANGE"] == "file:///var/lib/flywheel/home/exchange"
    ray = {
        m["mountPath"]
        for m in templates["demo-ray-trainers"]["spec"]["containers"][0]["volumeMounts"]
    }
    assert "/var/lib/flywheel/home/exchange" in ray


def _routes():
    from prometheus_client import CollectorRegistry

    from flywheel.desk.app import build_app as desk
    from flywheel.gateway.app import build_app as gateway
    from flywheel.ingest.endpoint import _app as ingest
    from flywheel.review.label_studio.webhooks import _app as webhooks

    apps = {
        "demo-gateway": gateway(SimpleNamespace()),
        "demo-ingest": ingest(lambda: None, CollectorRegistry()),
        "demo-webhooks": webhooks(SimpleNamespace(), None),
        "demo-desk": desk(SimpleNamespace())._app,
    }
    return {name: {route.path for route in app.routes} for name, app in apps.items()}


def test_probes_ask_paths_that_the_programs_answer(templates):
    """Alive is asked apart from ready where a program knows the difference."""
    routes = _routes()
    for name, template in templates.items():
        for container in template["spec"]["containers"]:
            paths = [
                container[probe]["httpGet"]["path"]
                for probe in ("livenessProbe", "readinessProbe")
                if "httpGet" in container.get(probe, {})
            ]
            if name in routes:
                assert set(paths) <= routes[name], name
                assert paths == ["/healthz", "/readyz" if "/readyz" in routes[name] else "/healthz"]
            elif name != "run":
                assert container["livenessProbe"], name
                assert container["readinessProbe"], name


def test_versions_are_those_of_the_project(repository):
    """Chart, image of vLLM and Ray's cluster follow the code and its lock files."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    environments = repository / "deploy" / "environments"
    assert chart["appVersion"] == flywheel.__version__
    assert (
        f"vllm=={values['vllm']['image']['tag'].removeprefix('v')}"
        in (environments / "vllm.in").read_text()
    )
    ray = values["training"]["ray"]["rayVersion"]
    assert f"\nray=={ray} " in (environments / "trainer.lock").read_text()


def test_dagster_is_configured_as_on_one_machine():
    """The chart's ``dagster.yaml`` differs from ours in its launcher and in where logs are kept."""
    from flywheel.orchestration.instance import _configuration
    from tests.fakes.dagster_jobs import dagster_configuration

    ours, theirs = _configuration(postgres=True), dagster_configuration("default")
    assert theirs.pop("run_launcher")["class"] == "K8sRunLauncher"
    assert ours.pop("run_launcher")["class"] == "WatchedRunLauncher"
    assert theirs["compute_logs"].pop("config")["base_dir"].startswith("/var/lib/flywheel/home/")
    assert ours["compute_logs"].pop("config") == {"base_dir": {"env": "DAGSTER_HOME"}}
    assert theirs == ours


def _pairs(arguments):
    # ``--flag=value`` and ``--flag value ...`` alike.
    pairs, last = {}, ""
    for argument in arguments:
        if argument.startswith("--"):
            last, _, value = argument.partition("=")
            pairs[last] = [value] if value else []
        else:
            pairs[last].append(argument)
    return pairs


def test_vllm_is_started_as_flywheel_starts_it(monkeypatch, tmp_path):
    """All arguments that answers depend on are the same, and so is the door before all paths."""
    digest = "0123456789abcdef"
    monkeypatch.setattr(vllm, "load_base", lambda _: SimpleNamespace(digest=digest + "0" * 48))
    monkeypatch.setattr(vllm, "own_precision", lambda _: "bfloat16")
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 2048}')
    needs = vllm.ServingNeeds(rank=16, adapters=4, context=9000)
    ours = _pairs(vllm._model_arguments(tmp_path, needs))
    named = of_kind(render("everything"), "StatefulSet")["demo-vllm-01234567"]
    theirs = _pairs(named["spec"]["template"]["spec"]["containers"][0]["args"])
    for pairs in (ours, theirs):
        [mask] = pairs.pop("--structured-outputs-config")
        pairs["mask"] = json.loads(mask)
        del pairs["--model"]
    assert (theirs.pop("--host"), theirs.pop("--port")) == (["0.0.0.0"], ["8000"])  # noqa: S104
    assert theirs == ours
    door = of_kind(render("everything"), "ConfigMap")["demo-vllm"]["data"]["vllm_door.py"]
    assert "class TokenEverywhere" in door


def test_each_base_has_replicas_of_its_own():
    """Pods of one base are behind its own Service, in the number and with the resources of its own."""
    manifests = render("everything")
    sets = of_kind(manifests, "StatefulSet")
    large, small = sets["demo-vllm-01234567"]["spec"], sets["demo-vllm-11111111"]["spec"]
    assert (large["replicas"], small["replicas"]) == (2, 1)
    [large_pod], [small_pod] = (one["template"]["spec"]["containers"] for one in (large, small))
    assert "nvidia.com/gpu" in large_pod["resources"]["limits"]
    assert small_pod["resources"]["limits"] == {"memory": "8Gi"}
    assert "base-1111111111111111" in small_pod["args"]
    for kind in ("Service", "PodDisruptionBudget"):
        of_base = of_kind(manifests, kind)["demo-vllm-11111111"]["spec"]["selector"]
        selector = of_base if kind == "Service" else of_base["matchLabels"]
        assert selector.items() <= small["template"]["metadata"]["labels"].items()
        assert not selector.items() <= large["template"]["metadata"]["labels"].items()
