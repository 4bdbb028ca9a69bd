"""Ports are found without a gap in which another service could take them."""

import socket
from unittest import mock

import pytest

from operations import listening
from operations.listening import PortTakenError, free_port, listen, listen_from, port_of


def test_a_taken_port_is_refused_with_a_sentence() -> None:
    with listen("127.0.0.1", 0) as first:
        port = port_of(first)
        with pytest.raises(PortTakenError, match=f"Port {port} on 127.0.0.1 is already in use"):
            listen("127.0.0.1", port)


def test_the_next_free_port_is_taken() -> None:
    with listen("127.0.0.1", 0) as first, listen_from("127.0.0.1", port_of(first)) as second:
        assert port_of(second) > port_of(first)


def test_it_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MAX_PORTS_TRIED", 1)
    with listen("127.0.0.1", 0) as first, pytest.raises(PortTakenError, match="all in use"):
        listen_from("127.0.0.1", port_of(first))


def test_a_port_is_usable_again_right_after_its_service_ended() -> None:
    with listen("127.0.0.1", 0) as first:
        port = port_of(first)
        with socket.create_connection(("127.0.0.1", port)) as client:
            served, _ = first.accept()
            # The side that closes first keeps the port in TIME_WAIT.
            served.close()
            assert client.recv(1) == b""
    with listen("127.0.0.1", port) as second:
        assert port_of(second) == port


def test_other_errors_are_not_mistaken_for_a_taken_port() -> None:
    with pytest.raises(OSError, match="assign"):
        listen("203.0.113.5", 0)


def test_a_listener_that_cannot_be_used_is_closed() -> None:
    refused = mock.patch.object(socket.socket, "bind", side_effect=PermissionError(13, "no"))
    # A socket left open would be reported as a ResourceWarning, which fails the test.
    with refused, pytest.raises(PermissionError):
        listen("127.0.0.1", 80)


def test_free_ports_are_free() -> None:
    with listen("127.0.0.1", free_port()):
        pass


def test_answers_do_not_wait_for_acknowledgements() -> None:
    # Without TCP_NODELAY each answer of a kept-open connection is 40 ms late.
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(("127.0.0.1", port_of(listener))),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
