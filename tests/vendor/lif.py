"""Write LIF: an XML header in UTF-16, then a block of memory for each image."""

import struct
from xml.sax.saxutils import escape

import numpy as np

NUMBER = {"X": 1, "Y": 2, "Z": 3, "T": 4, "M": 10}


def write_lif(
    path, images, *, dyes=("mCherry", "Venus", "Cerulean"), pixel_size_um=0.5, z_step_um=2.0, interval_s=60
):
    """Write images, name to (m, t, z, c, y, x), which is the order in which Leica stores planes."""
    elements, memories = "", []
    for i, (name, pixels) in enumerate(images.items()):
        m, t, z, c, y, x = pixels.shape
        item = pixels.dtype.itemsize
        plane = y * x * item
        steps = {"X": pixel_size_um * 1e-6, "Y": pixel_size_um * 1e-6, "Z": z_step_um * 1e-6, "T": interval_s}
        strides = {"X": item, "Y": x * item, "Z": c * plane, "T": z * c * plane, "M": t * z * c * plane}
        dimensions = "".join(
            f'<DimensionDescription DimID="{NUMBER[axis]}" NumberOfElements="{n}" Origin="0" '
            f'Length="{steps.get(axis, 1) * (n - 1)}" Unit="{"s" if axis == "T" else "m"}" '
            f'BitInc="0" BytesInc="{strides[axis]}"/>'
            for axis, n in (("X", x), ("Y", y), ("Z", z), ("T", t), ("M", m))
            if n > 1 or axis in "XY"
        )
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{8 * item}" '
            f'NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="{lut}" IsLUTInverted="0" '
            f'BytesInc="{k * plane}" BitInc="0"><ChannelProperty><Key>DyeName</Key>'
            f"<Value>{escape(dyes[k]) if k < len(dyes) else ''}</Value></ChannelProperty></ChannelDescription>"
            for k, lut in zip(range(c), ("Red", "Green", "Blue", "Gray"), strict=False)
        )
        elements += (
            f'<Element Name="{escape(name)}" Visibility="1" UniqueID="u{i}"><Data><Image TextDescription="">'
            f"<ImageDescription><Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions>"
            f'</ImageDescription></Image></Data><Memory Size="{pixels.nbytes}" MemoryBlockID="MemBlock_{i}"/>'
            "<Children/></Element>"
        )
        memories.append((f"MemBlock_{i}", np.ascontiguousarray(pixels).tobytes()))
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="experiment" Visibility="1" UniqueID="r">'
        f'<Data><Experiment Path="" IsSavedFlag="1"/></Data><Memory Size="0" MemoryBlockID="MemBlock_r"/>'
        f"<Children>{elements}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    with open(path, "wb") as file:
        file.write(struct.pack("<IIBI", 0x70, 5 + len(xml), 0x2A, len(xml) // 2) + xml)
        for name, content in memories:
            text = name.encode("utf-16-le")
            body = struct.pack("<BQBI", 0x2A, len(content), 0x2A, len(name)) + text
            file.write(struct.pack("<II", 0x70, len(body)) + body + content)
    return path
