"""Results of any kind as named arrays, for the records of `benchmarks/record.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LEFT_OUT = ("history", "source", "cube_url", "itslive_core_version", "job", "recipe")
"""Attributes that hold a path, a version or the time of creation."""


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Take results apart into named arrays of numbers, dates and text."""
    join = f"{name}/{{}}".format if name else "{}".format
    if isinstance(value, xr.DataArray):
        value = value.to_dataset(name="values")
    if isinstance(value, xr.Dataset):
        for key, variable in value.variables.items():
            yield from flatten(variable.values, join(key))
            yield join(f"{key} described"), np.array(json.dumps([variable.dims, plain(variable.attrs)]))
        yield from flatten(plain(value.attrs), join("attributes"))
    elif isinstance(value, pd.DataFrame):
        yield from flatten({"index": value.index.to_numpy(), **value}, name)
    elif isinstance(value, pd.Series):
        yield from flatten(value.to_numpy(), name)
    elif isinstance(value, Mapping):
        yield join("names"), np.array([str(key) for key in value], dtype=str)
        for key, each in value.items():
            yield from flatten(each, join(key))
    elif is_dataclass(value):
        yield from flatten({field.name: getattr(value, field.name) for field in fields(value)}, name)
    elif isinstance(value, tuple | list) and any(map(is_dataclass, value)):
        yield from flatten(dict(enumerate(value)), name)
    else:
        array = np.asarray(value)
        yield name, array.astype(str) if array.dtype.kind == "O" else array


def plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Give attributes as plain values, without those that depend on where and when they were written."""
    return {
        str(key): value if isinstance(value, str) else np.asarray(value).tolist()
        for key, value in attributes.items()
        if key not in LEFT_OUT
    }
