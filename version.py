"""The package's version, which checkpoints record."""

PACKAGE_VERSION = "0.1.0"
