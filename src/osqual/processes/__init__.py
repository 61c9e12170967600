"""The only door to other programs: short commands, long jobs that outlive osqual, signals."""
