"""What a person or the daemon does: each function takes the platform and returns a typed report.

Assets, sensors, commands, demo and loop call these and nothing below them; what a stage does is in
its own package, and a deployment's own life is in `flywheel.deployment`.
"""
