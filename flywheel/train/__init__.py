"""Training: one program, spec file in and result file out, and the launchers that start it."""
