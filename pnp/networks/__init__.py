"""Networks that modules of several kinds share, one file each."""
