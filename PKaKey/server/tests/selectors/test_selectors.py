"""What the fronts read."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pkakey.selectors import audit, authorities, certificates, dashboard, profiles
from pkakey.services.errors import Conflict, NotFound, NotPermitted


def serials(page: Any) -> list[str]:
    return [item.serial_number for item in page.items]


@pytest.fixture
def issued(platform: Any) -> list[Any]:
    return [
        platform.issue(f"h{number}.example.test", now=platform.now + timedelta(seconds=number))
        for number in range(5)
    ]


def listed(platform: Any, **options: Any) -> Any:
    options.setdefault("now", platform.now)
    options.setdefault("principal", platform.admin)
    return certificates.list_certificates(options.pop("principal"), **options)


def test_pages_go_forth_and_back_without_gaps(platform: Any, issued: list[Any]) -> None:
    everything = serials(listed(platform, limit=100))
    assert everything[:5] == [one.serial_number for one in reversed(issued)]
    forth: list[str] = []
    cursor, page = None, None
    while True:
        page = listed(platform, limit=2, cursor=cursor)
        forth += serials(page)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert forth == everything
    back: list[str] = serials(page)
    while page.previous_cursor is not None:
        page = listed(platform, limit=2, cursor=page.previous_cursor)
        back = serials(page) + back
    assert back == everything
    assert listed(platform, limit=2).previous_cursor is None


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "!!", "bnVsbA", "e30", "WzAsIngiLCJ5Il0", "WzIsIngiLCJ5Il0", "A" * 300, "\x00", "ä"],
)
def test_a_cursor_that_no_page_gave_out_is_refused(platform: Any, cursor: str) -> None:
    with pytest.raises(Conflict) as caught:
        listed(platform, cursor=cursor)
    assert caught.value.code == "cursor.malformed"
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ValueError, match="cursor"):
        audit.list_events(platform.admin, cursor=cursor)


def test_search_finds_parts_of_names_and_serial_numbers(platform: Any, issued: list[Any]) -> None:
    wanted = issued[3].serial_number
    assert serials(listed(platform, search="H3.EXAMPLE")) == [wanted]
    assert serials(listed(platform, search=wanted[4:20])) == [wanted]
    assert serials(listed(platform, name="h3.example.test")) == [wanted]
    assert serials(listed(platform, name="h3.example")) == []
    for hostile in ("%", "_3.", "\\", "\x00", "'; DROP TABLE x; --"):
        assert serials(listed(platform, search=hostile)) == []


def test_what_is_found_often_is_paged_without_the_index(
    platform: Any, issued: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "COUNT_CAP", 2)
    page = listed(platform, search="example.test", limit=3)
    assert serials(page) == [one.serial_number for one in reversed(issued)][:3]
    assert (page.count, page.count_capped) == (2, True)


def test_search_does_not_reach_into_another_namespace(platform: Any, issued: list[Any]) -> None:
    assert listed(platform, principal=platform.guest, search="example").items == ()


def test_filters_narrow_the_list(platform: Any, issued: list[Any]) -> None:
    revoked = issued[0].serial_number
    platform.services.revoke_certificate(
        principal=platform.admin,
        serial_number=revoked,
        reason="superseded",
        now=platform.now,
    )
    server = {"profile": "tls-server", "search": "example.test"}
    assert serials(listed(platform, status="revoked")) == [revoked]
    assert len(listed(platform, status="valid", **server).items) == 4
    later = issued[0].not_after + timedelta(days=1)
    assert len(listed(platform, status="expired", now=later, **server).items) == 4
    assert listed(platform, status="expired").items == ()
    assert len(listed(platform, authority_id=platform.root_id).items) == 3
    assert listed(platform, authority_id=uuid4()).items == ()
    assert listed(platform, profile="tls-client").items == ()
    assert len(listed(platform, expires_before=later, **server).items) == 5
    assert listed(platform, expires_after=later, **server).items == ()
    assert len(listed(platform, issued_after=platform.now + timedelta(seconds=2)).items) == 2


def test_the_list_costs_few_queries(
    platform: Any, issued: list[Any], django_assert_max_num_queries: Any
) -> None:
    # act_as, the search, the count and the page, between BEGIN and COMMIT.
    with django_assert_max_num_queries(6):
        listed(platform, search="example", limit=50)


def test_another_namespace_sees_none_of_it(platform: Any, issued: list[Any]) -> None:
    assert listed(platform, principal=platform.guest).items == ()
    with pytest.raises(NotFound):
        certificates.get_certificate(platform.guest, issued[0].serial_number)
    summary = dashboard.summary(platform.guest, platform.now)
    assert (summary.valid, summary.revoked) == (0, 0)
    assert list(certificates.iterate_for_export(platform.guest, now=platform.now)) == []


def test_a_detail_has_the_chain_and_every_extension_in_words(
    platform: Any, issued: list[Any]
) -> None:
    detail = certificates.get_certificate(platform.admin, issued[0].serial_number)
    assert detail.chain == issued[0].chain
    assert detail.pem == issued[0].pem
    assert "Subject alternative name" in {extension.name for extension in detail.extensions}
    assert (detail.status, detail.requested_by, detail.source) == ("valid", "ada", "api")


@pytest.mark.parametrize("serial_number", ["1", "", "zz", "\x00", "F" * 4000])
def test_an_unknown_serial_number_is_not_found(platform: Any, serial_number: str) -> None:
    with pytest.raises(NotFound):
        certificates.get_certificate(platform.admin, serial_number)


def test_the_root_has_no_chain_above_it(platform: Any) -> None:
    root = authorities.get_authority(platform.admin, platform.root_id)
    assert root.chain == []
    assert certificates.get_certificate(platform.admin, root.serial_number).chain == []


def test_the_tree_has_the_issuing_authority_below_the_root(platform: Any) -> None:
    [root] = authorities.tree(platform.admin)
    [issuing] = root.children
    assert (root.authority.id, issuing.authority.id) == (platform.root_id, platform.issuing_id)
    assert issuing.authority.is_default
    assert issuing.authority.crl_number == 1
    [seen] = authorities.tree(platform.guest)
    assert not seen.authority.is_own
    assert len(authorities.public_repository()) == 2


def test_an_unknown_authority_is_not_found(platform: Any) -> None:
    with pytest.raises(NotFound):
        authorities.get_authority(platform.admin, uuid4())


@pytest.mark.parametrize("role", ["db-admin", "content-editor", "nobody"])
def test_who_may_not_read_reads_nothing(platform: Any, role: str) -> None:
    principal = platform.principal(role)
    for read in (
        lambda: listed(platform, principal=principal),
        lambda: certificates.get_certificate(principal, "1"),
        lambda: certificates.iterate_for_export(principal, now=platform.now),
        lambda: authorities.tree(principal),
        lambda: profiles.list_profiles(principal),
        lambda: audit.list_events(principal),
        lambda: dashboard.summary(principal, platform.now),
    ):
        with pytest.raises(NotPermitted):
            read()


def test_the_export_has_everything_in_chunks(
    platform: Any, issued: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "EXPORT_CHUNK", 2)
    rows = certificates.iterate_for_export(platform.admin, now=platform.now, search="example.test")
    assert [row.serial_number for row in rows] == [one.serial_number for one in reversed(issued)]


def test_the_dashboard_counts_and_says_when(platform: Any, issued: list[Any]) -> None:
    summary = dashboard.summary(platform.admin, platform.now)
    assert summary.counted_at == platform.now
    assert summary.authorities == 2
    assert len(summary.issued_by_day) == 30
    assert summary.issued_by_day[-1].count + summary.issued_by_day[-2].count >= 5
    assert summary.last_events
    requester = platform.principal("pki-requester")
    assert dashboard.summary(requester, platform.now).last_events == ()


def test_the_audit_log_is_paged_and_filtered(platform: Any, issued: list[Any]) -> None:
    everything = audit.list_events(platform.admin, limit=500)
    first = audit.list_events(platform.admin, limit=3)
    second = audit.list_events(platform.admin, limit=3, cursor=first.next_cursor)
    assert [*first.items, *second.items] == list(everything.items[:6])
    back = audit.list_events(platform.admin, limit=3, cursor=second.previous_cursor)
    assert back.items == first.items
    [only] = audit.list_events(platform.admin, target=issued[0].serial_number).items
    assert only.action == "certificate.issued"
