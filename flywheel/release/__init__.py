"""Turns an approved candidate into the champion, and back.

The SQL state is the truth about who answers; MLflow's aliases follow it. What a candidate is worth
was decided by the gate; here its evidence is only checked again.
"""
