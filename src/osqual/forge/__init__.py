"""The forge that hosts the catalogue: comments on changes, statuses of commits."""
