"""Outlines from the GLIMS map server: RGI 7 first, then RGI 6, kept on disk once fetched.

Every request is one that the server's users have found to work: WFS 1.0.0, whose axis order is always
lon, lat, for RGI 7 and for ids; the map click (WMS 1.1.1 GetFeatureInfo) for places in RGI 6.
"""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from itslive_core.errors import OutlineError, ServiceError
from itslive_core.places.geodesy import check_lonlat
from itslive_core.places.outlines import ID_NAMES, MERCATOR, Feature, features_of_geojson, pick
from itslive_core.places.rgi import REGIONS, parse_rgi_id, regions_at
from itslive_core.support.caching import cache_folder, write_atomically
from itslive_core.support.web import RefusedError, Retry, fetch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shapely.geometry.base import BaseGeometry

__all__ = ["VARIABLE", "Glims"]

log = logging.getLogger(__name__)

VARIABLE = "ITSLIVE_GLIMS_URL"
"""Environment variable that names another server with the same layers."""

PUBLIC = "https://www.glims.org/geoserver/ows"
ALL_RGI6 = "GLIMS:RGI"
PATIENCE = Retry(tries=3, pause=1.0, read=60.0)
NEAR = 0.001  # degrees; a click this far from an outline still means that glacier
ROUNDING = 1e-5  # degrees, by which the bounds in the names of cached files are wider
ADVICE = "load an outline from a file instead"


@dataclass(frozen=True)
class Glims:
    """The map server, and the outlines that it gave before.

    Attributes
    ----------
    url
        Address of its OWS endpoint; by default what ``ITSLIVE_GLIMS_URL`` names, else the public server.
    retry
        Patience: the public server is slow at times.
    """

    url: str = field(default_factory=lambda: os.environ.get(VARIABLE, "").strip() or PUBLIC)
    retry: Retry = PATIENCE

    def at(self, lon: float, lat: float) -> Feature:
        """Return the outline at a place, or within about 100 m of it.

        Parameters
        ----------
        lon, lat
            Degrees, WGS 84.

        Raises
        ------
        OutlineError
            If no glacier is there.
        ServiceError
            If the server is down, or refuses to answer, and the place is not in the cache.
        """
        lon, lat = check_lonlat(lon, lat)
        kept = _kept_at(lon, lat)
        refusal: RefusedError | None = None
        for version, ask in ((7, self._at_rgi7), (6, self._at_rgi6)):
            known = next((one for one in kept if _version(one) == version), None)
            if known is not None:
                return known
            try:
                found = _nearest(ask(lon, lat), lon, lat)
            except RefusedError as error:
                log.warning("no answer for RGI %d: %s", version, error)
                refusal = error
            except ServiceError as error:
                if kept:
                    return kept[0]
                raise ServiceError(f"{error}, or {ADVICE}") from error
            else:
                if found is not None:
                    return _keep(found)
        if refusal is not None:
            raise ServiceError(f"{refusal}; {ADVICE}") from refusal
        raise OutlineError(
            f"no glacier of RGI 7 or RGI 6 is at {lat:.5f}, {lon:.5f} (lat, lon): "
            "click on ice, or load an outline from a file"
        )

    def by_id(self, rgi_id: str) -> Feature:
        """Return the outline with an RGI id, of version 6 or 7.

        Raises
        ------
        OutlineError
            If there is no such glacier.
        ServiceError
            As :meth:`at`.
        SettingsError
            If it is no RGI id.
        """
        wanted = parse_rgi_id(rgi_id)
        kept = _kept_as(wanted.text)
        if kept is not None:
            return kept
        region = REGIONS[wanted.region - 1]
        layer7 = region.layer7.replace("-G-", f"-{wanted.product}-")
        layers = (layer7,) if wanted.version == 7 else (region.layer6, ALL_RGI6)
        column = "rgi_id" if wanted.version == 7 else "RGIID"
        refusal: RefusedError | None = None
        for layer in layers:
            try:
                features = self._features(
                    layer, {"cql_filter": f"{column}='{wanted.text}'", "maxFeatures": "2"}
                )
            except RefusedError as error:
                refusal = error
                continue
            except ServiceError as error:
                raise ServiceError(f"{error}, or {ADVICE}") from error
            for feature in features:
                if str(pick(feature.attributes, ID_NAMES)).upper() == wanted.text.upper():
                    return _keep(feature)
        if refusal is not None:
            raise ServiceError(f"{refusal}; {ADVICE}") from refusal
        raise OutlineError(f"the inventory has no glacier {wanted.text}: check the id")

    def _at_rgi7(self, lon: float, lat: float) -> list[Feature]:
        regions = regions_at(lon, lat)
        if not regions:
            return []
        # Some places lie in the boxes of several regions, and the server takes its time: ask for all at once.
        box = {"bbox": f"{_box(lon, lat)},EPSG:4326", "maxFeatures": "20"}
        found: list[Feature] = []
        refusal: RefusedError | None = None
        with ThreadPoolExecutor(len(regions)) as pool:
            answers = [pool.submit(self._features, region.layer7, box) for region in regions]
        for answer in answers:
            try:
                found += answer.result()
            except RefusedError as error:
                refusal = error
        if refusal is not None and not found:
            raise refusal
        return found

    def _at_rgi6(self, lon: float, lat: float) -> list[Feature]:
        return self._ask(
            {
                "service": "WMS",
                "version": "1.1.1",
                "request": "GetFeatureInfo",
                "layers": ALL_RGI6,
                "query_layers": ALL_RGI6,
                "styles": "",
                "srs": "EPSG:4326",
                "bbox": _box(lon, lat),
                "width": "1",
                "height": "1",
                "x": "0",
                "y": "0",
                "feature_count": "20",
                "info_format": "application/json",
            }
        )

    def _features(self, layer: str, condition: Mapping[str, str]) -> list[Feature]:
        return self._ask(
            {
                "service": "WFS",
                "version": "1.0.0",
                "request": "GetFeature",
                "typeName": layer,
                "outputFormat": "application/json",
                "srsName": "EPSG:4326",
                **condition,
            }
        )

    def _ask(self, params: Mapping[str, str]) -> list[Feature]:
        content = fetch(self.url, params=params, who="the outline server", retry=self.retry)
        try:
            # An unknown layer or column is answered with an XML report, and the status 200.
            features = features_of_geojson(json.loads(content), unnamed=MERCATOR)
        except (ValueError, OutlineError) as error:
            raise RefusedError(_report(self.url, params, content)) from error
        if features is None:
            raise RefusedError(_report(self.url, params, content))
        return features


def _report(url: str, params: Mapping[str, str], content: bytes) -> str:
    layer = params.get("typeName", params.get("layers", ""))
    start = " ".join(content[:120].decode("utf-8", "replace").split())
    return f"the outline server {url} does not answer for {layer} (it says {start!r})"


def _box(lon: float, lat: float) -> str:
    return f"{lon - NEAR:.6f},{lat - NEAR:.6f},{lon + NEAR:.6f},{lat + NEAR:.6f}"


def _nearest(features: list[Feature], lon: float, lat: float) -> Feature | None:
    """Return the outline that holds a place or is nearest to it, if within reach."""
    both = [one for feature in features for one in (feature, _swapped(feature))]
    best = min(both, key=lambda one: _distance(one.geometry, lon, lat), default=None)
    return best if best is not None and _distance(best.geometry, lon, lat) <= NEAR else None


def _swapped(feature: Feature) -> Feature:
    """Return the same outline with its axes swapped, as a server may send them."""
    import shapely

    geometry = shapely.transform(feature.geometry, lambda points: points[:, ::-1])
    return Feature(geometry, feature.attributes)


def _distance(geometry: BaseGeometry, lon: float, lat: float) -> float:
    import shapely

    turns = (shapely.Point(lon + turn, lat) for turn in (-360.0, 0.0, 360.0))
    return float(min(shapely.distance(geometry, turn) for turn in turns))


def _version(feature: Feature) -> int:
    return 7 if str(pick(feature.attributes, ID_NAMES)).upper().startswith("RGI2000") else 6


def _keep(feature: Feature) -> Feature:
    """Write an outline to the cache, under a name that tells id and bounds and so makes an index needless."""
    import shapely

    rgi_id = str(pick(feature.attributes, ID_NAMES) or "")
    try:
        text = parse_rgi_id(rgi_id).text
        west, south, east, north = feature.geometry.bounds
        wide = (west - ROUNDING, south - ROUNDING, east + ROUNDING, north + ROUNDING)
        bounds = "_".join(f"{value:.5f}" for value in wide)
        document = {
            "type": "Feature",
            "properties": dict(feature.attributes),
            "geometry": json.loads(shapely.to_geojson(feature.geometry)),
        }
        write_atomically(_folder() / f"{text}_{bounds}.geojson", json.dumps(document).encode())
    except (ValueError, TypeError, OSError) as error:
        log.warning("the outline of %s is not kept for the next time: %s", rgi_id or "this glacier", error)
    return feature


def _kept_as(rgi_id: str) -> Feature | None:
    return next((feature for path in _kept(f"{rgi_id}_*") if (feature := _read(path))), None)


def _kept_at(lon: float, lat: float) -> list[Feature]:
    """Return the cached outlines that hold a place, RGI 7 first."""
    found = []
    for path in _kept("*"):
        try:
            west, south, east, north = map(float, path.stem.rsplit("_", 4)[1:])
        except ValueError:
            continue
        if south <= lat <= north and any(west <= lon + turn <= east for turn in (-360.0, 0.0, 360.0)):
            feature = _read(path)
            if feature and _distance(feature.geometry, lon, lat) == 0.0:
                found.append(feature)
    return sorted(found, key=lambda feature: -_version(feature))


def _kept(pattern: str) -> list[Path]:
    try:
        return sorted(_folder().glob(f"{pattern}.geojson"))
    except OSError:
        return []


def _folder() -> Path:
    return cache_folder("outlines")


def _read(path: Path) -> Feature | None:
    try:
        features = features_of_geojson(json.loads(path.read_bytes()))
    except (ValueError, OSError, OutlineError):
        return None  # a damaged file is as good as none: the server is asked again
    return features[0] if features else None
