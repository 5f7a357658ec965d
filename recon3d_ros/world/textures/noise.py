"""Tileable noise, the raw material of textures."""

from __future__ import annotations

import numpy as np

SIZE = 256  # edge of every texture, texels
GRID = np.arange(SIZE, dtype=np.float32) / SIZE


def spectral_noise(
    rng: np.random.Generator,
    power: float,
    low: float = 1.0,
    high: float = 128.0,
    squash: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Return tileable noise in [0, 1], amplitude spectrum f**-power between two frequencies (1/tile)."""
    f = np.fft.fftfreq(SIZE) * SIZE
    radius = np.hypot(f[None, :] * squash[0], f[:, None] * squash[1])
    gain = np.where((radius >= low) & (radius <= high), np.maximum(radius, 1e-3) ** -power, 0.0)
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIZE, SIZE))) * gain).real
    noise = noise / (noise.std() + 1e-12)
    return np.clip(0.5 + 0.22 * noise, 0, 1).astype(np.float32)
