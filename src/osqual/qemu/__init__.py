"""One QEMU machine, shared by the layered builder and the platform."""
