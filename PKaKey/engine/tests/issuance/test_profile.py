import copy
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance import Profile, ProfileKind, shipped_profile, shipped_profiles

Expect = Callable[[Refusal, Callable[[], object]], Refused]


def test_the_shipped_profiles_are_these() -> None:
    kinds = {profile.name: profile.kind for profile in shipped_profiles()}
    assert kinds == {
        "issuing-ca": ProfileKind.AUTHORITY,
        "ocsp-signer": ProfileKind.OCSP_RESPONDER,
        "root-ca": ProfileKind.AUTHORITY,
        "tls-client": ProfileKind.END_ENTITY,
        "tls-server": ProfileKind.END_ENTITY,
    }


def test_an_unknown_profile_is_refused_with_the_known_ones(refused: Expect) -> None:
    for name in ("", "TLS-server", "tls-server ", "../tls-server", "x" * 1000):
        error = refused(Refusal.PROFILE_UNKNOWN, partial(shipped_profile, name))
        assert "tls-client, tls-server" in error.detail


def test_a_profile_read_back_from_its_json_is_the_same() -> None:
    for profile in shipped_profiles():
        again = Profile.from_data(json.loads(json.dumps(profile.data)))
        assert again == profile
        assert again.digest == profile.digest


def test_the_digest_ignores_the_order_of_fields_and_sees_every_value() -> None:
    data = dict(shipped_profile("tls-server").data)
    turned = dict(reversed(data.items()))
    assert Profile.from_data(turned).digest == shipped_profile("tls-server").digest
    assert Profile.from_data({**data, "validity_days": 91}).digest != Profile.from_data(data).digest


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.pop(key)


def having(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        *folders, last = path.split(".")
        for folder in folders:
            data = data[folder]
        data[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        *[(without(key), key) for key in shipped_profile("tls-server").data],
        (having("surprise", 1), "surprise"),
        (having("names.surprise", 1), "surprise"),
        (having("name", ""), "name"),
        (having("name", 7), "name"),
        (having("version", 0), "version"),
        (having("version", value=True), "version"),
        (having("version", "1"), "version"),
        (having("kind", "wizard"), "wizard"),
        (having("key_algorithms", []), "key_algorithms"),
        (having("key_algorithms", ["dsa"]), "dsa"),
        (having("key_algorithms", "rsa"), "key_algorithms"),
        (having("min_rsa_bits", 1024), "min_rsa_bits"),
        (having("validity_days", 399), "validity_days"),
        (having("validity_days", 0), "validity_days"),
        (having("validity_days", 1.5), "validity_days"),
        (having("backdate_seconds", -1), "backdate_seconds"),
        (having("common_name", "maybe"), "maybe"),
        (having("names", []), "names"),
        (having("names.kinds", ["dns", "dns"]), "names.kinds"),
        (having("names.kinds", ["dirname"]), "dirname"),
        (having("names.kinds", []), "names.minimum"),
        (having("names.wildcards", "yes"), "names.wildcards"),
        (having("names.minimum", 101), "names.minimum"),
        (having("key_usage", []), "key_usage"),
        (having("key_usage", ["sing"]), "sing"),
        (having("key_usage", ["keyCertSign"]), "keyCertSign"),
        (having("extended_key_usage", ["sing"]), "sing"),
        (having("extended_key_usage", ["OCSPSigning"]), "OCSPSigning"),
        (having("path_length", 0), "path_length"),
        (having("path_length", -1), "path_length"),
        (having("status.crl", 1), "status.crl"),
    ],
)
def test_data_that_is_wrong_anywhere_is_no_profile(
    change: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    data = copy.deepcopy(dict(shipped_profile("tls-server").data))
    change(data)
    with pytest.raises(ValueError, match=complaint):
        Profile.from_data(data)


@pytest.mark.parametrize("data", [None, [], "x", 1])
def test_what_is_no_object_is_no_profile(data: Any) -> None:
    with pytest.raises(ValueError, match="object"):
        Profile.from_data(data)
