"""The pipelines that come with pnp: YAML files, read with `pnp.load(name)`."""
