"""Zip files behind a model: their directory tells where in the file each member starts."""

import struct

_END, _ENTRY, _LOCATOR = b"PK\x05\x06", b"PK\x01\x02", b"PK\x06\x07"
_END_SIZE, _ENTRY_SIZE, _LOCATOR_SIZE = 22, 46, 20
_ZIP64 = 0xFFFFFFFF


def moved(appendix: bytes, before: int, after: int) -> bytes:
    """What stands behind a model, for a file in which it starts at byte `after`, not `before`.

    Offsets in a zip's directory count from the start of the file when the zip was appended by a
    tool that knew so (TFLite's metadata writer, Python's zipfile): these are moved along. Where
    they count from the zip's own start (it was concatenated), and in what is no zip or one of
    64-bit offsets, no byte changes. Source: PKWARE APPNOTE 6.3.10, sections 4.3.12 and 4.3.16.
    """
    end = appendix.rfind(_END)
    if before == after or not 0 <= end <= len(appendix) - _END_SIZE:
        return appendix
    entries, size, offset, comment = struct.unpack_from("<HIIH", appendix, end + 10)
    start = end - size  # of the directory, here
    zip64 = appendix[max(end - _LOCATOR_SIZE, 0) :].startswith(_LOCATOR)
    if end + _END_SIZE + comment != len(appendix) or start < 0 or zip64:
        return appendix
    if offset != before + start:  # from the zip's own start
        return appendix
    made, step, at = bytearray(appendix), after - before, start
    for _ in range(entries):
        if at + _ENTRY_SIZE > end or appendix[at : at + 4] != _ENTRY:
            return appendix
        lengths = struct.unpack_from("<HHH", appendix, at + 28)
        place = struct.unpack_from("<I", appendix, at + 42)[0]
        if place < before or not 0 <= place + step < _ZIP64:
            return appendix
        struct.pack_into("<I", made, at + 42, place + step)
        at += _ENTRY_SIZE + sum(lengths)
    if at != end or not 0 <= offset + step < _ZIP64:
        return appendix
    struct.pack_into("<I", made, end + 16, offset + step)
    return bytes(made)
