"""Checks that a module keeps its interface's contract: one line in a plugin's test.

    from pnp.testing import check_adjoint, check_estimator, check_prior, check_solver
    check_prior(MyPrior())
    check_solver(MySolver())
    check_estimator(MyEstimator())          # check_initializer, check_transform
    check_adjoint(MyOperator(), (2, 3, 16, 12))

Each raises AssertionError with a sentence that says which law is broken and by how much.
"""

from __future__ import annotations

from pnp.testing.module_checks import check_estimator, check_initializer, check_transform
from pnp.testing.operator_checks import check_adjoint
from pnp.testing.prior_checks import check_prior
from pnp.testing.solver_checks import check_solver
from pnp.testing.spatial import observe_spatially

__all__ = [
    "check_adjoint",
    "check_estimator",
    "check_initializer",
    "check_prior",
    "check_solver",
    "check_transform",
    "observe_spatially",
]
