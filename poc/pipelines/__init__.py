"""From a resolved arm to frames, one file per model family; the only place that calls diffusers."""
