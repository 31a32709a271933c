"""Anytime-valid comparison of a candidate with the champion on the same traffic.

`MetricEvidence` (evidence.py) holds what was counted so far and takes in the counts of one more
minute; `judge` (verdict.py) turns the evidence of all guard metrics into one verdict. Both may be
called as often as one likes: the error rates hold over all looks together.
"""
