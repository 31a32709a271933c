"""Parts, results and jobs of a backfill on a cluster, without the cluster."""

import json
import time

import pyarrow as pa
import pytest

from flywheel.errors import FlywheelError, IntegrityError, InterruptedWorkError
from flywheel.ports.bulk_work import PartName, TextPart
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_protocol import forget_old_runs
from flywheel.usecases.backfill.computing import PART, RESULTS
from flywheel.usecases.backfill.on_ray import RayExecutor
from flywheel.usecases.backfill.part_files import PartFiles
from flywheel.usecases.backfill.run import Days, backfill_vectors
from tests.fakes.backfill_world import FIRST, LAST
from tests.fakes.bulk_cluster import BulkCluster

IDS = [f"i{number:05d}" for number in range(30)]


@pytest.fixture
def cluster(monkeypatch):
    """Return a cluster that does all it is asked for."""
    return BulkCluster(monkeypatch)


@pytest.fixture
def executor(cluster, tmp_path):
    """Return an executor on it."""
    return RayExecutor(cluster, (tmp_path / "exchange").as_uri())


@pytest.fixture
def backfill(world, executor):
    """Return the backfill of the vectors, which need no model."""
    days = (world.deployment, world.workload, Days(FIRST, LAST))

    def run(**options):
        return backfill_vectors(*days, part_rows=4, executor=executor, **options)

    return run


def _kill(_part):
    raise KeyboardInterrupt


def test_vectors_land_once_and_nothing_stays_in_the_exchange(world, executor, backfill):
    """They are unit vectors, readable as a list of numbers."""
    assert backfill().landed == 30
    assert world.ids("text_vectors") == IDS
    (row,) = world.lake.rows(
        "SELECT count(*) AS n, avg(list_dot_product(vector, vector)) AS norm FROM text_vectors "
        "WHERE encoder = 'wordllama-256'"
    )
    assert (row["n"], round(row["norm"], 4)) == (30, 1.0)
    assert Exchange(executor.exchange_url).names("runs") == []


def test_a_lost_job_costs_the_parts_that_it_had_not_done(world, cluster, backfill):
    """Another job does the others; no part is done twice."""
    cluster.fates = [2, 3]
    notices = []
    assert backfill(on_notice=notices.append).landed == 30
    assert world.ids("text_vectors") == IDS
    assert len(cluster.submitted) == 3
    assert len(cluster.done) == len(set(cluster.done)) == 8
    assert any("6 parts are left" in notice for notice in notices)


def test_jobs_that_do_nothing_are_given_up(cluster, backfill, world):
    """What had landed stays, and the next call goes on."""
    cluster.fates = [2, 0, 0, 0]
    with pytest.raises(InterruptedWorkError) as caught:
        backfill()
    assert "run the backfill again" in caught.value.next_step
    landed = len(world.ids("text_vectors"))
    assert 0 < landed < 30
    assert backfill().known == landed
    assert world.ids("text_vectors") == IDS


def test_results_of_a_killed_launcher_land_without_being_made_again(world, cluster, backfill):
    """It was killed after a result had come and before it was landed."""
    with pytest.raises(KeyboardInterrupt):
        backfill(on_part=_kill)
    before = len(world.ids("text_vectors"))
    done = list(cluster.done)
    assert len(done) == 8
    assert backfill().landed == 30 - before
    assert cluster.done == done
    assert world.ids("text_vectors") == IDS


def test_a_result_that_is_not_of_its_part_is_made_again(world, cluster, executor, backfill):
    """It never lands."""
    real = PartFiles.put_result
    broken = []

    def put(files, name, rows):
        real(files, name, rows if broken else rows.slice(1))
        broken.append(name)

    cluster.patch.setattr(PartFiles, "put_result", put)
    notices = []
    assert backfill(on_notice=notices.append).landed == 30
    assert cluster.done.count(broken[0]) == 2
    assert any("made again" in notice for notice in notices)


def test_an_error_of_a_worker_is_the_backfills_error(cluster, backfill):
    """Ray wraps it, and its words are kept."""
    cluster.fates, cluster.tells = [1], True
    cluster.loss = RuntimeError("ray says so")
    cluster.loss.cause = IntegrityError("The adapter was changed.")
    with pytest.raises(Exception, match="The adapter was changed") as caught:
        backfill()
    assert caught.value.facts["reason"] == "bad_data"


def test_texts_of_a_killed_upload_go_with_the_old_runs(cluster, executor, backfill):
    """It was killed before a job was asked for; nobody asks for the same backfill again."""
    real = PartFiles.put_part
    put = []

    def put_one(files, part):
        if put:
            raise KeyboardInterrupt
        put.append(real(files, part))
        return put[0]

    cluster.patch.setattr(PartFiles, "put_part", put_one)
    with pytest.raises(KeyboardInterrupt):
        backfill()
    exchange = Exchange(executor.exchange_url)
    (name,) = exchange.names("runs")
    assert exchange.names(f"runs/{name}/parts") == put
    assert forget_old_runs(exchange, before=time.time() + 1) == [name]
    assert exchange.names("runs") == []


def test_a_damaged_part_is_put_again_by_the_same_command(world, cluster, executor, backfill):
    """An erasure changed it, or a power cut: the job says so, and the next call mends it."""
    cluster.fates = [0, 0, 0]
    with pytest.raises(InterruptedWorkError):
        backfill()
    exchange = Exchange(executor.exchange_url)
    (name,) = exchange.names("runs")
    damaged = exchange.names(f"runs/{name}/parts")[0]
    exchange.write(f"runs/{name}/parts/{damaged}/rows.jsonl", b"{}")
    with pytest.raises(FlywheelError, match="is not the file that was put there"):
        backfill()
    assert backfill().known < 30
    assert world.ids("text_vectors") == IDS


def test_a_job_that_still_works_at_what_has_landed_is_stopped(cluster, executor, backfill):
    """It would write into the folder that is removed, where nothing would remove it again."""
    with pytest.raises(KeyboardInterrupt):
        backfill(on_part=_kill)
    cluster.running = list(cluster.submitted)
    assert backfill().landed
    assert cluster.running == []
    assert Exchange(executor.exchange_url).names("runs") == []


def test_parts_are_read_as_they_were_written(tmp_path):
    """Whatever the text holds; half a folder is none."""
    exchange = Exchange((tmp_path / "exchange").as_uri())
    files = PartFiles(exchange, "runs/a", "answer")
    texts = ["a\nb", "\u2028 \x1b[0m", "ü🛠", '"', ""]
    keys = {
        "inference_id": [f"i{number}" for number in range(5)],
        "subject_id": [None, *"abcd"],
        "event_time": pa.array([10**15] * 5, type=PART.field("event_time").type),
    }
    part = TextPart(PartName(FIRST, 1, 1), pa.table(keys | {"input": texts}, schema=PART))
    name = files.put_part(part)
    assert files.read_part(name) == part
    values = {"output": ['"x"'] * 5, "confidence": [0.1, 1 / 3, 1.0, 1e-300, None]}
    result = pa.Table.from_pydict(keys | values | dict.fromkeys(_REST, [None] * 5), schema=_ANSWER)
    files.put_result(name, result)
    assert files.take_result(name) == (part.name, result)
    assert files.without_result([name, "other"]) == ["other"]
    exchange.write_json(f"runs/a/results/{name}/complete.json", None)
    assert files.without_result([name]) == [name]
    with pytest.raises(IntegrityError):
        files.read_part("2026-03-02.1-of-1.000000000000")


_ANSWER = RESULTS["answer"]
_REST = ("margin", "prompt_tokens", "completion_tokens", "error")


def test_a_job_of_another_version_is_refused(cluster, backfill, executor):
    """The worker says which versions there are."""
    real = executor.cluster.submit

    def submit(submission, arguments, **options):
        exchange = Exchange(arguments[0])
        job = exchange.read_json(f"{arguments[1]}/job.json") | {"version": "0.0.1"}
        exchange.write_json(f"{arguments[1]}/job.json", json.loads(json.dumps(job)))
        real(submission, arguments, **options)

    cluster.submit = submit
    with pytest.raises(Exception, match=r"the job comes from 0\.0\.1"):
        backfill()
