"""``ecg-monitor config``: the settings in force."""

import msgspec

from monitor.config import Settings, default_file


def show(settings: Settings, *, defaults: bool) -> int:
    """As TOML, to copy from."""
    if defaults:
        print(default_file().read_text("utf-8"), end="")
        return 0
    for section, values in msgspec.to_builtins(settings).items():
        tables = {key: value for key, value in values.items() if isinstance(value, dict)}
        print(f"[{section}]")
        for key, value in values.items():
            if key not in tables:
                print(f"{key} = {msgspec.json.encode(value).decode()}")
        for key, table in tables.items():
            print(f"\n[{section}.{key}]")
            for name, value in table.items():
                print(f"{name} = {msgspec.json.encode(value).decode()}")
        print()
    return 0
