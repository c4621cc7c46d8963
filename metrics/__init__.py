"""Metrics for generated video: arrays in, numbers out.

This package knows nothing of sweeps, run folders or gates. Importing it is cheap and has no
effect; the modules that need torch, scipy or OpenCV are imported only by `load` or by name.
"""

from metrics.catalog import CATALOG, Direction, MetricInfo, Scope, describe, load

__all__ = ["CATALOG", "Direction", "MetricInfo", "Scope", "describe", "load"]
