"""What `ddt doctor --docker` makes of what the engine, the clock and the gateway say."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from ddt.containers import doctor, project
from ddt.containers.engine import Compose
from ddt.containers.project import Project
from ddt.errors import TroubleError

NOW = datetime(2126, 5, 17, 12, tzinfo=UTC)


@pytest.fixture
def chosen(tmp_path: Path) -> Project:
    (tmp_path / "docker-compose.yml").write_text(
        "services:\n"
        "  a: {deploy: {resources: {limits: {memory: 1g}}}}\n"
        "  b: {deploy: {resources: {limits: {memory: 512m}}}}\n"
        "  c: {profiles: [more], deploy: {resources: {limits: {memory: 9g}}}}\n"
        "  d: {image: none}\n"
    )
    return Project(tmp_path, "pki.example.test", 443, 80)


def certificate(name: str, begin: datetime, end: datetime) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, SHA256())
    )


@pytest.mark.parametrize("version", ["", "19.03.15", "20.9.1", "nonsense", "v1.29.2"])
def test_an_old_or_unknown_engine_is_told(version: str) -> None:
    with pytest.raises(TroubleError, match=r"20\.10 or later is needed"):
        doctor.new_enough("Docker Engine", version, (20, 10))


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "29.0.1", "v20.10.0"])
def test_a_new_enough_engine_is_fine(version: str) -> None:
    assert version in doctor.new_enough("Docker Engine", version, (20, 10))


def test_memory_is_compared_with_what_the_services_may_use(chosen: Project) -> None:
    enough = 1024**3 + 512 * 1024**2
    assert "1.6 GB" in doctor.memory(chosen, {"MemTotal": enough})
    for little in ({"MemTotal": enough - 1}, {"MemTotal": 0}, {}):
        with pytest.raises(TroubleError, match="Give it more"):
            doctor.memory(chosen, little)


@pytest.mark.parametrize(
    "text", ["2126-05-17T12:00:04.123456789Z", "2126-05-17T14:00:00.123456789+02:00"]
)
def test_an_engine_whose_clock_agrees_is_fine(text: str) -> None:
    assert "agree" in doctor.clock({"SystemTime": text}, now=NOW)


@pytest.mark.parametrize(
    "text",
    ["2126-05-17T12:00:06Z", "2126-05-17T11:59:00Z", "2126-05-17T12:00:00+02:00", "", "now"],
)
def test_an_engine_whose_clock_differs_is_told(text: str) -> None:
    with pytest.raises(TroubleError):
        doctor.clock({"SystemTime": text}, now=NOW)


def test_a_valid_certificate_for_the_name_is_fine() -> None:
    found = certificate("pkakey.x.test", NOW - timedelta(days=1), NOW + timedelta(days=9))
    assert "9 days left" in doctor.validity(found, "pkakey.x.test", now=NOW)


@pytest.mark.parametrize(
    ("name", "begin", "end", "word"),
    [
        ("pkakey.x.test", -9, -1, "valid from"),
        ("pkakey.x.test", 1, 9, "valid from"),
        ("pkakey.y.test", -1, 9, "not for pkakey.x.test"),
        ("x.test", -1, 9, "not for pkakey.x.test"),
        ("*.y.test", -1, 9, "not for pkakey.x.test"),
    ],
)
def test_a_certificate_that_clients_refuse_is_told(
    name: str, begin: int, end: int, word: str
) -> None:
    found = certificate(name, NOW + timedelta(days=begin), NOW + timedelta(days=end))
    with pytest.raises(TroubleError, match=word):
        doctor.validity(found, "pkakey.x.test", now=NOW)


def test_names_that_this_computer_does_not_find_are_listed() -> None:
    with pytest.raises(TroubleError, match=r"a\.invalid") as caught:
        doctor.unknown_names(["localhost", "a.invalid"], "ddt hosts --docker")
    assert "find localhost" not in str(caught.value)
    assert "ddt hosts --docker" in str(caught.value)


def test_no_check_lets_an_exception_out(chosen: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from ddt import doctor as examination

    monkeypatch.setenv("PATH", str(chosen.folder))
    rows = examination.run_all(doctor.checks(chosen, now=NOW))
    assert {row["name"] for row in rows} >= {"engine", "compose", "memory", "clock", "hosts"}
    assert not {row["name"]: row["ok"] for row in rows}["engine"]
    assert "not installed" in {row["name"]: row["detail"] for row in rows}["engine"]


@pytest.mark.parametrize(
    ("engine", "compose", "told"),
    [("19.03.15", "2.40.3", "Docker Engine is 19.03.15"), ("20.10.24", "1.29.2", "is 1.29.2")],
)
def test_nothing_is_started_on_an_engine_that_is_too_old(
    chosen: Project, monkeypatch: pytest.MonkeyPatch, engine: str, compose: str, told: str
) -> None:
    program = chosen.folder / "docker"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$1 $2" in "compose version") echo {compose};; "version "*) echo {engine};; '
        f"*) touch {chosen.folder / 'started'};; esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{chosen.folder}:/usr/bin:/bin")
    with pytest.raises(TroubleError, match=told):
        doctor.before_start(chosen, Compose(chosen.folder))
    assert not (chosen.folder / "started").exists()


@pytest.mark.parametrize("variable", ["HTTPS_PORT", "HTTP_PORT"])
def test_a_taken_port_is_told_with_its_variable_and_who_has_it(variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(TroubleError, match=rf"Port {port} is taken.*{variable}.*in \.env"):
            doctor.check_free(variable, port)
    doctor.check_free(variable, port)


def test_both_ports_cannot_be_one(chosen: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PORT", "8443")
    monkeypatch.setenv("HTTP_PORT", "8443")
    with pytest.raises(TroubleError, match="both 8443"):
        project.load(chosen.folder)
