"""Names and attributes that make the synthetic cube look like a real one on disk.

They were read off real ITS_LIVE cubes; the descriptions are our own words.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.synthetic.terrain import EPSG, FAST_NAME

if TYPE_CHECKING:
    import numcodecs
    from numpy.typing import NDArray

    from itslive_core.synthetic.schedule import PairList

__all__ = [
    "SENSORS",
    "attributes_of_cube",
    "attributes_of_mapping",
    "compressor",
    "granule_urls",
    "variable_attributes",
]

SENSORS = {"1": "C", "2": "MSI", "4": "T", "5": "T", "7": "E", "8": "C", "9": "C"}
"""Sensor by the first character of the satellite."""

_URL_LENGTH = 1024
_METRES = "meter/year"
_TIME = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
_IMAGE = {"grid_mapping": "mapping"}
_MISSING = {"missing_value": -32_767}

_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "vx": {"standard_name": "land_ice_surface_x_velocity", "units": _METRES} | _IMAGE | _MISSING,
    "vy": {"standard_name": "land_ice_surface_y_velocity", "units": _METRES} | _IMAGE | _MISSING,
    "v": {"standard_name": "land_ice_surface_velocity", "units": _METRES} | _IMAGE | _MISSING,
    "v_error": {"standard_name": "velocity_error", "units": _METRES} | _IMAGE | _MISSING,
    "interp_mask": {
        "standard_name": "interpolated_value_mask",
        "flag_values": [0, 1],
        "flag_meanings": "measured interpolated",
        "missing_value": 0,
    }
    | _IMAGE,
    "chip_size_height": {"standard_name": "chip_size_height", "units": "m", "missing_value": 0} | _IMAGE,
    "landice": {
        "standard_name": "land ice mask",
        "flag_values": [0, 1],
        "flag_meanings": "non-ice ice",
        "missing_value": 255,
    }
    | _IMAGE,
    "floatingice": {
        "standard_name": "floating ice mask",
        "flag_values": [0, 1],
        "flag_meanings": "non-ice ice",
        "missing_value": 255,
    }
    | _IMAGE,
    "acquisition_date_img1": {"standard_name": "image1_acquition_date"} | _TIME,
    "acquisition_date_img2": {"standard_name": "image2_acquition_date"} | _TIME,
    "date_center": {"standard_name": "image_pair_center_date"} | _TIME,
    "mid_date": {"standard_name": "image_pair_center_date_with_time_separation"} | _TIME,
    "date_dt": {"standard_name": "image_pair_time_separation", "units": "days"},
    "mission_img1": {"standard_name": "image1_mission"},
    "mission_img2": {"standard_name": "image2_mission"},
    "satellite_img1": {"standard_name": "image1_satellite"},
    "satellite_img2": {"standard_name": "image2_satellite"},
    "sensor_img1": {"standard_name": "image1_sensor"},
    "sensor_img2": {"standard_name": "image2_sensor"},
    "autoRIFT_software_version": {"standard_name": "autoRIFT_software_version"},
    "granule_url": {"standard_name": "granule_url", "description": "the synthetic granules do not exist"},
    "roi_valid_percentage": {"standard_name": "region_of_interest_valid_pixel_percentage"},
    "stable_shift_flag": {
        "standard_name": "stable_shift_flag",
        "description": "0 = no shift, 1 = from stable ground, 2 = from the slowest quarter",
    },
    "x": {
        "standard_name": "projection_x_coordinate",
        "description": "x coordinate of projection",
        "units": "m",
    },
    "y": {
        "standard_name": "projection_y_coordinate",
        "description": "y coordinate of projection",
        "units": "m",
    },
}


def variable_attributes(name: str) -> dict[str, Any]:
    """Attributes of a variable, without its dimensions."""
    return _ATTRIBUTES.get(name, {"standard_name": name, "units": _METRES})


def compressor(kind: str) -> numcodecs.Blosc:
    """Compressor that production uses for ``zlib`` or ``lz4`` variables."""
    import numcodecs

    return numcodecs.Blosc(cname=kind, clevel={"zlib": 2, "lz4": 5}[kind], shuffle=numcodecs.Blosc.SHUFFLE)


def attributes_of_cube(cx: int, cy: int) -> dict[str, Any]:
    """Global attributes of the cube whose 100 km box has its centre at `cx`, `cy` [m]."""
    from pyproj import Transformer

    side = np.linspace(-50_000.0, 50_000.0, 5)
    dx = np.concatenate((side, np.full(3, side[-1]), side[::-1], np.full(3, side[0]), side[:1]))
    dy = np.concatenate((np.full(5, side[0]), side[1:-1], np.full(5, side[-1]), side[-2:0:-1], side[:1]))
    lon, lat = Transformer.from_crs(EPSG, 4326, always_xy=True).transform(cx + dx, cy + dy)
    middle = Transformer.from_crs(EPSG, 4326, always_xy=True).transform(cx, cy)
    # Folders of ten degrees bear the corner towards 0, 0; all of the demo is north and west of it.
    folder = f"N{int(middle[1] / 10) * 10:02d}W{int(-middle[0] / 10) * 10:03d}"
    stem = f"datacubes/v2/{folder}/ITS_LIVE_vel_EPSG{EPSG}_G0120_X{cx}_Y{cy}"
    return {
        "Conventions": "CF-1.8",
        "GDAL_AREA_OR_POINT": "Area",
        "author": "ITS_LIVE, a NASA MEaSUREs project (its-live.jpl.nasa.gov)",
        "autoRIFT_parameter_file": "http://its-live-data.s3.amazonaws.com/autorift_parameters/v001/"
        "autorift_landice_0120m.shp",
        "comment": f"SYNTHETIC: {FAST_NAME} and its neighbour do not exist; nothing here was measured",
        "datacube_software_version": "1.0",
        "date_created": "25-Sep-2023 22:00:23",
        "date_updated": "13-Nov-2024 00:08:07",
        "geo_polygon": json.dumps(np.column_stack((lon, lat)).tolist()),
        "institution": "none: made by a program",
        "latitude": round(middle[1], 2),
        "longitude": round(middle[0], 2),
        "proj_polygon": json.dumps(np.column_stack((cx + dx, cy + dy)).tolist()),
        "projection": str(EPSG),
        # Real cubes of October 2024 still name the folder of the version before.
        "s3": f"s3://its-live-data/{stem}.zarr",
        "skipped_granules": f"s3://its-live-data/{stem}.json",
        "time_standard_img1": "UTC",
        "time_standard_img2": "UTC",
        "title": "ITS_LIVE datacube of image pair velocities (synthetic demo)",
        "url": f"https://its-live-data.s3.amazonaws.com/{stem}.zarr",
    }


def attributes_of_mapping(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, Any]:
    """Attributes of the grid mapping for pixel centres `x` and `y` [m], as production writes them."""
    from pyproj import CRS

    crs = CRS.from_epsg(EPSG)
    left, top = float(x[0]) - 60.0, float(y[0]) + 60.0
    return {
        "GeoTransform": f"{left} 120.0 0 {top} 0 -120.0",
        "crs_wkt": crs.to_wkt("WKT1_GDAL"),
        "false_easting": 0.0,
        "false_northing": 0.0,
        "grid_mapping_name": "polar_stereographic",
        "inverse_flattening": 298.257223563,
        "latitude_of_origin": 70.0,
        "latitude_of_projection_origin": 90.0,
        "proj4text": "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45 +x_0=0 +y_0=0 +datum=WGS84 +units=m",
        "scale_factor_at_projection_origin": 1.0,
        "semi_major_axis": 6_378_137.0,
        "spatial_epsg": EPSG,
        "standard_parallel": 70.0,
        "straight_vertical_longitude_from_pole": -45.0,
    }


def granule_urls(pairs: PairList, percent: NDArray[np.float64]) -> NDArray[np.str_]:
    """Addresses in the form of real granules, on a host that cannot exist.

    Parameters
    ----------
    pairs : PairList
        n pairs.
    percent : ndarray, shape (n,)
        Share of valid pixels [%].

    Returns
    -------
    ndarray of str, shape (n,)
    """
    stamps = [_stamps(pairs.start), _stamps(pairs.end)]
    tiles = np.where(pairs.second_tile, "T22WEC", "T22WDC")
    out = []
    for first, second, start, end, tile, share in zip(
        pairs.satellite_1, pairs.satellite_2, stamps[0], stamps[1], tiles, percent
    ):
        folder, one = _scene(first, start, tile)
        two = _scene(second, end, tile)[1]
        name = f"{one}_X_{two}_G0120V02_P{round(share):03d}.nc"
        out.append(f"https://synthetic.invalid/velocity_image_pair/{folder}/v02/N60W050/{name}")
    return np.array(out, dtype=f"<U{_URL_LENGTH}")


def _stamps(day: NDArray[np.float64]) -> list[str]:
    seconds = np.rint(86_400.0 * day).astype("datetime64[s]")
    return [t.replace("-", "").replace(":", "") for t in seconds.astype(str)]


def _scene(satellite: str, stamp: str, tile: str) -> tuple[str, str]:
    day = stamp[:8]
    if satellite.startswith("1"):
        return "sentinel1", f"S{satellite}_IW_SLC__1SSH_{stamp}_{stamp}"
    if satellite.startswith("2"):
        return "sentinel2", f"S{satellite}_MSIL1C_{stamp}_N0500_R068_{tile}_{stamp}"
    sensor = {"4": "LT", "5": "LT", "7": "LE"}.get(satellite, "LC")
    folder = "landsat7" if satellite == "7" else "landsatOLI" if satellite in "89" else "landsat5"
    return folder, f"{sensor}0{satellite}_L1TP_009011_{day}_{day}_02_T1"
