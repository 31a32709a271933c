import os
import socket

import pytest

from flywheel.errors import ConfigurationError
from flywheel.services.supervisor.network import HOST, free_ports, port_is_open, require_free


def test_free_ports_differ_and_are_free():
    """Each can be bound, and stays clear of the range of outgoing connections."""
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(20_000 <= port < 32_000 for port in ports)
    for port in ports:
        require_free(port, wanted_by="test", setting=None)


def test_a_taken_port_names_who_has_it():
    """The error names the process and the setting that chooses another port."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port_is_open(port)
        with pytest.raises(ConfigurationError) as caught:
            require_free(port, wanted_by="kafka", setting="kafka_port")
    assert f"pid {os.getpid()}" in caught.value.message
    assert "FLYWHEEL_KAFKA_PORT" in caught.value.next_step
