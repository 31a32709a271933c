"""`flywheel accept-files`: accept files of the lake whose digests were lost."""

import typer

from flywheel.cli.arguments import ReasonOption
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.identity import NameOption, TokenOption, person_who_acts
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command(name="accept-files")
def accept_files(
    reason: ReasonOption,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Accept files of the lake as they are, where their digests were lost; recorded in the audit.

    Restoring lake/digests.db from a backup is better: it proves that nothing was changed. Files that
    differ from their digests stay a finding. Safe to repeat.
    """
    from flywheel.usecases.acceptance import accept_files as accept

    platform = open_platform(existing=True)
    person = person_who_acts(platform, name, token, "administer")
    accepted = accept(platform, person=person, reason=reason)
    if json_output:
        print_facts({"accepted_files": accepted})
        return
    for table, files in accepted.items():
        _console.print(f"{table}: {files} files accepted as they are", markup=False)
    if not accepted:
        _console.print("no file has lost its digest", markup=False)
