"""Figures that several stages read: the control slice, calibration, the start of traffic."""
