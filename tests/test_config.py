"""The settings: their defaults, their strictness, and what production insists on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from config import Settings, SettingsError, load_settings
from db.urls import async_database_url

ROOT = Path(__file__).parent.parent
SECRET = "x" * 32
GOOGLE = {
    "SECRET_KEY": SECRET,
    "GOOGLE_CLIENT_ID": "wallet",
    "GOOGLE_CLIENT_SECRET": "secret",
    "GOOGLE_REDIRECT_URI": "https://wallet.example/auth/google/callback",
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting in the environment, an empty working folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.promise("settings-defaults")
def test_the_documented_defaults() -> None:
    settings = load_settings()
    assert settings.algorithm == "HS256"
    assert settings.access_token_expire_minutes == 30
    assert settings.database_url == "sqlite+aiosqlite:///database.db"
    assert settings.redis_url == "redis://localhost:6379"
    assert settings.environment == "development"
    assert settings.default_currency == "NGN"
    assert settings.rate_limit_enabled
    assert not settings.debug
    assert not settings.allow_direct_funding
    assert settings.direct_funding_allowed, "in development"


@pytest.mark.promise("settings-defaults")
def test_the_example_lists_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    listed = re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)
    assert sorted(listed) == sorted(name.upper() for name in Settings.model_fields)

    defaults = Settings(_env_file=None)
    monkeypatch.chdir(ROOT)
    as_listed = Settings(_env_file=".env.example")
    assert as_listed == defaults


@pytest.mark.promise("settings-urls")
@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h:1/d", "postgresql+asyncpg://u:p@h:1/d"),
        ("postgresql://u:p@h/d?sslmode=require", "postgresql+asyncpg://u:p@h/d?ssl=require"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg://h/d"),
        ("sqlite:///wallet.db", "sqlite+aiosqlite:///wallet.db"),
        ("sqlite+aiosqlite:////tmp/wallet.db", "sqlite+aiosqlite:////tmp/wallet.db"),
    ],
)
def test_database_urls_become_asynchronous(given: str, used: str) -> None:
    assert async_database_url(given) == used


@pytest.mark.promise("settings-strict")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://root:hunter2@h/d"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2:4317"),
        ("REDIS_URL", "http://hunter2"),
        ("ENVIRONMENT", "hunter2"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "hunter2"),
        ("ALGORITHM", "none"),
        ("RATE_LIMIT_SIGNUP_PER_IP", "hunter2"),
        ("RATE_LIMIT_ENABLED", "hunter2"),
        ("DEFAULT_CURRENCY", "ngn"),
        ("GOOGLE_ISSUER", "hunter2"),
        ("GOOGLE_REDIRECT_URI", "hunter2/auth/google/callback"),
        ("POSTING_BATCH_LIMIT", "0"),
    ],
)
def test_a_malformed_value_is_named_but_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    message = refused(monkeypatch, **{name: value})
    assert name in message
    assert "hunter2" not in message


@pytest.mark.promise("settings-strict")
@pytest.mark.parametrize("left_out", [name for name in GOOGLE if name.startswith("GOOGLE")])
def test_half_of_what_google_needs_is_refused(
    monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    given = {name: value for name, value in GOOGLE.items() if name != left_out}
    assert left_out in refused(monkeypatch, **given)


def test_all_of_what_google_needs_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (GOOGLE | {"ENVIRONMENT": "production"}).items():
        monkeypatch.setenv(name, value)
    assert load_settings().google_issuer == "https://accounts.google.com"


@pytest.mark.promise("settings-strict")
def test_an_unknown_setting_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("SECRET_KEYS=abc\n", encoding="utf-8")
    assert "SECRET_KEYS" in refused(monkeypatch)


@pytest.mark.promise("settings-strict", "settings-secret")
@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"SECRET_KEY": "change-me"}, "SECRET_KEY"),
        ({"SECRET_KEY": SECRET, "DEBUG": "true"}, "DEBUG"),
        (GOOGLE | {"GOOGLE_REDIRECT_URI": "http://wallet.example/cb"}, "GOOGLE_REDIRECT_URI"),
        (GOOGLE | {"GOOGLE_ISSUER": "http://localhost:9400"}, "GOOGLE_ISSUER"),
    ],
)
def test_production_insists(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], named: str
) -> None:
    assert named in refused(monkeypatch, ENVIRONMENT="production", **environment)


def test_production_starts_with_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("SECRET_KEY", SECRET)
    assert not load_settings().direct_funding_allowed
    assert SECRET not in repr(load_settings())


@pytest.mark.promise("settings-secret")
def test_development_makes_a_secret_and_keeps_it(tmp_path: Path) -> None:
    first = load_settings().secret_key.get_secret_value()
    assert len(first) >= 32
    assert load_settings().secret_key.get_secret_value() == first
    file = tmp_path / ".local" / "secret_key"
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.iterdir()] == ["secret_key"]


@pytest.mark.promise("settings-secret")
def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    code = "from config import load_settings; print(load_settings().secret_key.get_secret_value())"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in processes}) == 1


@pytest.mark.promise("settings-strict")
@pytest.mark.parametrize("module", ["main", "workers"])
def test_a_server_that_cannot_start_says_one_line(tmp_path: Path, module: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "ENVIRONMENT": "production"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "SECRET_KEY" in result.stderr
