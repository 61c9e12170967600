"""The only door to other programs: short commands, and long jobs that outlive osqual."""
