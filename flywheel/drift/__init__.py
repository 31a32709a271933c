"""Has what comes in changed, by how much, because of what, and did quality move with it?

Profiles are mergeable histograms per day; a verdict is read from their sums. Opening a cycle is
left to ``trigger``.
"""
