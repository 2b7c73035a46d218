"""Checks that a module keeps its interface's contract: one line in a plugin's test.

    from pnp.testing import check_prior, check_solver
    check_prior(MyPrior())
    check_solver(MySolver())

Each raises AssertionError with a sentence that says which law is broken and by how much.
"""
