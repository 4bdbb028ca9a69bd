"""When the virtual environment has to be set up again."""

import multiprocessing
import time
from pathlib import Path

import pytest

from operations import environment

LOCAL = "requirements-local.txt"
DEV = "requirements-dev.txt"


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(environment, "PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(environment, "LOCK", tmp_path / ".local/setup.lock")
    for name in (LOCAL, DEV):
        (tmp_path / name).write_text(f"content of {name}")
    return tmp_path


def pretend_to_install(requirements: str) -> None:
    environment.PYTHON.parent.mkdir(parents=True, exist_ok=True)
    environment.PYTHON.touch()
    environment.stamp_of(requirements).write_text(environment.checksum(requirements))


def test_a_fresh_clone_is_not_current() -> None:
    assert not environment.is_current(LOCAL)


def test_what_was_installed_is_current_until_its_file_changes(checkout: Path) -> None:
    pretend_to_install(LOCAL)
    assert environment.is_current(LOCAL)

    (checkout / LOCAL).write_text("another version")
    assert not environment.is_current(LOCAL)


def test_the_packages_for_tests_include_those_of_the_service_but_not_the_reverse() -> None:
    pretend_to_install(LOCAL)
    assert not environment.is_current(DEV)

    environment.stamp_of(LOCAL).unlink()
    pretend_to_install(DEV)
    assert environment.is_current(LOCAL)


def test_an_environment_without_its_interpreter_is_not_current() -> None:
    pretend_to_install(LOCAL)
    environment.PYTHON.unlink()

    assert not environment.is_current(LOCAL)


def test_two_at_once_install_once(monkeypatch: pytest.MonkeyPatch, checkout: Path) -> None:
    def install(requirements: str) -> None:
        with (checkout / "installations").open("a") as log:
            log.write("once\n")
        time.sleep(0.3)
        pretend_to_install(requirements)

    monkeypatch.setattr(environment, "install", install)
    # Forked, so that the processes share what was replaced above.
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=environment.ensure, args=(LOCAL,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(10)

    assert [process.exitcode for process in processes] == [0] * 4
    assert (checkout / "installations").read_text() == "once\n"
