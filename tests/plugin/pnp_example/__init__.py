"""A third-party package: a module of each kind, and a pipeline made of them."""
