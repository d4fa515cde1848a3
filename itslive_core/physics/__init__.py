"""What follows from velocities: strain rates, acceleration, flux through a gate and pathlines, with errors."""
