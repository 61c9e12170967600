"""`osqual serve`: the pages of a site from a server, with runs as they go on."""
