-- The path of one certificate (docs/flows/issuance.md): one function for each commit. They run as
-- pkakey_functions, bound to the namespace that they set first; the processes' roles can write
-- intents, certificates, audit entries and events in no other way.

CREATE FUNCTION pki.record(
    p_at timestamptz, p_action text, p_actor_kind text, p_actor_id text, p_actor_name text,
    p_target text, p_request text, p_details jsonb,
    p_event uuid, p_event_type text, p_event_version smallint, p_payload jsonb
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    entry text := jsonb_build_object(
        'namespace', pki.namespace(), 'at', p_at, 'action', p_action,
        'actor', jsonb_build_object('kind', p_actor_kind, 'id', p_actor_id, 'name', p_actor_name),
        'target', p_target, 'request', p_request, 'details', p_details)::text;
BEGIN
    -- RFC 9162 section 2.1.1: the hash of a leaf is SHA-256 over 0x00 and the leaf.
    INSERT INTO audit_entry (namespace_id, at, action, actor_kind, actor_id, actor_name, target,
                             request_id, data, leaf_hash)
    VALUES (pki.namespace(), p_at, p_action, p_actor_kind, p_actor_id, p_actor_name, p_target,
            p_request, entry, sha256('\x00'::bytea || convert_to(entry, 'UTF8')));
    IF p_event IS NOT NULL THEN
        INSERT INTO outbox_event (id, namespace_id, type, version, actor_kind, actor_id, actor_name,
                                  payload, occurred_at)
        VALUES (p_event, pki.namespace(), p_event_type, p_event_version, p_actor_kind, p_actor_id,
                p_actor_name, p_payload, p_at);
    END IF;
END $$;

-- Step 1. outcome: recorded; exists (this intent, or an earlier one with the same idempotency key:
-- `intent` names it); key-reused; token-revoked; token-scope; stale (the caller's idea of the
-- authority or the profile is not what is stored: read again).
CREATE FUNCTION pki.issue_intent(
    p_namespace uuid, p_actor_kind text, p_actor_id text, p_actor_name text, p_request_id text,
    p_id uuid, p_authority uuid, p_authority_version integer, p_is_default boolean,
    p_kind text, p_purpose text, p_beneficiary uuid, p_tbs bytea, p_serial_number text,
    p_subject text, p_names text[], p_not_before timestamptz, p_not_after timestamptz,
    p_public_key_sha256 text, p_profile text, p_profile_version integer, p_profile_digest text,
    p_request_der bytea, p_source text, p_now timestamptz, p_key text, p_key_sha256 bytea
) RETURNS TABLE (outcome text, intent uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
    key_id uuid;
    token_scopes varchar[];
    earlier record;
BEGIN
    PERFORM set_config('pkakey.namespace', p_namespace::text, true);
    IF p_actor_kind = 'token' THEN
        SELECT t.scopes INTO token_scopes FROM tokens_token t
        WHERE t.id = p_actor_id::uuid AND t.revoked_at IS NULL AND t.expires_at > p_now;
        IF NOT FOUND THEN
            RETURN QUERY SELECT 'token-revoked', NULL::uuid; RETURN;
        END IF;
        IF NOT 'certificates:issue' = ANY (token_scopes) THEN
            RETURN QUERY SELECT 'token-scope', NULL::uuid; RETURN;
        END IF;
    END IF;
    IF p_key IS NOT NULL THEN
        -- One request at a time for one key: the second waits for the first one's commit.
        PERFORM pg_advisory_xact_lock(
            hashtextextended(p_namespace || p_actor_kind || p_actor_id || p_key, 0));
        SELECT k.intent_id, k.request_sha256 INTO earlier FROM certificates_idempotencykey k
        WHERE k.actor_id = p_actor_kind || ':' || p_actor_id AND k.key = p_key
          AND k.namespace_id = p_namespace;
        IF FOUND THEN
            RETURN QUERY SELECT CASE WHEN earlier.request_sha256 = p_key_sha256
                THEN 'exists' ELSE 'key-reused' END, earlier.intent_id;
            RETURN;
        END IF;
    END IF;
    SELECT a.key_id INTO key_id FROM authorities_authority a
    WHERE a.id = p_authority AND a.version = p_authority_version
      AND (a.state = 'active' OR p_purpose = 'authority');
    IF NOT FOUND
       OR (p_is_default AND NOT EXISTS (SELECT FROM namespaces_namespace n
               WHERE n.id = p_namespace AND n.default_authority_id = p_authority))
       OR (p_profile_digest <> '' AND NOT EXISTS (SELECT FROM profiles_profile p
               WHERE p.namespace_id = p_namespace AND p.name = p_profile AND p.is_current
                 AND p.version = p_profile_version AND p.digest = p_profile_digest)) THEN
        RETURN QUERY SELECT 'stale', NULL::uuid; RETURN;
    END IF;
    INSERT INTO certificates_intent (
        id, namespace_id, authority_id, authority_key_id, kind, purpose, beneficiary_id, state,
        tbs, tbs_sha256, serial_number, subject, names, not_before, not_after, public_key_sha256,
        profile, profile_version, request_der, source, actor_kind, actor_id, actor_name,
        request_id, created_at, note
    ) VALUES (
        p_id, p_namespace, p_authority, key_id, p_kind, p_purpose, p_beneficiary, 'open',
        p_tbs, sha256(p_tbs), p_serial_number, p_subject, p_names, p_not_before, p_not_after,
        p_public_key_sha256, p_profile, p_profile_version, p_request_der, p_source, p_actor_kind,
        p_actor_id, p_actor_name, p_request_id, p_now, ''
    ) ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        -- The connection broke after the commit, and the caller asks again.
        RETURN QUERY SELECT 'recorded', p_id; RETURN;
    END IF;
    IF p_key IS NOT NULL THEN
        INSERT INTO certificates_idempotencykey (id, namespace_id, actor_id, key, request_sha256,
                                                 intent_id, created_at)
        VALUES (gen_random_uuid(), p_namespace, p_actor_kind || ':' || p_actor_id, p_key,
                p_key_sha256, p_id, p_now);
    END IF;
    RETURN QUERY SELECT 'recorded', p_id;
END $$;

CREATE FUNCTION pki.names_as_json(p_names text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'kind', split_part(n, ':', 1), 'value', substr(n, strpos(n, ':') + 1))), '[]'::jsonb)
    FROM unnest(p_names) AS n
$$;

-- Step 4. outcome: stored; exists (it was stored before); closed (the intent is no longer open).
CREATE FUNCTION pki.store_certificate(
    p_namespace uuid, p_intent uuid, p_der bytea, p_now timestamptz, p_event uuid
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    i certificates_intent%ROWTYPE;
    fingerprint text := encode(sha256(p_der), 'hex');
BEGIN
    PERFORM set_config('pkakey.namespace', p_namespace::text, true);
    UPDATE certificates_intent SET state = 'completed', closed_at = p_now
    WHERE id = p_intent AND state = 'open' AND kind = 'certificate' RETURNING * INTO i;
    IF NOT FOUND THEN
        RETURN CASE WHEN EXISTS (SELECT FROM certificates_certificate c
                                 WHERE c.id = p_intent AND c.der = p_der)
               THEN 'exists' ELSE 'closed' END;
    END IF;
    INSERT INTO certificates_certificate (
        id, namespace_id, authority_id, serial_number, der, sha256, purpose, subject, names,
        search_text, not_before, not_after, public_key_sha256, profile, profile_version, source,
        requested_by, issued_at
    ) VALUES (
        i.id, i.namespace_id, i.authority_id, i.serial_number, p_der, fingerprint, i.purpose,
        i.subject, i.names,
        upper(i.subject || ' ' || array_to_string(i.names, ' ') || ' ' || i.serial_number),
        i.not_before, i.not_after, i.public_key_sha256, i.profile, i.profile_version, i.source,
        i.actor_name, i.created_at
    );
    PERFORM pki.record(
        i.created_at, 'certificate.issued', i.actor_kind, i.actor_id, i.actor_name,
        i.serial_number, i.request_id,
        jsonb_build_object('certificate', i.id, 'sha256', fingerprint, 'authority', i.authority_id,
            'subject', i.subject, 'profile', i.profile, 'profile_version', i.profile_version,
            'source', i.source, 'purpose', i.purpose),
        p_event, 'certificate.issued', 1::smallint,
        jsonb_build_object('certificate_id', i.id, 'serial_number', i.serial_number,
            'authority_id', i.authority_id, 'profile', i.profile,
            'profile_version', i.profile_version, 'subject', i.subject,
            'names', pki.names_as_json(i.names), 'not_before', i.not_before,
            'not_after', i.not_after, 'certificate_sha256', fingerprint, 'source', i.source));
    RETURN 'stored';
END $$;

-- The same for a CRL. outcome as above.
CREATE FUNCTION pki.store_crl(
    p_namespace uuid, p_intent uuid, p_der bytea, p_count bigint, p_now timestamptz, p_event uuid
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    i certificates_intent%ROWTYPE;
    crl_number bigint;
BEGIN
    PERFORM set_config('pkakey.namespace', p_namespace::text, true);
    UPDATE certificates_intent SET state = 'completed', closed_at = p_now
    WHERE id = p_intent AND state = 'open' AND kind = 'crl' RETURNING * INTO i;
    IF NOT FOUND THEN
        RETURN CASE WHEN EXISTS (SELECT FROM authorities_crl c WHERE c.id = p_intent)
               THEN 'exists' ELSE 'closed' END;
    END IF;
    crl_number := ('x' || lpad(i.serial_number, 16, '0'))::bit(64)::bigint;
    INSERT INTO authorities_crl (id, namespace_id, authority_id, number, der, revoked_count,
                                 this_update, next_update)
    VALUES (i.id, i.namespace_id, i.authority_id, crl_number, p_der, p_count, i.not_before,
            i.not_after);
    PERFORM pki.record(
        i.created_at, 'crl.published', i.actor_kind, i.actor_id, i.actor_name,
        i.authority_id::text, i.request_id,
        jsonb_build_object('number', crl_number, 'revoked_count', p_count,
                           'sha256', encode(sha256(p_der), 'hex')),
        p_event, 'crl.published', 1::smallint,
        jsonb_build_object('authority_id', i.authority_id, 'crl_number', crl_number,
            'this_update', i.not_before, 'next_update', i.not_after, 'revoked_count', p_count,
            'crl_sha256', encode(sha256(p_der), 'hex')));
    RETURN 'stored';
END $$;

-- The reconciler gives up an intent that the signer refuses and never signed.
CREATE FUNCTION pki.abandon_intent(
    p_namespace uuid, p_intent uuid, p_note text, p_now timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    i certificates_intent%ROWTYPE;
BEGIN
    PERFORM set_config('pkakey.namespace', p_namespace::text, true);
    UPDATE certificates_intent SET state = 'abandoned', closed_at = p_now, note = p_note
    WHERE id = p_intent AND state = 'open' RETURNING * INTO i;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- The key may be used again: nothing came of it.
    DELETE FROM certificates_idempotencykey WHERE intent_id = p_intent;
    PERFORM pki.record(p_now, 'intent.abandoned', 'system', 'reconciler', 'reconciler',
        i.serial_number, i.request_id, jsonb_build_object('intent', i.id, 'note', p_note),
        NULL, NULL, NULL, NULL);
    RETURN true;
END $$;

-- outcome: revoked; already (with the earlier time and reason); missing.
CREATE FUNCTION pki.revoke_certificate(
    p_namespace uuid, p_actor_kind text, p_actor_id text, p_actor_name text, p_request_id text,
    p_serial_number text, p_authority uuid, p_reason text, p_now timestamptz, p_event uuid
) RETURNS TABLE (outcome text, authority uuid, at timestamptz, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
    c certificates_certificate%ROWTYPE;
BEGIN
    PERFORM set_config('pkakey.namespace', p_namespace::text, true);
    IF p_actor_kind = 'token' AND NOT EXISTS (SELECT FROM tokens_token t
            WHERE t.id = p_actor_id::uuid AND t.revoked_at IS NULL) THEN
        RETURN QUERY SELECT 'token-revoked', NULL::uuid, NULL::timestamptz, NULL::text; RETURN;
    END IF;
    SELECT x.* INTO c FROM certificates_certificate x
    WHERE x.serial_number = p_serial_number
      AND (p_authority IS NULL OR x.authority_id = p_authority)
    ORDER BY x.issued_at DESC LIMIT 1 FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'missing', NULL::uuid, NULL::timestamptz, NULL::text; RETURN;
    END IF;
    IF c.revoked_at IS NOT NULL THEN
        RETURN QUERY SELECT 'already', c.authority_id, c.revoked_at, c.revocation_reason::text;
        RETURN;
    END IF;
    UPDATE certificates_certificate SET revoked_at = p_now, revocation_reason = p_reason
    WHERE id = c.id;
    PERFORM pki.record(
        p_now, 'certificate.revoked', p_actor_kind, p_actor_id, p_actor_name, c.serial_number,
        p_request_id, jsonb_build_object('certificate', c.id, 'reason', p_reason,
                                         'authority', c.authority_id),
        p_event, 'certificate.revoked', 1::smallint,
        jsonb_build_object('certificate_id', c.id, 'serial_number', c.serial_number,
            'authority_id', c.authority_id, 'reason', p_reason, 'revoked_at', p_now));
    RETURN QUERY SELECT 'revoked', c.authority_id, p_now, p_reason;
END $$;
