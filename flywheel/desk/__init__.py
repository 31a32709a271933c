"""The release desk: pages on which people read the evidence on a candidate, and decide.

`app.build_app` makes the application. Pages show the facts of ``usecases.desk`` and look into no
store themselves; everything on them is also printed by `flywheel desk home | cycle | cases |
release` and `flywheel audit list`, as JSON.
"""
