"""File systems that stop answering, and a program that sees them: hanging_mounts.py FOLDER COUNT -- PROGRAM ARGUMENT...

Makes COUNT FUSE file systems, FOLDER/mount0 and on, and runs PROGRAM beside them. As long as FOLDER/dead0 is there, mount0 leaves
every question unanswered, as NFS does whose server is gone. To be run as root in mount and PID namespaces of its own:
`unshare --mount --pid --fork --kill-child --mount-proc python3 hanging_mounts.py ...`, so that nobody else meets these mounts."""
import ctypes
import os
import struct
import subprocess
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
# Of linux/fuse.h.
GETATTR, STATFS, INIT, FORGET, INTERRUPT, BATCH_FORGET = 3, 17, 26, 2, 36, 42
DIRECTORY = 0o040755
BLOCKS = 1000


def mount(folder, fd):
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
    if LIBC.mount(b"server:/export", folder.encode(), b"fuse.test", 0, options) != 0:
        sys.exit(f"mount {folder}: {os.strerror(ctypes.get_errno())}")


def answer(opcode):
    """The body of an answer, or an errno."""
    if opcode == INIT:
        return struct.pack("=IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, 4096, 0, 0, 0, 0, *[0] * 7)
    if opcode == GETATTR:
        return struct.pack("=QIIQQQQQQIIIIIIIIII", 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, DIRECTORY, 2, 0, 0, 0, 4096, 0)
    if opcode == STATFS:
        return struct.pack("=QQQQQIIII6I", BLOCKS, 600, 500, 70, 30, 4096, 255, 4096, 0, *[0] * 6)
    return 38  # ENOSYS


def serve(fd, dead):
    while True:
        try:
            request = os.read(fd, 1 << 20)
        except OSError:
            return
        _, opcode, unique = struct.unpack_from("=IIQ", request)
        if opcode in (FORGET, INTERRUPT, BATCH_FORGET):
            continue
        while os.path.exists(dead):
            time.sleep(0.05)
        body = answer(opcode)
        error = 0 if isinstance(body, bytes) else -body
        body = body if isinstance(body, bytes) else b""
        try:
            os.write(fd, struct.pack("=IiQ", 16 + len(body), error, unique) + body)
        except OSError:
            pass  # Whoever asked gave up.


def main():
    folder, count = sys.argv[1], int(sys.argv[2])
    for i in range(count):
        fd = os.open("/dev/fuse", os.O_RDWR)
        os.makedirs(f"{folder}/mount{i}", exist_ok=True)
        mount(f"{folder}/mount{i}", fd)
        threading.Thread(target=serve, args=(fd, f"{folder}/dead{i}"), daemon=True).start()
    # The program inherits no descriptor: the mounts end with this process.
    code = subprocess.call(sys.argv[sys.argv.index("--") + 1:])
    os._exit(code)  # The threads may be waiting for ever.


if __name__ == "__main__":
    main()
