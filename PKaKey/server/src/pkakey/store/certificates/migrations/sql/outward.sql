-- What the signer and the status process may ask: these functions are all that their roles can do.

CREATE FUNCTION intents.signing_intent(intent_id uuid)
RETURNS TABLE (authority_key_id uuid, kind text, tbs_sha256 bytea, state text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT i.authority_key_id, i.kind::text, i.tbs_sha256, i.state::text
    FROM certificates_intent i WHERE i.id = signing_intent.intent_id
$$;

-- One row when the authority has issued this serial number (lower-case hex), else none: what is
-- not known is not good (RFC 6960 section 2.2).
CREATE FUNCTION status.certificate_status(authority uuid, serial_number text)
RETURNS TABLE (revoked_at timestamptz, reason text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT c.revoked_at, c.revocation_reason::text FROM certificates_certificate c
    WHERE c.authority_id = certificate_status.authority
      AND c.serial_number = certificate_status.serial_number
$$;

CREATE FUNCTION status.current_crl(authority uuid)
RETURNS TABLE (der bytea, number bigint, this_update timestamptz, next_update timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT c.der, c.number, c.this_update, c.next_update FROM authorities_crl c
    WHERE c.authority_id = current_crl.authority ORDER BY c.number DESC LIMIT 1
$$;

CREATE FUNCTION status.authority_certificate(authority uuid)
RETURNS TABLE (der bytea, not_before timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT a.certificate_der, a.not_before FROM authorities_authority a
    WHERE a.id = authority_certificate.authority AND a.certificate_der IS NOT NULL
$$;

-- The newest responder of each authority, with the hashes that a CertID names the authority by.
CREATE FUNCTION status.ocsp_responders()
RETURNS TABLE (authority_id uuid, authority_der bytea, responder_der bytea, key_id uuid,
               name_sha1 bytea, key_sha1 bytea, name_sha256 bytea, key_sha256 bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT DISTINCT ON (a.id) a.id, a.certificate_der, r.certificate_der, r.key_id,
           a.name_sha1, a.key_sha1, a.name_sha256, a.key_sha256
    FROM authorities_authority a JOIN authorities_ocspresponder r ON r.authority_id = a.id
    WHERE a.certificate_der IS NOT NULL ORDER BY a.id, r.not_before DESC, r.not_after DESC
$$;
