"""The commands of `pnp`; `pnp/cli.py` parses their arguments."""
