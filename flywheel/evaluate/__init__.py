"""Measures what every arm answers, compares them in pairs and decides the gate.

The decision is pure; what a person or the release step makes of it is left to them.
"""
