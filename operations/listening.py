"""Finds a port and keeps it: the socket that proved the port free is the one that serves."""

import errno
import socket

# Enough for a desk with many services, and a clear answer when something is wrong with the host.
MAX_PORTS_TRIED = 100


class PortTakenError(Exception):
    """No port that was asked for is free. Its text is a sentence for the operator."""


def listen(host: str, port: int) -> socket.socket:
    """A socket listening on `host` and `port`; port 0 lets the system choose a free one.

    Raises PortTakenError when another process listens there, OSError when the host is not ours.
    A child process serves it through its file descriptor. Looking for a free port and letting the
    child bind it later would leave a gap in which another service can take it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Without this a port stays unusable for a minute after its last service has ended.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it. Uvicorn takes a handed-over socket for a Unix one and would
        # leave it off, and then every answer waits 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(f"Port {port} on {host} is already in use.") from None
        raise
    return listener


def listen_from(host: str, first_port: int) -> socket.socket:
    """As `listen`, on the first free port from `first_port` upwards.

    Raises PortTakenError when none of the next MAX_PORTS_TRIED is free.
    """
    last_port = min(first_port + MAX_PORTS_TRIED - 1, 65535)
    for port in range(first_port, last_port + 1):
        try:
            return listen(host, port)
        except PortTakenError:
            continue
    raise PortTakenError(f"Ports {first_port} to {last_port} on {host} are all in use.")


def free_port() -> int:
    """A loopback port that was free just now, for servers that cannot be handed a socket."""
    with listen("127.0.0.1", 0) as listener:
        return port_of(listener)


def port_of(listener: socket.socket) -> int:
    """The port a socket is bound to."""
    port: int = listener.getsockname()[1]
    return port
