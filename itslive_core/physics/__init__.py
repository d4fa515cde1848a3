"""What follows from velocities, with errors: strain rates, acceleration, flux through a gate, pathlines."""
