"""The commands of `pnp`, one file each; `pnp/cli.py` parses their arguments."""
