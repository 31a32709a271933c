"""The command line: thin commands that open the platform and call one function each.

Exit codes: 0 done, 1 refused or failed with a reason, 2 a wrong command line, 3 and above as a
command's own help says, 70 a fault of the program, 130 interrupted.
"""

import errno
import logging
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

__all__ = ["build_app", "main"]

_FAULT, _INTERRUPTED = 70, 130
_DEBUG = "FLYWHEEL_DEBUG"
# What the machine says, and not the program: a full disk, a folder that may not be written.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


def build_app(*, owns_process: bool = False) -> Any:
    """Assemble the commands; the module of one is imported when it is called.

    ``owns_process``: the process is a program of Flywheel's, so that its umask may be set.
    """
    import typer

    from flywheel.cli.catalog import CommandCatalog

    app = typer.Typer(
        cls=CommandCatalog,
        name="flywheel",
        help="An event-driven data flywheel for small language models.",
        epilog="The commands of one turn by hand, in their order: `flywheel cycle --help`.\n\n"
        "Exit codes: 0 done, 1 refused, failed or a finding, 2 a wrong command line; 3 and above as "
        "a command's help says; 70 a fault of the program, 130 interrupted.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def show_version(requested: bool) -> None:
        if requested:
            from importlib.metadata import version

            typer.echo(f"flywheel {version('flywheel-slm')}")
            raise typer.Exit

    @app.callback()
    def options(
        version: bool = typer.Option(  # noqa: ARG001 - its callback has done the work
            False, "--version", help="show the version", callback=show_version, is_eager=True
        ),
        debug: bool = typer.Option(
            False, "--debug", envvar=_DEBUG, help="show the traceback of a fault"
        ),
    ) -> None:
        """Settings come from FLYWHEEL_* variables and flywheel.toml."""
        if owns_process:
            _restrict_files()
        if debug:
            os.environ[_DEBUG] = "1"
        else:
            # Notices of kernels that a CPU has no use for, between the lines of a command.
            logging.getLogger("bitsandbytes").setLevel(logging.ERROR)

    return app


def main() -> None:
    """Run a command; an error says what happened and what to do, without a traceback."""
    # OpenMP's threads spin while they wait, which makes a busy machine many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from flywheel.errors import FlywheelError
    from flywheel.io.garbage import collect_seldom

    collect_seldom()
    try:
        build_app(owns_process=True)()
    except FlywheelError as error:
        _print_error(type(error).__name__, error.message, error.next_step)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # The reader has seen enough (`flywheel ... | head`): nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in _DISK or os.environ.get(_DEBUG):
            _end_with_fault(error)
        _print_error(
            "StorageError",
            str(error),
            "free space or mend the permissions; it is safe to repeat the command",
        )
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the edge of the program
        # The edge of the program: an unexpected error is one line for a person, and a traceback on demand.
        _end_with_fault(error)


def _end_with_fault(error: Exception) -> NoReturn:
    if os.environ.get(_DEBUG):
        raise error
    _print_error(
        "fault",
        f"{type(error).__name__}: {error}",
        "repeat the command as `flywheel --debug ...` and report the traceback",
    )
    sys.exit(_FAULT)


def _restrict_files() -> None:
    from flywheel.errors import ConfigurationError
    from flywheel.settings import load_settings, restrict_files

    os.umask(0o077)
    # Wrong settings are reported by the command that needs them.
    with suppress(ConfigurationError):
        restrict_files(load_settings())


def _print_error(kind: str, message: str, next_step: str | None) -> None:
    from rich.text import Text

    from flywheel.cli.console import Console

    console = Console(stderr=True)
    console.print(Text.assemble((f"{kind}: ", "bold red"), message))
    if next_step:
        console.print(Text.assemble(("next: ", "bold"), next_step))
