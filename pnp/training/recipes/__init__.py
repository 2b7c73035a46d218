"""The recipes that come with pnp: YAML files, run with `pnp train NAME`."""
