"""Write CZI: a file header, the metadata, a directory, and one block per plane and mosaic tile."""

import struct
import uuid
from xml.sax.saxutils import escape

import numpy as np

PIXEL_TYPE = {np.dtype("u1"): 0, np.dtype("u2"): 1, np.dtype("f4"): 2}


def write_czi(
    path,
    scenes,
    *,
    names=("mCherry", "Venus", "Cerulean"),
    scene_names=(),
    pixel_size_um=0.5,
    z_step_um=None,
    interval_s=None,
    tile_px=None,
    pack=lambda raw: raw,
    compression=0,
    bgr=False,
    pyramid=False,
    skip=(),
    extra=None,
):
    """Write scenes, each (t, c, z, y, x), as blocks of one plane, or of tiles of a plane.

    `skip` leaves out blocks by number; `extra` gives every block a further dimension, letter and range of starts.
    """
    blocks = []
    for s, pixels in enumerate(scenes):
        for t, c, z in np.ndindex(pixels.shape[:3]):
            plane = pixels[t, c, z]
            step = tile_px or max(plane.shape)
            mosaic = 0
            for y in range(0, plane.shape[0], step):
                for x in range(0, plane.shape[1], step):
                    part = plane[y : y + step, x : x + step]
                    # scenes lie at places of their own on the stage
                    start = {"X": x + 1000 * s - 300, "Y": y + 70, "C": c, "Z": z, "T": t}
                    if len(scenes) > 1:
                        start["S"] = s
                    if tile_px:
                        start["M"] = mosaic
                    blocks.append((part, start, part.shape))
                    mosaic += 1
            if pyramid:
                start = {"X": 1000 * s - 300, "Y": 70, "C": c, "Z": z, "T": t}
                blocks.append((plane[::2, ::2], start | ({"S": s} if len(scenes) > 1 else {}), plane.shape))
    if extra:
        letter, numbers = extra
        blocks = [(part, start | {letter: n}, size) for part, start, size in blocks for n in numbers]
    xml = _xml(scenes, names, scene_names, pixel_size_um, z_step_um, interval_s).encode()
    with open(path, "wb") as file:
        file.write(bytes(32 + 512))
        entries = []
        for i, (part, start, size) in enumerate(blocks):
            if i in skip:
                continue
            position = file.tell()
            kind = 3 if bgr else PIXEL_TYPE[part.dtype]
            stored = np.stack([part, part + 1, part + 2], axis=-1) if bgr else part
            data = pack(np.ascontiguousarray(stored).tobytes())
            entry = _entry(position, kind, compression, start, size, part.shape)
            head = struct.pack("<iiq", 0, 0, len(data)) + entry
            head = head.ljust(256, b"\0")
            _segment(file, b"ZISRAWSUBBLOCK", head + data)
            entries.append(entry)
        directory = file.tell()
        _segment(file, b"ZISRAWDIRECTORY", struct.pack("<i124x", len(entries)) + b"".join(entries))
        metadata = file.tell()
        _segment(file, b"ZISRAWMETADATA", struct.pack("<ii248x", len(xml), 0) + xml)
        file.seek(0)
        guid = uuid.UUID(int=1).bytes
        head = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, guid, guid, 0, directory, metadata, 0, 0)
        _segment(file, b"ZISRAWFILE", head.ljust(512, b"\0"))
    return path


def _segment(file, name, content):
    file.write(struct.pack("<16sqq", name, len(content), len(content)) + content)


def _entry(position, kind, compression, start, size, stored):
    dims = b""
    for letter, first in start.items():
        n, m = {"Y": (size[0], stored[0]), "X": (size[1], stored[1])}.get(letter, (1, 1))
        dims += struct.pack("<4siifi", letter.encode(), first, n, float(first), m)
    return struct.pack("<2siqiiBB4si", b"DV", kind, position, 0, compression, 0, 0, b"", len(start)) + dims


def _xml(scenes, names, scene_names, pixel_size_um, z_step_um, interval_s):
    channels = "".join(f'<Channel Id="Channel:{i}" Name="{escape(name)}"/>' for i, name in enumerate(names))
    named = "".join(f'<Scene Index="{i}" Name="{escape(name)}"/>' for i, name in enumerate(scene_names))
    sizes = {"X": pixel_size_um, "Y": pixel_size_um, "Z": z_step_um}
    distances = "".join(
        f'<Distance Id="{axis}"><Value>{um * 1e-6}</Value></Distance>' for axis, um in sizes.items() if um
    )
    times = f"<T><Positions><Interval><Increment>{interval_s}</Increment></Interval></Positions></T>"
    return (
        f"<ImageDocument><Metadata><Information><Image><Dimensions><Channels>{channels}</Channels>"
        f"<S><Scenes>{named}</Scenes></S>{times if interval_s else ''}</Dimensions></Image></Information>"
        f"<Scaling><Items>{distances}</Items></Scaling></Metadata></ImageDocument>"
    )
