"""An initial RAM disk whose only program says that it runs: proof that a kernel came up.

A kernel that reaches it has set up memory, interrupts, timers, every processor and user mode.
"""

import struct

MARKER = b"osqual: a kernel came up"

_LOAD_ADDRESS = 0x400000
_HEADERS_SIZE = 64 + 56  # ELF header and one program header (elf(5))


def tiny_initrd() -> bytes:
    """The RAM disk: a cpio archive (newc) with `/init` in it."""
    return _entry("init", 0o100755, _init()) + _entry("TRAILER!!!", 0, b"")


def _init() -> bytes:
    """A static x86-64 program: write the marker to standard output, then sleep for ever."""
    message = b"\n" + MARKER + b"\n"
    code = b"".join(
        (
            b"\xb8\x01\x00\x00\x00",  # mov eax, 1 (write)
            b"\xbf\x01\x00\x00\x00",  # mov edi, 1 (standard output)
            b"\x48\x8d\x35\x10\x00\x00\x00",  # lea rsi, [rip + 16] (the message)
            b"\xba" + struct.pack("<I", len(message)),  # mov edx, length
            b"\x0f\x05",  # syscall
            b"\xb8\x22\x00\x00\x00",  # mov eax, 34 (pause)
            b"\x0f\x05",  # syscall
            b"\xeb\xf7",  # jmp to the mov above
        )
    )
    size = _HEADERS_SIZE + len(code) + len(message)
    # 64 bits, little-endian; an executable for x86-64, entered right after its headers.
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    entry = _LOAD_ADDRESS + _HEADERS_SIZE
    header = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 4096)
    return ident + header + segment + code + message


def _entry(name: str, mode: int, data: bytes) -> bytes:
    """One file of the archive; header, name and data are each padded to four bytes."""
    encoded = name.encode() + b"\0"
    inode = 0 if mode == 0 else 1
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + encoded
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
