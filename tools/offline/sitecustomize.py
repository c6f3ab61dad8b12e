"""No network: a Python with this folder on its PYTHONPATH reaches nothing but its own machine.

Python imports `sitecustomize` as it starts. The hook hears of every connection and every look-up of
a name that is asked of Python's sockets, by whatever library (PEP 578), refuses those that would
leave the machine and says so on stderr, which a test or a notebook's comparison sees even where the
library catches the error. It hears nothing of sockets that a library opens in C, as ZeroMQ does for
the kernels, always on this machine.
"""

import ipaddress
import sys

CONNECTIONS = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOK_UPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")


def is_local(host: object) -> bool:
    """Whether the host is this machine: named or numbered so, or not named at all."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    if name in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: raise where the network is asked for."""
    if event in CONNECTIONS:
        address = arguments[1]
        if not isinstance(address, tuple):  # a path: a socket of Unix; or None: connected before
            return
        host = address[0]
    elif event in LOOK_UPS:
        host = arguments[0]
    else:
        return
    if not is_local(host):
        message = f"no network here: {event} to {host!r}"
        print(message, file=sys.stderr, flush=True)
        raise ConnectionRefusedError(message)


sys.addaudithook(refuse)
