"""Facts of the release desk's pages, and the decisions that people take there.

Every page is a frozen dataclass of plain values: the desk renders it, `flywheel desk` prints it as
JSON. A part that cannot be read is named among the ``problems`` and hides nothing beside it.
"""
