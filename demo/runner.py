"""Dagster without a daemon: tick a sensor, add its partitions, run what it asks for, in process."""

import json
import time
from collections import defaultdict
from dataclasses import dataclass, field

import dagster as dg

from flywheel.errors import TerminalError
from flywheel.io.machine import this_machine
from flywheel.orchestration.workers import MACHINE_TAG
from flywheel.wiring import Platform

__all__ = ["InProcessDagster"]


@dataclass
class InProcessDagster:
    """Drive the code location's own sensors and jobs, as the daemon would.

    ``seconds`` adds up the wall time of each job, ``step_seconds`` the part spent inside assets.
    """

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    platform: Platform
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    step_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _cursors: dict[str, str | None] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def run(self, job: str, *, partition: str | None = None) -> dg.ExecuteInProcessResult:
        """Run one job of the code location; a failed run raises what its step raised."""
        started = time.perf_counter()
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition,
            tags={MACHINE_TAG: this_machine()},
            resources={"platform": self.platform},
            raise_on_error=False,
        )
        self.seconds[job] += time.perf_counter() - started
        for event in result.all_events:
            if event.is_step_success:
                key = str(event.step_key)
                self.step_seconds[key] += event.step_success_data.duration_ms / 1000
        return result

    def tick(self, sensor: str) -> list[dg.ExecuteInProcessResult]:
        """Evaluate a sensor once and carry out what it returns.

        A run key is honored once, as the daemon does.
        """
        evaluated = self.evaluate(sensor)
        for partition_request in evaluated.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(
                partition_request.partitions_def_name, list(partition_request.partition_keys)
            )
        results = []
        for request in evaluated.run_requests or ():
            key = f"{sensor}:{request.run_key}"
            if request.run_key is not None and key in self._seen:
                continue
            self._seen.add(key)
            results.append(self.run(str(request.job_name), partition=request.partition_key))
        return results

    def evaluate(self, sensor: str) -> dg.SensorResult:
        """Evaluate a sensor once and return what it asks for."""
        repository = self.definitions.get_repository_def()
        definition = repository.get_sensor_def(sensor)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self._cursors.get(sensor),
            repository_def=repository,
            sensor_name=sensor,
            resources={"platform": self.platform},
        ) as context:
            evaluated = definition(context)
        if not isinstance(evaluated, dg.SensorResult):
            raise TerminalError(f"The sensor {sensor} returned {json.dumps(str(evaluated))}.")
        for event in evaluated.asset_events or ():
            self.instance.report_runless_asset_event(event)
        if evaluated.cursor is not None:
            self._cursors[sensor] = evaluated.cursor
        return evaluated
