"""Turns accepted corrections into immutable snapshots: train, preference and evaluation rows.

Who trains or evaluates on them is left to others; they read through ``flywheel.artifacts.snapshot``.
"""
