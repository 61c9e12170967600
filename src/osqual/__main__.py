"""`python -m osqual`."""

from osqual.cli.main import main

main()
