"""`python -m pnp` is the command `pnp`."""

import sys

from pnp.cli import main

sys.exit(main())
