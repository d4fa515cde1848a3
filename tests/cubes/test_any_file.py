"""A table of files as people have them: each gives the right value, or one sentence that says what to do.

All go through the command line, which would call a surprise "unexpected".
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pyproj import CRS

from itslive_core.cli import run
from tests.cubes.any_files import (
    HOLE,
    NX,
    NY,
    START,
    VX,
    N,
    X,
    Y,
    attributes,
    characters,
    cube,
    dates,
    document,
    folder,
    granule,
    in_units,
    metadata,
    moved,
    netcdf,
    of_two,
    own,
    own_zarr,
    pixel,
    projected,
    replaced,
    rise,
    spoilt,
    text,
    texts,
    with_array,
    without_dates,
    zipped,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def cut_netcdf(path: Path) -> Path:
    file = netcdf()(path)
    file.write_bytes(file.read_bytes()[:-200])
    return file


@dataclass
class Read:
    """What a readable file gives at the pixel of the third row and second column.

    `vx`: by default that of all layers; `day`: the first start; `error`: of vx; `says`: what `info` tells.
    """

    make: Callable[[Path], Any]
    vx: Any = None
    day: float = 18_000.0
    error: float | None = None
    says: str = ""


@dataclass
class Refused:
    make: Callable[[Path], Any]
    says: str


LAEA = "+proj=laea +lat_0=29.9 +lon_0=95.9 +x_0=700000 +y_0=3400000 +datum=WGS84 +units=m"
LOCAL = "+proj=tmerc +lat_0=30.7 +lon_0=95.2 +k=0.9996 +x_0=700000 +y_0=3400000 +datum=WGS84 +units=m"
UNREAL = "dated before their satellites flew, after the end of the mission or after today"
BACK = np.arange(N) != 2
PAST_2079 = 40_000.0

CASES: dict[str, Read | Refused] = {
    "as it should be": Read(cube),
    # Packing
    "packed velocity": Read(
        lambda p: cube(
            p,
            vx=((VX - 5.0) * 10.0).astype(np.int16),
            vy=((-VX - 5.0) * 10.0).astype(np.int16),
            velocity_attributes={"scale_factor": 0.1, "add_offset": 5.0, "_FillValue": HOLE},
        )
    ),
    "packed errors": Read(with_array("vx_error", np.full(N, 300, np.int16), scale_factor=0.01), error=3.0),
    "packed errors of another unit": Read(
        with_array("vx_error", np.full(N, 300, np.int16), scale_factor=0.01, units="cm/yr"), error=0.03
    ),
    "errors in the unit of velocities that say theirs": Read(
        lambda p: cube(
            p, replaced("vx_error", np.full(N, 0.01)), vx=VX / 365.25, velocity_attributes={"units": "m/day"}
        ),
        error=3.6525,
    ),
    "packed dates": Read(
        dates(
            (START * 10).astype(np.int32),
            ((START + 16) * 10).astype(np.int32),
            scale_factor=0.1,
            units="days since 1970-01-01",
        )
    ),
    "packed axes": Read(
        of_two(
            replaced("x", np.arange(NX, dtype=np.int16), ("x",), scale_factor=120.0, add_offset=X[0]),
            replaced("y", np.arange(NY, dtype=np.int16), ("y",), scale_factor=-120.0, add_offset=Y[0]),
        )
    ),
    "unsigned bits": Read(
        lambda p: cube(
            p,
            vx=(VX + 40_000).astype(np.uint16).view(np.int16),
            vy=(-VX + 40_000).astype(np.uint16).view(np.int16),
            velocity_attributes={"_Unsigned": "true", "add_offset": -40_000.0, "_FillValue": -1},
        )
    ),
    "a scale in a list": Read(
        lambda p: cube(
            p,
            vx=(VX * 2).astype(np.int16),
            velocity_attributes={"scale_factor": [0.5], "missing_value": HOLE},
        )
    ),
    "a scale that is a word": Refused(
        attributes("vx", scale_factor="large"), "scale_factor 'large' of vx is no"
    ),
    "a scale of zero": Refused(attributes("vx", scale_factor=0.0), "of vx make no numbers"),
    "floats of two bytes": Read(lambda p: cube(p, vx=VX.astype(np.float16), velocity_attributes={})),
    "numbers of eight bytes": Read(lambda p: cube(p, vx=VX.astype(np.int64))),
    "a scale that is a number in words": Read(
        lambda p: cube(
            p,
            vx=(VX * 2).astype(np.int16),
            velocity_attributes={"scale_factor": "0.5", "missing_value": HOLE},
        )
    ),
    "a valid range the wrong way round": Read(
        attributes("vx", valid_range=[100, 0]), vx=[v for v in VX[:, 2, 1] if v <= 100]
    ),
    "complex velocities": Refused(
        lambda p: cube(p, vx=VX.astype(np.complex64), velocity_attributes={}), "vx and vy are not numbers"
    ),
    "infinite errors": Read(with_array("vx_error", np.full(N, np.inf)), error=[np.nan] * N),
    "errors of another unit": Read(with_array("vx_error", np.full(N, 300.0), units="cm/yr"), error=[3.0] * N),
    "saturated numbers": Read(
        lambda p: cube(p, vx=np.where(np.arange(N)[:, None, None] == 2, 32_767, VX).astype(np.int16)),
        vx=VX[BACK, 2, 1],
    ),
    "saturated numbers, read and written again": Read(
        lambda p: cube(p, vx=np.where(np.arange(N)[:, None, None] == 2, 32_767.0, VX).astype(np.float32)),
        vx=VX[BACK, 2, 1],
    ),
    "a valid range": Read(attributes("vx", valid_range=[0, 100]), vx=[v for v in VX[:, 2, 1] if v <= 100]),
    "fills of 1e20": Read(
        lambda p: cube(
            p,
            vx=np.where(np.arange(N)[:, None, None] == 2, 1e20, VX).astype(np.float32),
            velocity_attributes={},
        ),
        vx=VX[BACK, 2, 1],
    ),
    "velocities of 1e308": Read(
        lambda p: cube(p, vx=np.where(np.arange(N)[:, None, None] == 2, 1e308, VX)), vx=VX[BACK, 2, 1]
    ),
    # Units
    **{
        f"velocity in {units}": Read(in_units(units, factor))
        for units, factor in {
            "m/yr": 1.0,
            "metre/year": 1.0,
            "m a-1": 1.0,
            "M/YR": 1.0,
            "m yr^-1": 1.0,
            "meters per year": 1.0,
            "m/day": 365.25,
            "m d-1": 365.25,
            "m*day**-1": 365.25,
            "m day⁻¹": 365.25,
            "m.d-1": 365.25,
            "cm/day": 3.6525,
            "km/yr": 1000.0,
            "mm/s": 31_557.6,
            "m s-1": 31_557_600.0,
            "ft/day": 111.3282,
            "m a^{-1}": 1.0,
            "\u200bm/yr": 1.0,
            "knots": 16_234_632.0,
            "metre per annum": 1.0,
            "m/month": 12.0,
        }.items()
    },
    **{
        f"velocity in {units}": Refused(in_units(units, 1.0), "of vx are not understood as a velocity")
        for units in ("m", "pixel/day", "furlong/fortnight", "1", "m/s2", "degrees")
    },
    "velocity without a unit": Read(in_units("", 1.0)),
    "velocity with a unit in a list": Read(attributes("vx", units=["m/yr"])),
    "axes in kilometres": Read(
        of_two(replaced("x", X / 1000, ("x",), units="km"), replaced("y", Y / 1000, ("y",), units="km"))
    ),
    "axes of single precision": Read(
        of_two(replaced("x", X.astype(np.float32), ("x",)), replaced("y", Y.astype(np.float32), ("y",)))
    ),
    "axes in degrees": Refused(
        with_array("x", X / 1e5, ("x",), units="degrees_east"), "x axis .* is in degrees"
    ),
    "axes in seconds": Refused(
        with_array("x", X, ("x",), units="s"), "units 's' of x are not understood as a l"
    ),
    "axes that are longitudes": Refused(
        with_array("y", Y / 1e5, ("y",), standard_name="latitude"), "y axis .* is in degrees"
    ),
    "axes in silent kilometres": Refused(with_array("x", X / 1000, ("x",)), "x axis .* has pixels of 0.12 m"),
    "axes of 1e308": Refused(
        with_array("x", np.array([-1e308, 0.0, 1e308]), ("x",)), "x axis of the datacube"
    ),
    "axes far away": Refused(with_array("x", X + 1e12, ("x",)), "x axis .* is on no map"),
    "an axis that is too long": Refused(
        with_array("x", np.append(X, X[-1] + 120.0), ("x",)), "x axis .* has 4 values for 3 pixels"
    ),
    "axes in feet": Read(of_two(replaced("x", X / 0.3048, ("x",), units="ft"))),
    "an axis that stands still": Refused(
        with_array("x", np.full(NX, X[0]), ("x",)), "x axis .* is not regular"
    ),
    "an axis of text": Refused(
        with_array("x", np.array(["a", "b", "c"]), ("x",)), "variable x holds no numbers"
    ),
    # Dates
    "an image of 2079": Read(moved(second={2: PAST_2079}), vx=VX[BACK, 2, 1], says=UNREAL),
    "a span of 19,692 days": Read(
        moved(first={2: 0.0}, second={2: 19_692.0}), vx=VX[BACK, 2, 1], says="of more than ten years"
    ),
    "an image before its satellite flew": Read(
        of_two(
            replaced("satellite_img1", np.array(["8", "8", "2A", "8", "8", "8"])),
            replaced("satellite_img2", np.array(["8"] * N)),
            replaced("acquisition_date_img1", np.where(BACK, START, 16_300.0)),
        ),
        vx=VX[BACK, 2, 1],
        says=UNREAL,
    ),
    "a Landsat 5 image of 2019": Read(
        with_array("satellite_img1", np.array(["8", "8", "5", "8", "8", "8"])), vx=VX[BACK, 2, 1], says=UNREAL
    ),
    "a NISAR image before it flew": Read(
        of_two(
            replaced("satellite_img1", np.array(["8", "8", "A", "8", "8", "8"])),
            replaced("satellite_img2", np.array(["8", "8", "A", "8", "8", "8"])),
        ),
        vx=VX[BACK, 2, 1],
        says=UNREAL,
    ),
    "only images of 2079": Refused(dates(START + PAST_2079, START + PAST_2079 + 9), "holds no possible date"),
    "dates not written yet": Read(
        dates(np.where(BACK, START, START), np.where(np.arange(N) < 4, START + 16, np.nan)), vx=VX[:4, 2, 1]
    ),
    "layers not written yet": Read(
        dates(*(np.where(np.arange(N) < 4, START + d, np.nan) for d in (0.0, 16.0))),
        vx=VX[:4, 2, 1],
        says="2 layers not yet written",
    ),
    "dates in ISO text": Read(texts("%Y-%m-%dT%H:%M:%S")),
    "dates in short text": Read(texts("%Y%m%d")),
    "dates as granules have them": Read(texts("%Y%m%dT%H:%M:%S.%f")),
    "dates as numbers of eight digits": Read(
        dates(
            *(
                np.array([int(str(d).replace("-", "")) for d in (START + ahead).astype("M8[D]")])
                for ahead in (0, 16)
            )
        )
    ),
    "dates in milliseconds": Read(
        dates(
            *((START * 86_400e3 + d).astype(np.int64) for d in (0, 16 * 86_400e3)),
            units="milliseconds since 1970-01-01",
        )
    ),
    "dates of the Julian day": Read(
        dates(START + 2_440_587.5, START + 2_440_603.5, units="days since -4713-11-24 12:00:00")
    ),
    "dates in seconds that say so nowhere": Refused(
        dates(START * 86_400, (START + 16) * 86_400), "holds no possible date: .*check the units"
    ),
    "dates for fewer pairs": Refused(dates(START[:-1], START[:-1] + 16), "one value for each of the 6 pairs"),
    "dates in words": Refused(
        dates(["spring"] * N, ["autumn"] * N), "holds '(spring|autumn)', which is no date"
    ),
    "dates in weeks": Read(dates(START / 7, (START + 16) / 7, units="weeks since 1970-01-01")),
    "dates of another zone": Read(
        dates(START + 0.25, START + 16.25, units="days since 1970-01-01 00:00 +06:00")
    ),
    "dates in months": Refused(
        dates(START, START + 9, units="months since 1970-01-01"), "units 'months since"
    ),
    "dates of no calendar": Refused(
        dates(START, START + 9, units="days since 1970-01-01", calendar="360_day"), "calendar '360_day'"
    ),
    "a middle and a span": Read(
        of_two(without_dates, replaced("mid_date", START + 8), replaced("date_dt", np.full(N, 16.0)))
    ),
    "a middle and a span in hours": Read(
        of_two(
            without_dates,
            replaced("mid_date", START + 8),
            replaced("date_dt", np.full(N, 384.0), units="hours"),
        )
    ),
    "other names of dates": Read(
        of_two(without_dates, replaced("date1", START), replaced("date2", START + 16))
    ),
    "no dates": Refused(lambda p: cube(p, without_dates), "does not say when its images were taken"),
    "no pairs": Refused(
        lambda p: cube(p, vx=np.zeros((0, NY, NX), np.int16), start=np.zeros(0), chunks=(1, 2, 3)),
        "no image pair has a value",
    ),
    # Place
    "an attribute that contradicts the grid mapping": Read(projected("EPSG:32646", projection="32647")),
    "a grid mapping without WKT": Read(projected(None, projection="32646", spatial_epsg=32646)),
    "a grid mapping of CF alone": Read(projected(None, **CRS.from_epsg(32646).to_cf() | {"crs_wkt": None})),
    "an unusable grid mapping": Read(projected(None, projection="32646", crs_wkt="nowhere")),
    **{
        f"the projection {words!r}": Read(projected(None, projection=words))
        for words in ("EPSG:32646", "32646.0", "urn:ogc:def:crs:EPSG::32646", "WGS 84 / UTM zone 46N")
    },
    "a projection with heights": Read(projected("EPSG:32646+5773")),
    "an unknown projection": Refused(
        lambda p: cube(p, lambda g: g.attrs.update(projection="utm46n")), "does not say its map projection"
    ),
    "an equal-area projection": Read(projected(LAEA)),
    "a local Mercator": Read(projected(LOCAL)),
    "a grid in degrees": Refused(projected("EPSG:4326"), "on a grid of longitude and latitude: reproject"),
    "a grid in feet": Refused(projected("EPSG:2263"), "no map projection in metres: reproject"),
    "no projection": Refused(lambda p: cube(p, lambda g: g.attrs.clear()), "does not say its map projection"),
    # Layout
    **{
        f"dimensions ({', '.join(dims)}), format {zarr_format}": Read(own_zarr(zarr_format, dims=dims))
        for dims in (("x", "y", "mid_date"), ("y", "x", "mid_date"), ("mid_date", "x", "y"))
        for zarr_format in (2, 3)
    },
    "dimensions nobody knows": Refused(
        lambda p: cube(
            p, lambda g: [g[v].attrs.update(_ARRAY_DIMENSIONS=["a", "b", "c"]) for v in ("vx", "vy")]
        ),
        "of which x is not known: expected",
    ),
    "dimensions that are no list": Read(attributes("vx", _ARRAY_DIMENSIONS="t y x")),
    "a flat velocity": Refused(
        lambda p: cube(p, lambda g: [replaced(v, VX[0], ("y", "x"))(g) for v in ("vx", "vy")]),
        "is one image pair",
    ),
    # Other formats
    "own data in NetCDF": Read(netcdf()),
    "own data in NetCDF 3": Read(netcdf(format="NETCDF3_64BIT")),
    "own data in NetCDF, turned": Read(netcdf(dims=("x", "y", "mid_date"))),
    "own data in Zarr 3": Read(own_zarr(3)),
    "NetCDF with characters and holes": Read(characters, vx=VX[1:, 2, 1], day=18_010.0),
    "a granule": Refused(
        granule, r"is one image pair \(a granule\).*`itslive cubes --lon 95.9700 --lat 29.9200`"
    ),
    "a broken NetCDF": Refused(text("cut.nc", b"\x89HDF\r\n\x1a\n" + b"0" * 99), "cannot be read as NetCDF"),
    "a zipped cube": Read(zipped("")),
    "a zipped folder": Read(zipped("cube.zarr/")),
    "a zipped folder in a folder": Read(zipped("some/where/cube.zarr/")),
    "a cube zipped on Windows": Read(zipped("cube.zarr\\")),
    "a zip that begins at the root": Read(zipped("/cube.zarr/")),
    "an empty archive": Refused(text("none.zip", b"PK\x05\x06" + b"\0" * 18), "archive with no Zarr store"),
    "an archive of another kind": Refused(
        text("cube.tar.gz", b"\x1f\x8b" + b"0" * 99), "unpack it, or use zip"
    ),
    "NetCDF with the data in a group": Read(
        lambda p: own().to_netcdf(p.with_suffix(".nc"), group="data") or p.with_suffix(".nc")
    ),
    "NetCDF with compressed layers": Read(
        netcdf(encoding={"zlib": True, "chunksizes": (1, NY, NX)}),
    ),
    "NetCDF without variables": Refused(
        lambda p: xr.Dataset().to_netcdf(p.with_suffix(".nc")) or p.with_suffix(".nc"), "without variables"
    ),
    "a cut NetCDF": Refused(cut_netcdf, "cannot be read as NetCDF"),
    "two zipped cubes": Refused(zipped("a/", "b/"), "is an archive with several Zarr stores"),
    "an archive without a cube": Refused(
        lambda p: zipfile.ZipFile(p.with_suffix(".zip"), "w").writestr("a.txt", "a") or p.with_suffix(".zip"),
        "is an archive with no Zarr store",
    ),
    "a broken archive": Refused(text("cut.zip", b"PK\x03\x04" + b"0" * 99), "cannot be unpacked"),
    "references in JSON": Refused(text("refs.json", '{"version": 1, "refs": {}}'), r"kerchunk\).*to_zarr"),
    "references in Parquet": Refused(
        document(".zmetadata", '{"metadata": {}, "record_size": 10}'), r"kerchunk\).*to_zarr"
    ),
    "an icechunk repository": Refused(
        folder("refs", "snapshots", "manifests"), "icechunk repository.*(pip install|doesn't exist)"
    ),
    "a folder of cubes": Refused(folder("a.zarr", "b.zarr"), r"a folder of datacubes: name one .* a\.zarr"),
    "a folder in a folder": Refused(lambda p: cube(p / "inside").parent, "name one of them, such as inside"),
    "an empty folder": Refused(folder(), "it has no Zarr metadata"),
    "a GeoTIFF": Refused(text("v.tif", b"II*\x00" + b"0" * 99), "is a GeoTIFF"),
    "a letter": Refused(text("letter.txt", "Dear glacier,"), "is a file, not a Zarr datacube"),
    "an empty file": Refused(text("empty", b""), "is a file, not a Zarr datacube"),
    # Damage and malice
    "deep attributes": Refused(
        document("vx/.zattrs", rise(100_000)), "vx of the datacube is stored in a way|not a read"
    ),
    "deep metadata": Refused(
        document(".zmetadata", '{"metadata": ' + rise(100_000) + "}"), "not a readable Zarr"
    ),
    "attributes that are a list": Refused(
        document("vx/.zattrs", "[1]"), "vx of the datacube is stored in a way"
    ),
    "metadata that are nothing": Refused(document(".zmetadata", "null"), "its metadata are damaged"),
    "metadata that are a list": Refused(document(".zmetadata", "[]"), "its metadata are damaged"),
    "an array that is a number": Refused(
        document(".zmetadata", '{"metadata": {"vx/.zarray": 5}}'), "vx .* not read .its metadata are damaged"
    ),
    **{
        f"a leftover of format 3: {left[:24]}": Read(document("zarr.json", left))
        for left in ("{}", "[]", "5", '{"zarr_format": 3, "node_type": "group"}')
    },
    "a single array": Refused(lambda p: cube(p) / "vx", "it has no Zarr metadata|is a single Zarr array"),
    **{
        f"{how} chunk of {name}": Refused(spoilt(name, content), "is damaged|unpacks to more")
        for name in ("vx", "x", "acquisition_date_img1")
        for how, content in (("an empty", b""), ("a zeroed", b"\0" * 16), ("a wild", b"\xff" * 64))
    },
    "arrays of no size": Refused(metadata("vx/.zarray", shape=[N, 0, NX]), "vx"),
    "arrays without end": Refused(
        metadata("vx/.zarray", shape=[10**18, NY, NX]), "not cubes of the same shape"
    ),
    "arrays of less than nothing": Refused(metadata("vx/.zarray", shape=[-1, NY, NX]), "vx"),
    "chunks of nothing": Refused(metadata("vx/.zarray", chunks=[0, 2, 3]), "vx"),
    "chunks of less than nothing": Refused(metadata("vx/.zarray", chunks=[-1, 2, 3]), "vx"),
    "chunks that are a word": Refused(metadata("vx/.zarray", chunks="many"), "vx"),
    "a format of the future": Refused(metadata("vx/.zarray", zarr_format=9), "vx"),
    "an unknown type": Refused(metadata("vx/.zarray", dtype="<q9"), "vx of the datacube is stored in a way"),
    "a grid mapping that is a number": Read(attributes("vx", grid_mapping=5)),
    "a grid mapping of a whole path": Read(attributes("vx", grid_mapping="../../etc")),
    "errors that are a group": Read(lambda p: cube(p, lambda g: g.create_group("vx_error"))),
    "errors of another length": Refused(
        with_array("vx_error", np.ones(N - 1)), "one value for each of the 6"
    ),
    "errors of text": Refused(with_array("vx_error", np.array(["good"] * N)), "vx_error holds no numbers"),
    "an epoch nobody can reach": Refused(
        dates(START, START + 9, units="days since 99999999999-01-01"), "acquisition_date_img1|possible date"
    ),
    "an epoch of words": Refused(dates(START, START + 9, units="days since the flood"), "hold no date"),
}


@pytest.mark.parametrize("name", CASES)
def test_every_file_is_read_right_or_refused_in_words(name, tmp_path, capfd):
    case = CASES[name]
    path = case.make(tmp_path / "cube.zarr")
    code = pixel(path, tmp_path / "pairs.csv")
    words = capfd.readouterr().err
    assert "unexpected" not in words
    assert "Traceback" not in words
    if isinstance(case, Refused):
        assert code == 1
        assert len(words.splitlines()) <= 3
        assert re.search(case.says, words), words
        return
    assert code == 0, words
    table = pd.read_csv(tmp_path / "pairs.csv", parse_dates=["start", "end"])
    vx = VX[:, 2, 1] if case.vx is None else case.vx
    np.testing.assert_allclose(table["vx [m/yr]"], vx, rtol=1e-6)
    np.testing.assert_allclose(table["vy [m/yr]"], -np.asarray(vx), rtol=1e-6)
    assert table["x [m]"][0] == pytest.approx(X[1])
    assert table["y [m]"][0] == pytest.approx(Y[2])
    day = (table["start"][0] - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    assert day == pytest.approx(case.day, abs=1e-6)
    assert table["span [d]"].iloc[0] == pytest.approx(16.0, abs=1e-5)
    if case.error is not None:
        np.testing.assert_allclose(table["vx_error [m/yr]"], case.error, rtol=1e-5)
    if case.says:
        run(["info", str(path)])
        assert case.says in capfd.readouterr().out


def test_the_table_is_long_enough():
    assert len(CASES) >= 60
