"""Labtrail: chain of custody for specimens, stock-keeping for supplies."""
