"""The forge that hosts the catalogue: comments, statuses; and others who are told over HTTP."""
