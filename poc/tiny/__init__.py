"""The embedded default: a small procedural video world, its recipe and its trained weights."""
