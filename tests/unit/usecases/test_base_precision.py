"""Precisions of one base on the golden set: size, answers, and what a machine cannot load."""

import io

import pytest
from rich.console import Console

from flywheel.cli.base import _precision_table
from flywheel.clock import ManualClock
from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.serve import loading
from flywheel.settings import Settings
from flywheel.usecases.base_precision import (
    PrecisionFigures,
    PrecisionStudy,
    measure_precisions,
    read_precisions,
)
from flywheel.usecases.cycle import assemble_dataset, open_cycle
from flywheel.usecases.import_seed import import_rows
from flywheel.wiring import Platform
from flywheel.workload.model import parse_workload
from tests.fakes.micro_base import classification, labeled, micro_base, texts
from tests.fakes.review_world import END


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """A deployment with a base and a golden set of ten cases."""
    home = tmp_path_factory.mktemp("home")
    raw = classification().model_dump(mode="json", by_alias=True)
    changes = {"base_model": str(micro_base().folder), "minimum_examples": 1, "golden_size": 10}
    workload = parse_workload({**raw, **changes}, source="test")
    settings = Settings(home=home, workloads=home / "workloads", cache=home / "cache")
    platform = Platform(settings, ManualClock(END))
    platform.build_base(workload, texts())
    import_rows(platform, workload, labeled(40), source_name="seed")
    cycle = open_cycle(platform, workload, trigger="manual", trigger_key="1", reason="test")
    assemble_dataset(platform, cycle.ref)
    yield platform, workload
    platform.close()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_fewer_bits_are_smaller_and_are_held_against_what_is_served(deployment):
    """The served precision is the reference; the other ones count what they gain and lose."""
    platform, workload = deployment
    study = measure_precisions(platform, workload, release="base")
    assert (study.release, study.cases) == ("base", 10)
    assert [one.precision for one in study.figures] == ["float32", "bfloat16", "int8", "nf4"]
    served, *others = study.figures
    assert served.is_served
    assert (served.gained, served.lost) == (0, 0)
    assert [one.problem for one in study.figures] == [None] * 4
    assert all(one.right == served.right + one.gained - one.lost for one in others)
    sizes = [one.bytes for one in study.figures]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


def test_what_a_machine_cannot_load_stops_no_other(deployment, monkeypatch):
    """The precision is named with the reason; the one that is served must be measured."""
    platform, workload = deployment

    def refuse(precision):
        if precision in ("int8", "nf4"):
            raise loading._not_here(precision, RuntimeError("no kernel"))

    monkeypatch.setattr(loading, "_quantization", refuse)
    lines = []
    study = measure_precisions(
        platform,
        workload,
        precisions=read_precisions("nf4"),
        cases=3,
        on_progress=lambda *line: lines.append(line),
    )
    assert lines == [
        ("float32, loading the base model", 0, 0),
        ("float32, golden cases", 0, 3),
        ("float32, golden cases", 3, 3),
        ("nf4, loading the base model", 0, 0),
    ]
    served, other = study.figures
    assert (served.precision, study.cases) == ("float32", 3)
    assert other.problem == "This machine does not serve a base model at nf4: no kernel"
    assert other.right is None
    eight = Settings(home=platform.home, workloads=platform.home, served_precision="int8")
    monkeypatch.setattr(platform, "settings", eight)
    with pytest.raises(ConfigurationError, match="int8: no kernel"):
        measure_precisions(platform, workload, precisions=())


def test_what_is_missing_is_named(deployment):
    """A precision, a release, or a golden set that does not exist."""
    platform, workload = deployment
    with pytest.raises(ConfigurationError, match="'int4' is not a precision"):
        read_precisions("nf4,int4")
    with pytest.raises(NotFoundError, match="no release 'r9'"):
        measure_precisions(platform, workload, release="r9")
    with pytest.raises(NotFoundError, match="no dataset"):
        measure_precisions(platform, workload.model_copy(update={"id": "other"}))


def test_the_table_names_what_is_served_and_what_was_not_measured():
    """A person sees at one look what fewer bits cost."""
    figures = (
        PrecisionFigures("bfloat16", True, 270_000_000, 9, 0, 0, 0.97, 4.0, 2.5),
        PrecisionFigures("nf4", is_served=False, problem="no kernel"),
    )
    table = _precision_table(PrecisionStudy("orders", "r1", "abc", 10, figures))
    screen = Console(file=io.StringIO(), width=120)
    screen.print(table)
    shown = screen.file.getvalue()
    for words in ("bfloat16 (served)", "0.900", "270.0", "2.50", "not measured: no kernel"):
        assert words in shown
