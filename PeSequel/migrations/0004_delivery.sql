-- migrate:up
SET LOCAL ROLE inventory_owner;

-- The consumer of PKaKey's events. An event is a JSON object as PKaKey/events writes it: id, type,
-- version, namespace, occurred_at, actor, payload. Everything here may happen twice without harm.

-- Apply a batch of events in their order, and return the batch's number. One transaction: either
-- all of it counts, or nothing. Two relays at once take turns.
CREATE FUNCTION inventory.deliver(p_events jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, inventory AS $$
DECLARE
    batch bigint;
BEGIN
    IF jsonb_typeof(p_events) IS DISTINCT FROM 'array' OR jsonb_array_length(p_events) = 0 THEN
        RAISE EXCEPTION 'A batch is a JSON array of one event or more.';
    END IF;
    UPDATE progress p SET
        batch = p.batch + 1, events = p.events + jsonb_array_length(p_events),
        last_event = (p_events -> -1 ->> 'id')::uuid,
        last_event_at = (p_events -> -1 ->> 'occurred_at')::timestamptz,
        delivered_at = now()
    RETURNING p.batch INTO batch;
    PERFORM apply_authorities(p_events);
    PERFORM apply_profiles(p_events);
    PERFORM apply_certificates(p_events);
    PERFORM apply_revocations(p_events);
    PERFORM apply_records(p_events);
    PERFORM set_aside_unknown(p_events);
    RETURN batch;
END $$;

-- The events of one type, in any of these versions.
CREATE FUNCTION inventory.events_of(p_events jsonb, p_type text, p_versions integer[])
RETURNS TABLE (id uuid, namespace text, at timestamptz, actor jsonb, payload jsonb)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT (e ->> 'id')::uuid, e ->> 'namespace', (e ->> 'occurred_at')::timestamptz, e -> 'actor',
           e -> 'payload'
    FROM jsonb_array_elements(p_events) AS e
    WHERE e ->> 'type' = p_type AND (e ->> 'version')::integer = ANY (p_versions)
$$;

CREATE FUNCTION inventory.apply_authorities(p_events jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, inventory AS $$
BEGIN
    -- What an event refers to exists, even if only by its id as yet.
    INSERT INTO authority (authority_id)
    SELECT DISTINCT named.id FROM jsonb_array_elements(p_events) AS e,
        LATERAL (VALUES ((e #>> '{payload,authority_id}')::uuid),
                        ((e #>> '{payload,parent_id}')::uuid)) AS named (id)
    WHERE named.id IS NOT NULL
    ON CONFLICT DO NOTHING;

    UPDATE authority a SET
        namespace = e.namespace, parent_id = (e.payload ->> 'parent_id')::uuid,
        name = e.payload ->> 'name', profile = e.payload ->> 'profile',
        key_algorithm = e.payload ->> 'key_algorithm', key_id = e.payload ->> 'key_id',
        subject = e.payload ->> 'subject', serial_number = e.payload ->> 'serial_number',
        not_before = (e.payload ->> 'not_before')::timestamptz,
        not_after = (e.payload ->> 'not_after')::timestamptz,
        certificate_sha256 = e.payload ->> 'certificate_sha256', created_at = e.at
    FROM events_of(p_events, 'authority.created', '{1,2}') AS e
    WHERE a.authority_id = (e.payload ->> 'authority_id')::uuid AND a.created_at IS NULL;

    INSERT INTO authority_grant (authority_id, namespace, granted_at)
    SELECT (e.payload ->> 'authority_id')::uuid, e.payload ->> 'granted_namespace', e.at
    FROM events_of(p_events, 'authority.granted', '{1}') AS e
    ON CONFLICT DO NOTHING;

    UPDATE authority a SET
        crl_number = c.number, crl_this_update = (c.payload ->> 'this_update')::timestamptz,
        crl_next_update = (c.payload ->> 'next_update')::timestamptz,
        crl_revoked_count = (c.payload ->> 'revoked_count')::bigint,
        crl_sha256 = c.payload ->> 'crl_sha256'
    FROM (SELECT DISTINCT ON (e.payload ->> 'authority_id')
              (e.payload ->> 'authority_id')::uuid AS authority_id,
              (e.payload ->> 'crl_number')::bigint AS number, e.payload
          FROM events_of(p_events, 'crl.published', '{1}') AS e
          ORDER BY e.payload ->> 'authority_id', (e.payload ->> 'crl_number')::bigint DESC) AS c
    -- The newest CRL is the one with the highest number (RFC 5280 section 5.2.3).
    WHERE a.authority_id = c.authority_id AND coalesce(a.crl_number, -1) < c.number;
END $$;

CREATE FUNCTION inventory.apply_profiles(p_events jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, inventory AS $$
    INSERT INTO profile (namespace, name, version, title, description, kind, digest, rules,
                         published_at)
    SELECT e.namespace, e.payload ->> 'name', (e.payload ->> 'version')::integer,
           e.payload ->> 'title', e.payload ->> 'description', e.payload ->> 'kind',
           e.payload ->> 'digest', e.payload -> 'rules', e.at
    FROM events_of(p_events, 'profile.published', '{1}') AS e
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION inventory.search_text(p_subject text, p_names text[], p_serial_number text)
RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT lower(concat_ws(' ', p_subject, array_to_string(p_names, ' '), p_serial_number))
$$;

CREATE FUNCTION inventory.apply_certificates(p_events jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, inventory AS $$
    WITH issued AS (
        SELECT e.namespace, e.at, e.actor, e.payload AS p, n.names, n.typed_names
        FROM events_of(p_events, 'certificate.issued', '{1,2}') AS e,
            LATERAL (
                SELECT coalesce(array_agg(x ->> 'value' ORDER BY i), '{}') AS names,
                       coalesce(array_agg((x ->> 'kind') || ':' || (x ->> 'value') ORDER BY i), '{}')
                           AS typed_names
                FROM jsonb_array_elements(e.payload -> 'names') WITH ORDINALITY AS t (x, i)
            ) AS n
    ), added AS (
        INSERT INTO certificate (
            certificate_id, namespace, authority_id, serial_number, subject, names, typed_names,
            search_text, not_before, not_after, issued_at, certificate_sha256, public_key_sha256,
            key_id, key_algorithm, signature_algorithm, profile, profile_version, purpose, source,
            requested_by, requested_by_kind, request_id)
        SELECT (p ->> 'certificate_id')::uuid, i.namespace, (p ->> 'authority_id')::uuid,
               p ->> 'serial_number', p ->> 'subject', i.names, i.typed_names,
               search_text(p ->> 'subject', i.names, p ->> 'serial_number'),
               (p ->> 'not_before')::timestamptz, (p ->> 'not_after')::timestamptz, i.at,
               p ->> 'certificate_sha256', p ->> 'public_key_sha256', p ->> 'key_id',
               p ->> 'key_algorithm', p ->> 'signature_algorithm', p ->> 'profile',
               (p ->> 'profile_version')::integer, p ->> 'purpose', p ->> 'source',
               i.actor ->> 'name', i.actor ->> 'kind', p ->> 'request_id'
        FROM issued i
        ON CONFLICT DO NOTHING
        RETURNING namespace, issued_at
    )
    INSERT INTO daily_count AS d (namespace, day, issued)
    SELECT namespace, (issued_at AT TIME ZONE 'UTC')::date, count(*) FROM added GROUP BY 1, 2
    ON CONFLICT (namespace, day) DO UPDATE SET issued = d.issued + excluded.issued
$$;

CREATE FUNCTION inventory.apply_revocations(p_events jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, inventory AS $$
BEGIN
    WITH revoked AS (
        UPDATE certificate c SET
            revoked_at = (e.payload ->> 'revoked_at')::timestamptz,
            revocation_reason = e.payload ->> 'reason', revoked_by = e.actor ->> 'name'
        FROM events_of(p_events, 'certificate.revoked', '{1}') AS e
        WHERE c.certificate_id = (e.payload ->> 'certificate_id')::uuid AND c.revoked_at IS NULL
        RETURNING c.namespace, c.revoked_at
    )
    INSERT INTO daily_count AS d (namespace, day, revoked)
    SELECT namespace, (revoked_at AT TIME ZONE 'UTC')::date, count(*) FROM revoked GROUP BY 1, 2
    ON CONFLICT (namespace, day) DO UPDATE SET revoked = d.revoked + excluded.revoked;

    -- The relay keeps the order of each certificate's events, so this is a sign of a lost one.
    INSERT INTO set_aside (event_id, type, version, reason)
    SELECT e.id, 'certificate.revoked', 1, 'The certificate is not in the inventory.'
    FROM events_of(p_events, 'certificate.revoked', '{1}') AS e
    WHERE NOT EXISTS (SELECT FROM certificate c
                      WHERE c.certificate_id = (e.payload ->> 'certificate_id')::uuid)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION inventory.apply_records(p_events jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, inventory AS $$
BEGIN
    INSERT INTO abandoned_request (request_id, namespace, authority_id, serial_number, subject,
        profile, source, requested_by, requested_by_kind, requested_at, abandoned_at, note)
    SELECT (p ->> 'request_id')::uuid, e.namespace, (p ->> 'authority_id')::uuid,
           p ->> 'serial_number', p ->> 'subject', p ->> 'profile', p ->> 'source',
           p ->> 'requested_by', p ->> 'requested_by_kind', (p ->> 'requested_at')::timestamptz,
           e.at, p ->> 'note'
    FROM events_of(p_events, 'request.abandoned', '{1}') AS e, LATERAL (SELECT e.payload AS p) AS x
    ON CONFLICT DO NOTHING;

    INSERT INTO audit_entry (entry_id, namespace, at, action, actor_kind, actor_id, actor_name,
                             target, request_id, data, leaf_hash)
    SELECT (p ->> 'entry_id')::bigint, e.namespace, e.at, p ->> 'action', e.actor ->> 'kind',
           e.actor ->> 'id', e.actor ->> 'name', p ->> 'target', p ->> 'request_id', p ->> 'data',
           p ->> 'leaf_hash'
    FROM events_of(p_events, 'audit.recorded', '{1}') AS e, LATERAL (SELECT e.payload AS p) AS x
    ON CONFLICT DO NOTHING;
END $$;

-- Every type that this version knows; the last ones say nothing that the inventory keeps.
CREATE FUNCTION inventory.known_types() RETURNS TABLE (type text, version integer)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    VALUES ('authority.created', 1), ('authority.created', 2), ('authority.granted', 1),
        ('audit.recorded', 1), ('certificate.issued', 1), ('certificate.issued', 2),
        ('certificate.revoked', 1), ('crl.published', 1), ('profile.published', 1),
        ('request.abandoned', 1),
        ('certificate.expiring', 1), ('gateway-certificate.renewed', 1)
$$;

CREATE FUNCTION inventory.set_aside_unknown(p_events jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, inventory AS $$
    INSERT INTO set_aside (event_id, type, version, reason)
    SELECT (e ->> 'id')::uuid, e ->> 'type', (e ->> 'version')::integer,
           coalesce(e ->> 'trouble', 'This version does not know the type.')
    FROM jsonb_array_elements(p_events) AS e
    WHERE e ? 'trouble'
       OR (e ->> 'type', (e ->> 'version')::integer) NOT IN (SELECT type, version FROM known_types())
    ON CONFLICT DO NOTHING
$$;

-- The relay says what still waits at its end, so that the lag can be told here.
CREATE FUNCTION inventory.report_waiting(p_waiting bigint, p_oldest_at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, inventory AS $$
    UPDATE progress SET waiting = p_waiting, oldest_waiting_at = p_oldest_at, delivered_at = now()
$$;

CREATE FUNCTION inventory.state()
RETURNS TABLE (batch bigint, events bigint, last_event uuid, last_event_at timestamptz,
               delivered_at timestamptz, waiting bigint, lag_seconds double precision,
               set_aside bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, inventory AS $$
    SELECT p.batch, p.events, p.last_event, p.last_event_at, p.delivered_at, p.waiting,
           coalesce(greatest(extract(epoch FROM now() - p.oldest_waiting_at), 0), 0),
           (SELECT count(*) FROM set_aside)
    FROM progress p
$$;

-- Empty everything. The relay sees that batch 0 is behind what it has delivered, and delivers all.
CREATE FUNCTION inventory.reset() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, inventory AS $$
BEGIN
    TRUNCATE certificate, abandoned_request, audit_entry, daily_count, profile, authority_grant,
        authority, set_aside, progress;
    INSERT INTO progress DEFAULT VALUES;
END $$;

GRANT EXECUTE ON FUNCTION inventory.deliver(jsonb), inventory.report_waiting(bigint, timestamptz),
    inventory.state(), inventory.reset() TO inventory_writer;
GRANT EXECUTE ON FUNCTION inventory.state() TO api_owner;

RESET ROLE;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
