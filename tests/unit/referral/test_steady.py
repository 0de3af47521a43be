"""The clock that does not believe a sudden jump."""

from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from services.referral import app as referral_app
from services.referral.settings import ReferralSettings
from services.referral.steady import DISTRUST_SECONDS, TOLERANCE_SECONDS, SteadyClock

START = datetime(2026, 3, 29, 0, 59, 50, tzinfo=UTC)


class Times:
    """A wall clock and a monotonic one that a test moves."""

    def __init__(self) -> None:
        self.wall = START
        self.at = 1000.0
        self.clock = SteadyClock(lambda: self.wall, lambda: self.at)

    def pass_by(self, seconds: float, wall_seconds: float | None = None) -> datetime:
        self.at += seconds
        self.wall += timedelta(seconds=seconds if wall_seconds is None else wall_seconds)
        return self.clock()


def test_it_goes_along_with_a_good_clock() -> None:
    times = Times()
    for second in range(1, 100):
        assert times.pass_by(1) == START + timedelta(seconds=second)


def test_a_jump_ahead_that_is_put_right_does_no_harm() -> None:
    times = Times()
    assert times.pass_by(1, 601) == START + timedelta(seconds=1)
    assert times.pass_by(10) == START + timedelta(seconds=11)
    assert times.pass_by(1, -599) == START + timedelta(seconds=12)
    assert times.pass_by(1) == START + timedelta(seconds=13)


def test_a_jump_that_stays_is_the_new_time_after_a_minute() -> None:
    times = Times()
    times.pass_by(1, 601)
    times.pass_by(DISTRUST_SECONDS - 1)
    assert times.clock() == START + timedelta(seconds=DISTRUST_SECONDS)
    assert times.pass_by(1) == times.wall


def test_a_clock_that_stands_still_holds_nothing_up() -> None:
    times = Times()
    for second in range(1, 30):
        behind = START + timedelta(seconds=second) - times.pass_by(1, 0)
        assert behind <= timedelta(seconds=TOLERANCE_SECONDS)


def test_a_clock_that_stands_still_for_an_hour_holds_nothing_up_either() -> None:
    times = Times()
    for second in range(1, 3600):
        behind = START + timedelta(seconds=second) - times.pass_by(1, 0)
        assert behind <= timedelta(seconds=TOLERANCE_SECONDS)
    assert times.pass_by(1, 3600) == START + timedelta(seconds=3600)


def test_a_jump_back_never_gives_an_earlier_moment() -> None:
    times = Times()
    seen = [times.pass_by(1)]
    seen += [times.pass_by(1, -600)]
    seen += [times.pass_by(1) for _ in range(30)]
    assert seen == sorted(seen)


def test_a_clock_that_was_ahead_and_is_put_right_stops_nothing_for_longer_than_a_minute() -> None:
    times = Times()
    times.pass_by(1, -1800)
    frozen = times.pass_by(DISTRUST_SECONDS - 1)
    right = times.pass_by(2)
    assert right == times.wall < frozen
    assert times.pass_by(1) == right + timedelta(seconds=1)


def test_the_channels_too_believe_no_jumping_clock(monkeypatch, tmp_path) -> None:
    found = {}
    whole = referral_app.channels_app.build

    def build(*arguments, **named):
        found.update(named)
        return whole(*arguments, **named)

    monkeypatch.setattr(referral_app.channels_app, "build", build)
    referral_app.build(
        ReferralSettings(
            environment="test",
            data_dir=tmp_path,
            http_port=0,
            database_url=SecretStr("postgresql://none"),
            kafka_bootstrap="none:1",
            auth_jwks=str(tmp_path / "jwks.json"),
            auth_issuer="urn:test",
            intake_url="http://intake.test",
            signing_key_file=tmp_path / "key.pem",
        )
    )
    assert isinstance(found["clock"], SteadyClock)
