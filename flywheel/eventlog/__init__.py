"""Adapters of the event log port; `flywheel.wiring` chooses one."""
