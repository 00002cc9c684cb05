"""Drift detection as pure mathematics on numbers and arrays.

* Sequential detectors (`ADWIN`, `PageHinkley`, ...; by name `build`) read a stream and signal where
  it changed.
* `detectors.distances` compares two histograms.
* `detectors.sketches` summarises columns so that summaries merge.
* `detectors.intervals` says how sure a figure is.

Nothing here reads a clock, a file or a network.

Example:
    >>> detector = build("adwin", delta=0.002)
    >>> detector.update_many([0.0] * 640 + [1.0] * 640)
    array([671])
"""

from detectors.adwin import ADWIN
from detectors.base import DriftDetector
from detectors.ddm import DDM
from detectors.eddm import EDDM
from detectors.hddm_a import HDDMA
from detectors.hddm_w import HDDMW
from detectors.kswin import KSWIN
from detectors.page_hinkley import PageHinkley
from detectors.registry import KINDS, build, restore

__all__ = [
    "ADWIN",
    "DDM",
    "EDDM",
    "HDDMA",
    "HDDMW",
    "KINDS",
    "KSWIN",
    "DriftDetector",
    "PageHinkley",
    "build",
    "restore",
]
