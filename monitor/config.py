"""config.toml → frozen, typed settings. The values live in config.toml alone; an unknown key is an error.

Laws: every setting has exactly one default, in config.toml, with its unit and reason; nothing is changed after
loading; a mistake in a file is told with its place and what was meant.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from monitor.errors import UsageError

Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=1, le=65534)]


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of config.toml; the meaning of each key stands there."""


class DataSettings(_Section, frozen=True, kw_only=True):
    path: tuple[str, ...]
    url: str
    timeout_s: Positive
    versions: dict[str, str]


class SourceSettings(_Section, frozen=True, kw_only=True):
    chunk_s: Positive
    chunk_max_s: Positive
    block_s: Positive


class DeviceSettings(_Section, frozen=True, kw_only=True):
    silent_s: Positive
    return_s: Positive
    reorder_s: Positive
    memory_s: Positive
    jitter_s: Positive
    slack_s: Positive
    behind_s: Positive
    catch_up: Annotated[float, Meta(gt=1)]
    rate_window_s: Positive
    rate_tolerance: Share
    backlog_s: Positive


class LinkSettings(_Section, frozen=True, kw_only=True):
    window: Count
    high_water_mark: Count
    history_bytes: Count
    max_frame_bytes: Count
    heartbeat_s: Positive
    dead_s: Positive
    repair_wait_s: Positive
    hold_s: Positive
    serve_s: Positive


class AlertSocketSettings(_Section, frozen=True, kw_only=True):
    host: str
    port: Port
    kept: Count


class ControlSettings(_Section, frozen=True, kw_only=True):
    silence_s: Positive
    silence_max_s: Positive


class SecuritySettings(_Section, frozen=True, kw_only=True):
    keys: str
    client: str


class MetricsSettings(_Section, frozen=True, kw_only=True):
    host: str
    port: Annotated[int, Meta(ge=0, le=65535)]


class CheckpointSettings(_Section, frozen=True, kw_only=True):
    every_s: Positive
    share: Positive


class FilterSettings(_Section, frozen=True, kw_only=True):
    highpass_hz: Positive
    lowpass_hz: Positive


class DetectorSettings(_Section, frozen=True, kw_only=True):
    band_low_hz: Positive
    band_high_hz: Positive
    integration_s: Positive
    merge_s: Positive
    refractory_s: Positive
    probability: Share
    search_back_probability: Share
    search_back_rr: Positive
    search_back_limit_s: Positive
    floor_mv: Positive
    least: Share
    learn_s: Positive
    level_rate: Share
    doubt_rate: Share
    silence_s: Positive
    locate_before_s: Positive
    locate_after_s: Positive


class QualitySettings(_Section, frozen=True, kw_only=True):
    flat_mv: Positive
    saturated_mv: Positive
    saturated_share: Share
    drift_mv: Positive
    drift_share: Share
    unlike_from: Share
    unlike_weight: Share
    noisy: Share
    unusable: Share
    step_s: Positive
    idle_after_s: Positive


class RhythmSettings(_Section, frozen=True, kw_only=True):
    step_s: Annotated[float, Meta(ge=0.125)]
    bridge_s: Annotated[float, Meta(ge=0)]


class ClassifierSettings(_Section, frozen=True, kw_only=True):
    weights: str
    threads: Count


class AlarmSettings(_Section, frozen=True, kw_only=True):
    disabled: tuple[str, ...]
    latching: tuple[str, ...]
    lead_back_s: Positive
    second_beats: Count
    second_shared: Share
    second_shared_beats: Count
    second_apart_s: Annotated[float, Meta(ge=0)]
    asystole_s: Positive
    faint: Share
    still: Share
    faint_beats: Count
    vf_reports: Count
    vf_from: Share
    vf_until: Share
    vf_share: Share
    vf_clear_reports: Count
    extreme_brady_bpm: Positive
    extreme_brady_beats: Count
    extreme_tachy_bpm: Positive
    extreme_tachy_beats: Count
    extreme_tachy_few_bpm: Positive
    extreme_tachy_few_beats: Count
    extreme_good: Share
    extreme_least_good: Share
    extreme_most: Share
    extreme_most_noisy: Share
    extreme_sure: Annotated[float, Meta(ge=0)]
    extreme_margin_bpm: Annotated[float, Meta(ge=0)]
    rate_beats: Count
    rate_margin_bpm: Annotated[float, Meta(ge=0)]
    tachy_bpm: Positive
    brady_bpm: Positive
    vt_beats: Count
    vt_bpm: Positive
    vt_least: Share
    vt_mean: Share
    vt_among: Count
    vt_rare: Share
    vt_faster: Positive
    vt_slow_bpm: Annotated[float, Meta(ge=0)]
    vt_slow_noisy_bpm: Annotated[float, Meta(ge=0)]
    vt_alike_ratio: Annotated[float, Meta(gt=1)]
    vt_alike: Share
    same_s: Annotated[float, Meta(ge=0)]
    v_least: Share
    v_run_beats: Count
    v_run_least: Share
    v_run_mean: Share
    v_run_sure: Share
    v_rhythm_beats: Count
    svt_beats: Count
    svt_bpm: Positive
    pause_s: Positive
    missed_beat_rr: Positive
    missed_beat_over: Count
    regular: Share
    couplet_ms: Positive
    bigeminy_cycles: Count
    r_on_t_rr: Share
    r_on_t_pause: Positive
    r_on_t_over: Count
    multiform_over: Count
    multiform_ratio: Annotated[float, Meta(gt=1)]
    pvc_rate: Positive
    af_s: Positive
    af_from: Share
    af_until: Share
    af_clear_reports: Count
    af_every_s: Count
    af_weights: Annotated[tuple[float, ...], Meta(min_length=10, max_length=10)]
    irregular_s: Positive
    irregular_from: Share
    rate_clear_beats: Count
    clear_beats: Count
    gap_s: Positive
    unusable_reports: Count
    usable_reports: Count
    technical_same_s: Annotated[float, Meta(ge=0)]
    hold_s: Positive
    streams: dict[str, dict[str, Any]]


class DashboardSettings(_Section, frozen=True, kw_only=True):
    bell: bool
    bell_s: Positive
    fps: Positive
    seconds: Positive
    trend_s: Positive
    keep_s: Positive
    silent_s: Positive
    min_columns: Count
    min_rows: Count


class SupervisorSettings(_Section, frozen=True, kw_only=True):
    stop_s: Positive
    hang_s: Positive
    standby: bool
    standby_after_s: Positive
    finish_s: Positive
    restart_s: Positive
    restart_max_s: Positive
    restart_limit: Count
    restart_window_s: Positive


class Settings(_Section, frozen=True, kw_only=True):
    """All of config.toml."""

    data: DataSettings
    source: SourceSettings
    device: DeviceSettings
    link: LinkSettings
    alert_socket: AlertSocketSettings
    control: ControlSettings
    security: SecuritySettings
    metrics: MetricsSettings
    checkpoint: CheckpointSettings
    filter: FilterSettings
    detector: DetectorSettings
    quality: QualitySettings
    rhythm: RhythmSettings
    classifier: ClassifierSettings
    alarms: AlarmSettings
    dashboard: DashboardSettings
    supervisor: SupervisorSettings


def default_file() -> Path:
    """The shipped config.toml: inside the installed package, or at the top of a checkout."""
    here = Path(__file__).resolve().parent
    shipped = here / "config.toml"
    return shipped if shipped.exists() else here.parent / "config.toml"


def load(path: Path | None = None) -> Settings:
    """The settings in force: the defaults, with the file at ``path`` laid over them.

    Raises:
        UsageError: the file is not there, is not TOML, or has a key or value that is not one of ours.
    """
    table = tomllib.loads(default_file().read_text("utf-8"))
    name = "config.toml"
    if path is not None:
        name = str(path)
        try:
            overlay = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not TOML: {error}") from error
        _check_keys(overlay, table, path, "", table["alarms"])
        table = _merge(table, overlay)
    stream = ""
    try:
        settings = msgspec.convert(table, Settings)
        for stream in settings.alarms.streams:
            for_stream(settings.alarms, stream)
        return settings
    except msgspec.ValidationError as error:
        where = f"[alarms.streams.{stream!r}] " if stream else ""
        raise UsageError(f"{name}: {where}{error}") from error


def for_stream(settings: AlarmSettings, stream: str) -> AlarmSettings:
    """The settings with those of ``[alarms.streams.STREAM]`` laid over them.

    Raises:
        msgspec.ValidationError: a value there is not one of ours; :func:`load` has seen to it that there is none.
    """
    own = settings.streams.get(stream)
    if not own:
        return settings
    return msgspec.convert({**msgspec.to_builtins(settings), **own}, AlarmSettings)


def unattended(settings: Settings) -> Settings:
    """The settings where nobody is there to acknowledge, so that nothing latches."""
    streams = {
        name: {key: v for key, v in own.items() if key != "latching"} for name, own in settings.alarms.streams.items()
    }
    alarms = msgspec.structs.replace(settings.alarms, latching=(), streams=streams)
    return msgspec.structs.replace(settings, alarms=alarms)


def loads(text: str) -> Settings:
    """Settings from the JSON that :func:`dumps` wrote: how the supervisor hands them to the stages."""
    return msgspec.json.decode(text.encode(), type=Settings)


def dumps(settings: Settings) -> str:
    """The settings as one line of JSON."""
    return msgspec.json.encode(settings).decode()


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both else value
    return merged


def _check_keys(
    overlay: dict[str, Any], known: dict[str, Any], path: Path, prefix: str, known_alarms: dict[str, Any]
) -> None:
    for key, value in overlay.items():
        place = f"{prefix}{key}"
        if place.startswith("data.versions."):
            continue  # names of databases are the user's to add
        if prefix == "alarms.streams.":  # so are those of streams; what stands there has our names
            if not isinstance(value, dict):
                raise UsageError(f"{path}: {place}: settings of a stream stand in [alarms.streams.{key}]")
            own = {name: setting for name, setting in known_alarms.items() if name != "streams"}
            _check_keys(value, own, path, f"{place}.", known_alarms)
            continue
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known here: {', '.join(known)}"
            raise UsageError(f"{path}: unknown setting {place}{hint}")
        if isinstance(value, dict) and isinstance(known[key], dict):
            _check_keys(value, known[key], path, f"{place}.", known_alarms)
