"""Continuous integration: where a run takes place, and the pipelines that run osqual."""
