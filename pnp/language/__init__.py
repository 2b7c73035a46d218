"""The pipeline language: from YAML to a checked `Spec`."""
