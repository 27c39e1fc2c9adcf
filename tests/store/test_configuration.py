import os
from dataclasses import replace
from pathlib import Path

import pytest

from maskproxy.base.errors import ConfigurationError
from maskproxy.core.settings import PasswordEnv, PasswordFile, Settings
from maskproxy.store.configuration import create_key, load_key, load_rules, load_settings, read_password

SETTINGS = """
databases:
  shop: {dsn: postgresql://u@h/shop}
  crm: {dsn: postgresql://u@h/crm}
"""
RULES = "version: 1\ndatabase: {}\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "maskproxy.yaml").write_text(SETTINGS)
    (tmp_path / "rules").mkdir()
    return load_settings(tmp_path / "maskproxy.yaml")


def text_of(error: pytest.ExceptionInfo[ConfigurationError]) -> str:
    return str(error.value)


def test_paths_start_at_the_directory_of_the_file(settings: Settings, tmp_path: Path) -> None:
    assert settings.run == tmp_path / "run"
    assert settings.workers == os.cpu_count()


def test_relative_settings_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maskproxy.yaml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    assert load_settings(Path("maskproxy.yaml")).run == tmp_path / "run"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        load_settings(tmp_path / "none.yaml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "maskproxy.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_settings(tmp_path / "maskproxy.yaml")


def test_a_directory_of_rules_is_its_yaml_files(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "rules/b.yaml").write_text(RULES.format("crm"))
    (tmp_path / "rules/a.yaml").write_text(RULES.format("shop"))
    (tmp_path / "rules/schema.json").write_text("{}")
    (found,) = load_rules(settings, "shop")
    assert (found.source.file, found.database) == ("rules/a.yaml", "shop")
    assert [document.database for document in load_rules(settings, "crm")] == ["crm"]


def test_rules_outside_the_directory_keep_their_whole_path(settings: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-rules.yaml"
    elsewhere.write_text(RULES.format("shop"))
    (found,) = load_rules(replace(settings, rules=(elsewhere, elsewhere)), "shop")
    assert found.source.file == str(elsewhere)


def test_problems_of_all_rules_files_are_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "rules/a.yaml").write_text(RULES.format("shopp"))
    (tmp_path / "rules/b.yaml").write_text("version: 2\ndatabase: crm\n")
    with pytest.raises(ConfigurationError) as caught:
        load_rules(settings, "crm")
    assert [str(problem.location) for problem in caught.value.problems] == ["rules/a.yaml:2", "rules/b.yaml:1"]
    assert "unknown database `shopp`: did you mean `shop`?" in text_of(caught)


def test_rules_file_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_rules(replace(settings, rules=(tmp_path / "none.yaml",)), "shop")


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys/token.key"
    create_key(path)
    key = load_key(path).reveal()
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    create_key(path)
    assert load_key(path).reveal() == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o666])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token.key"
    create_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        load_key(path)


def test_a_short_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    path.write_bytes(b"tooshort")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        load_key(path)
    assert "32 or more bytes" in text_of(caught)
    assert "tooshort" not in text_of(caught)


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        load_key(tmp_path / "none.key")


def test_passwords(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = settings.databases["shop"]
    assert read_password(shop) is None
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    from_environment = read_password(replace(shop, password=PasswordEnv("SHOP_PASSWORD")))
    assert from_environment is not None
    assert from_environment.reveal() == "hunter2"
    (tmp_path / "password").write_text("hunter3\n")
    from_file = read_password(replace(shop, password=PasswordFile(tmp_path / "password")))
    assert from_file is not None
    assert from_file.reveal() == "hunter3"


def test_a_password_that_is_not_set(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    shop = replace(settings.databases["shop"], password=PasswordEnv("SHOP_PASSWORD"))
    with pytest.raises(ConfigurationError, match="SHOP_PASSWORD is not set"):
        read_password(shop)
