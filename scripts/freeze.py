#!/usr/bin/env python3
"""freeze.py PID SECONDS NAME...: stops the threads of a process whose names begin with one of NAMES, and lets them go on.

SIGSTOP stops a whole process; a debugger's interruption (ptrace(2), PTRACE_SEIZE) stops a thread. For tests that ask what a
process does while a part of it hangs.
"""
import ctypes
import os
import pathlib
import sys
import time

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"thread {thread}: {os.strerror(error)}")


pid, seconds, names = sys.argv[1], float(sys.argv[2]), tuple(sys.argv[3:])
tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
threads = [int(task.name) for task in tasks if (task / "comm").read_text().startswith(names)]
if not threads:
    sys.exit(f"process {pid} has no thread called {' or '.join(names)}")
for thread in threads:
    ptrace(PTRACE_SEIZE, thread)
    ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WALL)
print(f"{len(threads)} threads stand", flush=True)
time.sleep(seconds)
# They go on also when this process ends before here.
for thread in threads:
    ptrace(PTRACE_DETACH, thread)
