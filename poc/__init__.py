"""The harness: from a spec to a decision."""
