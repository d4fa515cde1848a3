# ruff: noqa: INP001, T201 - a script, not part of a package
"""Make the offline background of the world map: ``land.npz``, whose edges are the coasts.

The shapes are Natural Earth 4.1 (public domain, naturalearthdata.com), from the TopoJSON of the npm package
world-atlas 2.0.2 (ISC licence). To make it again:

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python assets/make_coastline.py package/land-50m.json

It holds float32 Web Mercator metres (EPSG:3857), NaN between pieces, ready to be drawn:

``land.npz``
    ``x``, ``y``: shells of the land, each closed; ``holes_x``, ``holes_y``: inland seas in it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import shapely.affinity

from itslive_core.places.geodesy import mercator

WORLD = shapely.box(-180.0, -85.0, 180.0, 85.0)
TOLERANCE = 2_000.0  # m on the map; the source is a map of 1 : 50 million
SMALLEST = 20e6  # m2 on the map; smaller islands are specks that cost as many points as a bay


def read_land(path: Path) -> list[shapely.Polygon]:
    """Decode the polygons of a TopoJSON topology; rings are continuous, also across the antimeridian."""
    topology = json.loads(path.read_bytes())
    scale, shift = (np.array(topology["transform"][name]) for name in ("scale", "translate"))
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + shift for arc in topology["arcs"]]
    shapes: list[dict[str, Any]] = topology["objects"]["land"]["geometries"]
    return [polygon(*(stitch(arcs, ring) for ring in rings)) for shape in shapes for rings in shape["arcs"]]


def stitch(arcs: list[np.ndarray], numbers: list[int]) -> np.ndarray:
    """Join arcs to a ring; ``~n`` stands for arc n backwards, and neighbours share an end."""
    pieces = [arcs[n] if n >= 0 else arcs[~n][::-1] for n in numbers]
    return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])


def polygon(shell: np.ndarray, *holes: np.ndarray) -> shapely.Polygon:
    """Make a valid polygon of a shell and its holes, which may lie 360 degrees away from it."""
    rings = [continuous(ring) for ring in (shell, *holes)]
    outer = shapely.Polygon(rings[0])
    inner = [
        ring + turned
        for ring in rings[1:]
        for turned in ((-360.0, 0.0), (0.0, 0.0), (360.0, 0.0))
        if outer.contains(shapely.Point(ring[0] + turned))
    ]
    rings = [rings[0], *inner]
    made = shapely.make_valid(shapely.Polygon(rings[0], rings[1:]), method="structure", keep_collapsed=False)
    assert made.geom_type in ("Polygon", "MultiPolygon")
    return made


def continuous(ring: np.ndarray) -> np.ndarray:
    """Remove a ring's jumps at the antimeridian; one that goes round a pole is led along it."""
    lon = np.unwrap(ring[:, 0], period=360.0)
    points = np.column_stack([lon, ring[:, 1]])
    if abs(lon[-1] - lon[0]) < 180.0:
        return points
    pole = np.copysign(90.0, ring[:, 1].mean())
    return np.concatenate([points, [(lon[-1], pole), (lon[0], pole), points[0]]])


def on_the_map(shapes: list[shapely.Polygon]) -> list[shapely.Polygon]:
    """Cut polygons to -180..180 and 85 degrees, and project them."""
    turned = [
        shapely.affinity.translate(shape, xoff=turn) for shape in shapes for turn in (-360.0, 0.0, 360.0)
    ]
    cut = shapely.union_all(shapely.intersection(np.array(turned), WORLD))
    projected = shapely.transform(cut, lambda points: np.column_stack(mercator(points[:, 0], points[:, 1])))
    return [part for part in shapely.get_parts(projected) if part.geom_type == "Polygon"]


def land_rings(parts: list[shapely.Polygon]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return shells and holes of polygons."""
    shells = [shapely.get_coordinates(part.exterior) for part in parts]
    holes = [shapely.get_coordinates(ring) for part in parts for ring in part.interiors]
    return shells, holes


def joined(pieces: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of all pieces, NaN between them."""
    gap = np.full((1, 2), np.nan)
    points = np.concatenate([part for piece in pieces for part in (piece, gap)] or [gap])[:-1]
    x, y = points.T.astype(np.float32)
    return x, y


def main() -> None:
    """Write the file beside this script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("topojson", type=Path, help="land-50m.json of world-atlas 2.0.2")
    fine = on_the_map(read_land(parser.parse_args().topojson))
    parts = [part.simplify(TOLERANCE) for part in fine if part.area >= SMALLEST]
    folder = Path(__file__).parent
    shells, holes = land_rings(parts)
    (land_x, land_y), (holes_x, holes_y) = joined(shells), joined(holes)
    np.savez_compressed(folder / "land.npz", x=land_x, y=land_y, holes_x=holes_x, holes_y=holes_y)
    print(f"land: {land_x.size} points, {len(holes)} holes")


if __name__ == "__main__":
    main()
