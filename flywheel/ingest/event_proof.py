"""`EventProof`: what a proof of the ledger rests on, kept beside the lake for the next one."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from flywheel.lake.derived_file import DerivedFile
from flywheel.lake.store import Lake

__all__ = [
    "EVENT_PROOF_FILE",
    "Account",
    "EventProof",
    "Letters",
    "Source",
    "read_proof",
    "write_proof",
]

EVENT_PROOF_FILE = "proven_events.json"
_MADE_BY = 1

Source = str  # topic/partition
Account = Mapping[Source, tuple[int, str]]
Letters = tuple[int, str, int, int]


@dataclass(frozen=True)
class EventProof:
    """What a ledger that balanced rests on.

    Attributes:
        delta_id: Delta's id of the table of events.
        version: of that table.
        made_by: version of this form.
        files: by file and source, rows and the sum of their hashes.
        positions: next to read, by source.
        distinct_ids: of all rows.
        dead: of what lies below its position, by source: letters and the sum of their hashes, how
            many of them did not land, and at how many positions.
    """

    delta_id: str = ""
    version: int = 0
    made_by: int = _MADE_BY
    files: Mapping[str, Account] = field(default_factory=dict)
    positions: Mapping[Source, int] = field(default_factory=dict)
    distinct_ids: int = 0
    dead: Mapping[Source, Letters] = field(default_factory=dict)


def read_proof(lake: Lake, basis: EventProof) -> EventProof:
    """Return the proof that is kept, or ``basis`` where none is that fits the present events."""

    def parse(content: bytes) -> EventProof | None:
        proof = EventProof(**json.loads(content))
        same = (proof.delta_id, proof.made_by) == (basis.delta_id, basis.made_by)
        # A proof of a later version saw rows that are gone since a backup was restored.
        return proof if same and proof.version <= basis.version else None

    return _file(lake).read(parse) or basis


def write_proof(lake: Lake, proof: EventProof) -> None:
    """Keep a proof; a process that may not write keeps nothing, and the next one counts all rows."""
    content = json.dumps(asdict(proof)).encode()
    _file(lake).write(lambda file: file.write(content))


def _file(lake: Lake) -> DerivedFile:
    return DerivedFile(lake.location.local / EVENT_PROOF_FILE)
