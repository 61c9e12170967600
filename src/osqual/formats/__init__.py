"""Reading what others wrote: JSON, YAML, HCL, times, versions, names."""
