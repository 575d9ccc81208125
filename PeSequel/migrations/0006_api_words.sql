-- migrate:up

-- The words of the OpenAPI document. A test asks for one on every view, column and function.
SET LOCAL ROLE api_owner;

COMMENT ON VIEW api.certificates IS 'Every certificate of your namespace.';
COMMENT ON COLUMN api.certificates.certificate_id IS 'The certificates own id in PKaKey.';
COMMENT ON COLUMN api.certificates.namespace IS 'The namespace that the certificate belongs to.';
COMMENT ON COLUMN api.certificates.authority_id IS
    'The authority that issued it; embeds as `authorities`.';
COMMENT ON COLUMN api.certificates.serial_number IS
    'The serial number in lower-case hex, without prefix or leading zeros.';
COMMENT ON COLUMN api.certificates.subject IS 'The subjects distinguished name (RFC 4514).';
COMMENT ON COLUMN api.certificates.names IS 'The subject alternative names, without their kinds.';
COMMENT ON COLUMN api.certificates.typed_names IS
    'The same names with their kinds, such as dns:www.example.org.';
COMMENT ON COLUMN api.certificates.not_before IS 'The first moment of its validity.';
COMMENT ON COLUMN api.certificates.not_after IS 'The last moment of its validity.';
COMMENT ON COLUMN api.certificates.status IS
    'valid, expired or revoked, at the moment of the question.';
COMMENT ON COLUMN api.certificates.issued_at IS 'When it was issued.';
COMMENT ON COLUMN api.certificates.revoked_at IS 'When it was revoked; null if it was not.';
COMMENT ON COLUMN api.certificates.revocation_reason IS
    'Why it was revoked (RFC 5280 section 5.3.1).';
COMMENT ON COLUMN api.certificates.certificate_sha256 IS
    'The fingerprint: SHA-256 of the DER, in lower-case hex.';
COMMENT ON COLUMN api.certificates.public_key_sha256 IS
    'SHA-256 of the public key (SubjectPublicKeyInfo), in lower-case hex.';
COMMENT ON COLUMN api.certificates.key_id IS
    'The subject key identifier (RFC 5280 section 4.2.1.2), in lower-case hex.';
COMMENT ON COLUMN api.certificates.key_algorithm IS 'The kind of its key, such as EC P-256.';
COMMENT ON COLUMN api.certificates.signature_algorithm IS 'The algorithm of the signature on it.';
COMMENT ON COLUMN api.certificates.profile IS 'The profile that it was issued under.';
COMMENT ON COLUMN api.certificates.profile_version IS 'The version of that profile.';
COMMENT ON COLUMN api.certificates.purpose IS
    'Empty for an ordinary certificate; else what part of the platform it is for.';
COMMENT ON COLUMN api.certificates.source IS
    'The way by which the request came: api, portal, cli, acme and so on.';
COMMENT ON COLUMN api.certificates.requested_by IS 'Who asked for it, by name.';
COMMENT ON COLUMN api.certificates.requested_by_kind IS 'What asked for it: user, token or system.';

COMMENT ON VIEW api.authorities IS 'The authorities of your namespace, and those that are granted to it.';
COMMENT ON COLUMN api.authorities.authority_id IS 'The authoritys own id in PKaKey.';
COMMENT ON COLUMN api.authorities.namespace IS 'The namespace that the authority belongs to.';
COMMENT ON COLUMN api.authorities.parent_id IS
    'The authority that issued its certificate; null for a root.';
COMMENT ON COLUMN api.authorities.name IS 'Its name.';
COMMENT ON COLUMN api.authorities.subject IS 'The subject of its certificate.';
COMMENT ON COLUMN api.authorities.serial_number IS
    'The serial number of its certificate, in lower-case hex.';
COMMENT ON COLUMN api.authorities.profile IS 'The profile of its certificate.';
COMMENT ON COLUMN api.authorities.key_algorithm IS 'The kind of its key.';
COMMENT ON COLUMN api.authorities.key_id IS
    'The subject key identifier of its certificate, in lower-case hex.';
COMMENT ON COLUMN api.authorities.not_before IS 'The first moment of its validity.';
COMMENT ON COLUMN api.authorities.not_after IS 'The last moment of its validity.';
COMMENT ON COLUMN api.authorities.certificate_sha256 IS
    'The fingerprint of its certificate: SHA-256 of the DER.';
COMMENT ON COLUMN api.authorities.created_at IS 'When it could issue for the first time.';
COMMENT ON COLUMN api.authorities.crl_number IS
    'The number of its newest CRL (RFC 5280 section 5.2.3).';
COMMENT ON COLUMN api.authorities.crl_this_update IS 'When that CRL was issued.';
COMMENT ON COLUMN api.authorities.crl_next_update IS 'When the next CRL is due at the latest.';
COMMENT ON COLUMN api.authorities.crl_revoked_count IS 'How many certificates that CRL lists.';
COMMENT ON COLUMN api.authorities.crl_sha256 IS 'SHA-256 of that CRLs DER.';

COMMENT ON VIEW api.profiles IS 'Every version of every profile of your namespace.';
COMMENT ON COLUMN api.profiles.namespace IS 'The namespace of the profile.';
COMMENT ON COLUMN api.profiles.name IS 'The profiles name.';
COMMENT ON COLUMN api.profiles.version IS 'Its version; a version never changes.';
COMMENT ON COLUMN api.profiles.title IS 'Its title for people.';
COMMENT ON COLUMN api.profiles.description IS 'What it is for.';
COMMENT ON COLUMN api.profiles.kind IS 'end-entity, authority or ocsp-responder.';
COMMENT ON COLUMN api.profiles.is_current IS
    'Whether new certificates are issued under this version.';
COMMENT ON COLUMN api.profiles.digest IS 'SHA-256 of the profiles data.';
COMMENT ON COLUMN api.profiles.rules IS 'The rules themselves.';
COMMENT ON COLUMN api.profiles.published_at IS 'When this version was published.';

COMMENT ON VIEW api.requests IS 'Every request that was accepted, and what became of it.';
COMMENT ON COLUMN api.requests.request_id IS
    'The requests id; a certificate that came of it has the same.';
COMMENT ON COLUMN api.requests.namespace IS 'The namespace that asked.';
COMMENT ON COLUMN api.requests.authority_id IS
    'The authority that was asked; embeds as `authorities`.';
COMMENT ON COLUMN api.requests.outcome IS 'issued, or abandoned.';
COMMENT ON COLUMN api.requests.serial_number IS 'The serial number that was intended.';
COMMENT ON COLUMN api.requests.subject IS 'The subject that was asked for.';
COMMENT ON COLUMN api.requests.profile IS 'The profile that was asked for.';
COMMENT ON COLUMN api.requests.source IS 'The way by which the request came.';
COMMENT ON COLUMN api.requests.requested_by IS 'Who asked, by name.';
COMMENT ON COLUMN api.requests.requested_by_kind IS 'What asked: user, token or system.';
COMMENT ON COLUMN api.requests.requested_at IS 'When it was accepted.';
COMMENT ON COLUMN api.requests.note IS 'Why an abandoned one was given up.';

COMMENT ON VIEW api.revocations IS 'Every revoked certificate, newest first if you order by revoked_at.';
COMMENT ON COLUMN api.revocations.certificate_id IS 'The certificate that was revoked.';
COMMENT ON COLUMN api.revocations.namespace IS 'The namespace that it belongs to.';
COMMENT ON COLUMN api.revocations.authority_id IS
    'The authority that issued and revoked it; embeds as `authorities`.';
COMMENT ON COLUMN api.revocations.serial_number IS 'Its serial number, in lower-case hex.';
COMMENT ON COLUMN api.revocations.subject IS 'Its subject.';
COMMENT ON COLUMN api.revocations.names IS 'Its subject alternative names.';
COMMENT ON COLUMN api.revocations.not_after IS 'When it would have ended by itself.';
COMMENT ON COLUMN api.revocations.revoked_at IS 'When it was revoked.';
COMMENT ON COLUMN api.revocations.reason IS 'Why (RFC 5280 section 5.3.1).';
COMMENT ON COLUMN api.revocations.revoked_by IS 'Who revoked it, by name.';

COMMENT ON VIEW api.audit_entries IS 'The audit log of your namespace. Needs a role that reads it, or the scope audit:read.';
COMMENT ON COLUMN api.audit_entries.entry_id IS 'The entrys number in the log.';
COMMENT ON COLUMN api.audit_entries.namespace IS 'The namespace of the act.';
COMMENT ON COLUMN api.audit_entries.at IS 'When it happened.';
COMMENT ON COLUMN api.audit_entries.action IS 'What was done, such as certificate.revoked.';
COMMENT ON COLUMN api.audit_entries.actor_kind IS 'What did it: user, token or system.';
COMMENT ON COLUMN api.audit_entries.actor_id IS 'Who did it, by id.';
COMMENT ON COLUMN api.audit_entries.actor_name IS 'Who did it, by name.';
COMMENT ON COLUMN api.audit_entries.target IS 'What it was done to.';
COMMENT ON COLUMN api.audit_entries.request_id IS
    'The id of the request that did it, as in the logs.';
COMMENT ON COLUMN api.audit_entries.data IS
    'The entry itself: the exact JSON text that leaf_hash is over.';
COMMENT ON COLUMN api.audit_entries.leaf_hash IS
    'Its leaf hash in the Merkle tree (RFC 9162 section 2.1.1), in hex.';

COMMENT ON VIEW api.expiring IS 'Certificates that end within 30 days and are not revoked.';
COMMENT ON COLUMN api.expiring.certificate_id IS 'The certificate.';
COMMENT ON COLUMN api.expiring.namespace IS 'The namespace that it belongs to.';
COMMENT ON COLUMN api.expiring.authority_id IS
    'The authority that issued it; embeds as `authorities`.';
COMMENT ON COLUMN api.expiring.serial_number IS 'Its serial number, in lower-case hex.';
COMMENT ON COLUMN api.expiring.subject IS 'Its subject.';
COMMENT ON COLUMN api.expiring.names IS 'Its subject alternative names.';
COMMENT ON COLUMN api.expiring.not_after IS 'When it ends.';
COMMENT ON COLUMN api.expiring.days_left IS 'Whole days until then.';
COMMENT ON COLUMN api.expiring.profile IS 'The profile that it was issued under.';
COMMENT ON COLUMN api.expiring.requested_by IS 'Who asked for it.';

COMMENT ON VIEW api.algorithms IS 'The algorithms of all valid certificates, counted.';
COMMENT ON COLUMN api.algorithms.namespace IS 'The namespace of the certificates.';
COMMENT ON COLUMN api.algorithms.key_algorithm IS 'The kind of their keys.';
COMMENT ON COLUMN api.algorithms.signature_algorithm IS 'The algorithm of the signatures on them.';
COMMENT ON COLUMN api.algorithms.certificates IS 'How many there are.';
COMMENT ON COLUMN api.algorithms.first_ends_at IS 'When the first of them ends.';
COMMENT ON COLUMN api.algorithms.last_ends_at IS 'When the last of them ends.';

COMMENT ON VIEW api.daily_counts IS 'How many certificates were issued and revoked on each day.';
COMMENT ON COLUMN api.daily_counts.namespace IS 'The namespace of the certificates.';
COMMENT ON COLUMN api.daily_counts.day IS 'The day, in UTC.';
COMMENT ON COLUMN api.daily_counts.issued IS 'Issued on that day.';
COMMENT ON COLUMN api.daily_counts.revoked IS 'Revoked on that day.';

COMMENT ON VIEW api.freshness IS 'How far the inventory is behind PKaKey.';
COMMENT ON COLUMN api.freshness.last_event_at IS 'When the newest event that arrived had happened.';
COMMENT ON COLUMN api.freshness.delivered_at IS 'When the relay last delivered or looked.';
COMMENT ON COLUMN api.freshness.waiting IS 'Events that still waited then.';
COMMENT ON COLUMN api.freshness.lag_seconds IS
    'The age of the oldest of them, in seconds; 0 when none waits.';
COMMENT ON COLUMN api.freshness.set_aside IS
    'Events that this version did not know and kept for a rebuild.';

COMMENT ON FUNCTION api.search_by_name(text) IS
    'Certificates whose names, subject or serial number contain this text, at most 1,000. Takes 3 to 255 characters; case does not matter.';
COMMENT ON FUNCTION api.search_by_serial_number(text) IS
    'Certificates with this serial number in hex; colons, spaces, upper case and 0x are taken too.';
COMMENT ON FUNCTION api.search_by_fingerprint(text) IS
    'The certificate with this SHA-256 fingerprint in hex; colons, spaces and upper case are taken too.';
COMMENT ON FUNCTION api.search_by_key_id(text) IS
    'Certificates with this subject key identifier in hex; colons, spaces and upper case are taken too.';

RESET ROLE;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
