"""Chooses what people are asked, keeps the queue, and merges their judgments into corrections.

What is done with a correction, or with the quality it shows, is left to others.
"""
