"""The settings: read from the environment, frozen."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.settings import Settings


def test_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TALLER_MODELS_DIR", str(tmp_path / "a" / ".."))
    monkeypatch.setenv("TALLER_OFFLINE", "1")
    monkeypatch.setenv("TALLER_HUB_TIMEOUT", "2.5")
    settings = Settings()
    assert settings.models_dir == tmp_path.resolve()
    assert settings.offline is True
    assert settings.hub_timeout == 2.5


def test_empty_means_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLER_MODELS_DIR", "")
    monkeypatch.setenv("TALLER_PUBLIC_URL", "")
    assert Settings().models_dir is None
    assert Settings().public_url is None


def test_wrong_values_name_their_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLER_HUB_TIMEOUT", "mucho")
    with pytest.raises(ValidationError, match="hub_timeout"):
        Settings()


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().offline = True  # type: ignore[misc]


def test_a_cluster_needs_an_address_that_is_one_and_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLER_RAY_ADDRESS", "http://10.0.0.5:8000")
    with pytest.raises(ValidationError, match="TALLER_RAY_SECRET"):
        Settings()
    monkeypatch.setenv("TALLER_RAY_SECRET", "short")
    with pytest.raises(ValidationError, match="ray_secret"):
        Settings()
    monkeypatch.setenv("TALLER_RAY_SECRET", "a" * 16)
    assert Settings().ray_address == "http://10.0.0.5:8000"
    for wrong in ("10.0.0.5:8000", "ray://10.0.0.5:10001", "http://", "http://user@host:1", "http://a b"):
        monkeypatch.setenv("TALLER_RAY_ADDRESS", wrong)
        with pytest.raises(ValidationError, match="ray_address"):
            Settings()
    monkeypatch.setenv("TALLER_RAY_ADDRESS", "")
    assert Settings().ray_address is None
