"""The stages in order: each function takes the platform, does one stage and returns its report.

Assets, the command line and the simulation call these; what a stage does is in its own package.
"""
