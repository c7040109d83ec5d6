"""Locations of the findings of a result in the volumes of the viewer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

INDEX = "volumes.json"  # of a folder of volumes
RESULT_VIEW = "view.json"  # of a result: its masks, and the places of its findings


def placed(place: Mapping[str, Any], volumes: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A place with its volume, slice, pixel and point; None where the study holds no such slice."""
    for volume in volumes:
        if volume["series_uid"] != place["series_uid"]:
            continue
        if "point_mm" in place:
            return {**_public(place), "volume": volume["volume"], **_pixel_of(place["point_mm"], volume)}
        if place["instance_number"] in volume["instance_numbers"]:
            number = volume["instance_numbers"].index(place["instance_number"])
            x, y = place["pixel"]
            point = np.array(volume["matrix"][number]) + y * np.array(volume["row_step_mm"]) + x * np.array(volume["column_step_mm"])
            return {**_public(place), "volume": volume["volume"], "slice": number, "point_mm": [round(float(value), 2) for value in point]}
    return None


def _pixel_of(point_mm: list[float], volume: Mapping[str, Any]) -> dict[str, Any]:
    """The slice nearest to a point, and the pixel in it."""
    row, column = np.array(volume["row_step_mm"]), np.array(volume["column_step_mm"])
    normal = np.cross(row, column) / np.linalg.norm(np.cross(row, column))
    away = np.array(point_mm) - np.array(volume["matrix"])
    number = int(np.abs(away @ normal).argmin())
    x, y = away[number] @ column / (column @ column), away[number] @ row / (row @ row)
    return {"slice": number, "pixel": [round(float(x), 1), round(float(y), 1)]}


def _public(place: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in place.items() if name not in ("series_uid", "instance_number")}
