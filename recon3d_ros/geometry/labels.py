"""Classes of points: what a robot on the ground has to know of a surface."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class PointLabel(IntEnum):
    """Values of the cloud's field ``label`` and of `Sample.labels`.

    A slab that lies lower than the ground around it, such as the bottom of a pit, is an obstacle.
    """

    UNKNOWN = 0
    GROUND = 1  # floor, road, pavement, ramp, lawn
    STRUCTURE = 2  # walls, pillars, houses, and what hangs on them
    OBSTACLE = 3  # what stands on the ground, and the sides of steps and kerbs
    VEGETATION = 4
    OVERHEAD = 5  # ceilings and wires: what a robot passes below
    MOVING = 6  # kinds that move by themselves: people, vehicles


#: What stops a robot.
OBSTACLE_LABELS = (PointLabel.STRUCTURE, PointLabel.OBSTACLE, PointLabel.VEGETATION, PointLabel.MOVING)

LABEL_NAMES = tuple(label.name.lower() for label in PointLabel)

#: (7, 3) uint8 RGB, by label.
LABEL_COLOURS: NDArray[np.uint8] = np.array(
    [
        (90, 90, 90),
        (70, 160, 70),
        (150, 150, 190),
        (220, 60, 40),
        (30, 110, 30),
        (90, 170, 230),
        (240, 180, 30),
    ],
    np.uint8,
)
