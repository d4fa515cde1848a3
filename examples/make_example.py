"""Clips a real ITS_LIVE datacube to what the example of the clone needs, and packs it tighter.

    python examples/make_example.py parlung.zarr examples/data/parlung.zarr

Values, chunks and attributes stay as they are; what is left out is left out as a whole.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numcodecs

FIELDS = ("vx", "vy")
LEFT_OUT = {"v", "v_error", "interp_mask", "floatingice", "roi_valid_percentage", "autoRIFT_software_version"}
TIGHT = {"id": "blosc", "cname": "zstd", "clevel": 7, "shuffle": 1, "blocksize": 0}


def repack(source: Path, target: Path) -> dict:
    """Copy one array, its chunks packed anew; returns its metadata."""
    meta = json.loads((source / ".zarray").read_text("utf-8"))
    target.mkdir()
    if (source / ".zattrs").exists():
        shutil.copy(source / ".zattrs", target / ".zattrs")
    before = meta["compressor"] and numcodecs.get_codec(meta["compressor"])
    packed = before is not None and not meta["filters"]
    if packed:
        meta["compressor"] = TIGHT
    (target / ".zarray").write_text(json.dumps(meta, indent=1), "utf-8")
    after = numcodecs.get_codec(dict(TIGHT))
    for chunk in source.iterdir():
        if chunk.name in (".zarray", ".zattrs"):
            continue
        data = chunk.read_bytes()
        if packed:
            values = memoryview(before.decode(data)).cast("B")
            size = int(meta["dtype"][2:]) * (4 if meta["dtype"][1] == "U" else 1)
            data = after.encode(numcodecs.compat.ensure_ndarray(values).view(f"V{size}"))
        (target / chunk.name).write_bytes(data)
    return meta


def main(source: Path, target: Path) -> None:
    """Make the clip."""
    target.mkdir(parents=True)
    every = {".zgroup": json.loads((source / ".zgroup").read_text("utf-8"))}
    every[".zattrs"] = json.loads((source / ".zattrs").read_text("utf-8"))
    for name in (".zgroup", ".zattrs"):
        shutil.copy(source / name, target / name)
    for array in sorted(path.parent for path in source.glob("*/.zarray")):
        if array.name in LEFT_OUT or array.name.endswith(("_modeled", "_slow", "_stationary")):
            continue
        every[f"{array.name}/.zarray"] = repack(array, target / array.name)
        attributes = target / array.name / ".zattrs"
        if attributes.exists():
            every[f"{array.name}/.zattrs"] = json.loads(attributes.read_text("utf-8"))
    text = json.dumps({"metadata": every, "zarr_consolidated_format": 1})
    (target / ".zmetadata").write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
