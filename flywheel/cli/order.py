"""`IN_ORDER`: the commands of one turn by hand, in their order, for help texts.

The page docs/how-to/approvals.md has the same commands; a test compares them.
"""

__all__ = ["IN_ORDER", "TURN"]

# Command and what it does. W: the workload, C: the cycle.
TURN = (
    ("flywheel review push W", "choose what people are asked"),
    ("flywheel review answer W --as NAME", "answer it, or in Label Studio's pages"),
    ("flywheel review pull W", "take the judgments in"),
    ("flywheel cycle open W --as NAME --reason TEXT", "do not wait for the trigger"),
    ("flywheel cycle run W", "dataset, training and gate, with progress"),
    ("flywheel gate W C", "read the evidence"),
    ("flywheel approve W C --as ANOTHER --reason TEXT", "someone who did not request it"),
    ("flywheel promote W C", "the candidate answers from now on"),
    ("flywheel rollback W --as NAME --reason TEXT", "if it was a mistake"),
)
IN_ORDER = "\n\n".join(
    [
        "One turn by hand, in order (W: the workload, C: the cycle):",
        *(f"{number}. {command}  ({what})" for number, (command, what) in enumerate(TURN, 1)),
        "`flywheel waiting` lists what waits for a person.",
    ]
)
