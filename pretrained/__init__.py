"""Trained models that come with the package: heads, whose backbones are fetched."""
