"""Metrics from merged cells: one module per kind, each a pure function.

Every function leaves out what cannot be computed. Sums may have had rows taken back out of them
(corrected truth), so what should be nothing can be a rounding away from nothing.
"""
