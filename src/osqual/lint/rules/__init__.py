"""The rules of lint, one module for each topic; `osqual.lint.registry` lists them."""
