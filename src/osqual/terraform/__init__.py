"""Terraform and OpenTofu: the program, modules, and one run's working directory."""
