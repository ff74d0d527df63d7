"""Compute the weights of classes in the loss."""

from collections.abc import Sequence

import numpy as np

from ..errors import EmoNetError

CLASS_WEIGHTINGS = ("none", "inverse", "sqrt_inverse", "effective")


def class_weights(labels: Sequence[int] | np.ndarray, num_labels: int, scheme: str) -> list[float] | None:
    """Compute class weights with mean 1 from training labels; None for `none`.

    With n_c the number of labels of class c, `inverse` is 1/n_c, `sqrt_inverse` 1/√n_c,
    and `effective` (1 - β)/(1 - β^n_c) with β = 0.999 (Cui et al. 2019, eq. 2). A class
    without a training label gets the largest weight of the others.

    Args:
        labels: Label ids (N,). Negative ids are ignored.
        num_labels: The number of classes.
        scheme: One of `CLASS_WEIGHTINGS`.

    Raises:
        EmoNetError: for an unknown scheme, or if no turn has a label.
    """
    if scheme not in CLASS_WEIGHTINGS:
        raise EmoNetError(f"Class weighting {scheme!r} is not one of {', '.join(CLASS_WEIGHTINGS)}.")
    if scheme == "none":
        return None
    labels = np.asarray(labels)
    counts = np.bincount(labels[labels >= 0], minlength=num_labels).astype(float)
    if not counts.any():
        raise EmoNetError(
            "Class weights need labelled training turns, and there are none. Use scheme 'none'."
        )
    present = counts > 0
    raw = np.zeros(num_labels)
    if scheme == "effective":
        raw[present] = (1 - 0.999) / (1 - 0.999 ** counts[present])
    else:
        raw[present] = counts[present] ** (-1.0 if scheme == "inverse" else -0.5)
    raw[~present] = raw.max()
    return [round(float(value), 6) for value in raw / raw.mean()]
