"""The package's version, for the checkpoints that it writes too."""

PACKAGE_VERSION = "0.1.0"
