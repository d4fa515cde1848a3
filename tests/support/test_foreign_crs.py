"""What a file says of its projection is understood; a file that it names is not opened."""

from __future__ import annotations

import pytest
from pyproj import CRS

from itslive_core.support.foreign_crs import foreign_crs


@pytest.mark.parametrize(
    "named",
    [
        "EPSG:3031",
        "urn:ogc:def:crs:OGC:1.3:CRS84",
        "ESRI:102001",
        "+proj=utm +zone=7 +datum=WGS84 +units=m",
        "+proj=merc +a=6378137 +b=6378137 +nadgrids=@null +no_defs",
        "EPSG:32607+5773",  # with heights
    ],
)
def test_names_of_the_field_are_understood(named: str) -> None:
    for way in (named, CRS(named), CRS(named).to_wkt(), CRS(named).to_json()):
        assert foreign_crs(way).equals(CRS(named), ignore_axis_order=True)


@pytest.mark.parametrize(
    "named",
    [
        "+init={path}",
        "+init={path}:4326 +type=crs",
        "+proj=longlat +ellps=clrk66 +nadgrids={path}",
        "+proj=longlat +ellps=clrk66 +nadgrids=@{path},null",
        "+proj=longlat +datum=WGS84 +geoidgrids=../{path}",
        "proj=longlat ellps=clrk66 nadgrids={path}",
    ],
)
def test_no_file_is_named(tmp_path, named: str) -> None:
    definitions = tmp_path / "private"
    definitions.write_text("<4326> +proj=longlat +datum=WGS84 <>\n")
    text = named.format(path=definitions)
    with pytest.raises(ValueError, match="names a file"):
        foreign_crs(text)
    wkt = (
        'GEOGCS["x",DATUM["d",SPHEROID["s",6378137,298]],PRIMEM["g",0],'
        f'UNIT["degree",0.0174532925199433],EXTENSION["PROJ4","{text}"]]'
    )
    with pytest.raises(ValueError, match="names a file"):
        foreign_crs(wkt)


def test_a_grid_in_a_parsed_system_is_found_too(tmp_path) -> None:
    bound = CRS(f"+proj=longlat +ellps=clrk66 +nadgrids={tmp_path}/grid.gsb")
    for way in (bound, bound.to_wkt(), bound.to_json()):
        with pytest.raises(ValueError, match="names a file"):
            foreign_crs(way)


@pytest.mark.parametrize("named", ["nonsense", "", "EPSG:999999", "+proj=nothing", None, {"a": 1}])
def test_what_is_unknown_is_an_error(named: object) -> None:
    with pytest.raises(ValueError, match="not known to PROJ"):
        foreign_crs(named)
