"""The comparisons that come with pnp."""
