"""vLLM's API server on a machine of few cores: its engine is a fork of it.

On a CPU vLLM starts its engine as a new Python process, which imports everything a second time: 8 of
the 21 CPU-seconds of a start. A fork has it imported already. What does not survive a fork is avoided:
the API server starts no threads of OpenMP's, and the engine takes no signals for the API server.
Garbage is looked for seldom while modules are imported, as in Flywheel's own programs.

Run as a program with the arguments of ``vllm.entrypoints.openai.api_server``. Where a later vLLM has
renamed what is changed here, it does not start.
"""

import gc
import os
import runpy
import signal
from collections.abc import Callable
from typing import Any

_METHOD = "VLLM_WORKER_MULTIPROC_METHOD"


def main() -> None:
    """Run the API server."""
    gc.set_threshold(100_000, 20, 50)
    import torch
    from vllm.platforms.cpu import CpuPlatform

    checked = then_fork(CpuPlatform.check_and_update_config)
    CpuPlatform.check_and_update_config = staticmethod(checked)
    threads = torch.get_num_threads()

    def begin_engine() -> None:
        signal.set_wakeup_fd(-1)  # of the event loop, which the API server reads
        torch.set_num_threads(threads)

    os.register_at_fork(after_in_child=begin_engine)
    # A pool of OpenMP's threads is lost in a fork, and who computes then waits for it for ever.
    torch.set_num_threads(1)
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)


def then_fork(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a check of vLLM's configuration after which processes are forked."""

    def checked(config: Any) -> None:
        check(config)
        if os.environ[_METHOD] != "spawn":
            msg = "vLLM no longer chooses here how its processes start"
            raise RuntimeError(msg)
        os.environ[_METHOD] = "fork"

    return checked


if __name__ == "__main__":
    main()
