"""Solvers of the normal equations: a dense oracle and the band solver, behind one interface."""
