-- migrate:up
SET LOCAL ROLE inventory_owner;

-- Whether an authority issues. Each change has the authority's next version: the highest one that
-- arrived says how it is, in whatever order they came.
ALTER TABLE inventory.authority
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN suspension_version bigint NOT NULL DEFAULT 0;

CREATE FUNCTION inventory.apply_suspensions(p_events jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, inventory AS $$
    UPDATE authority a SET
        suspended_at = CASE WHEN c.is_suspended THEN c.at END, suspension_version = c.version
    FROM (SELECT DISTINCT ON (authority_id) *
          FROM (SELECT (e.payload ->> 'authority_id')::uuid AS authority_id, true AS is_suspended,
                       e.at, (e.payload ->> 'authority_version')::bigint AS version
                FROM events_of(p_events, 'authority.suspended', '{1}') AS e
                UNION ALL
                SELECT (e.payload ->> 'authority_id')::uuid, false, e.at,
                       (e.payload ->> 'authority_version')::bigint
                FROM events_of(p_events, 'authority.activated', '{1}') AS e) AS told
          ORDER BY authority_id, version DESC) AS c
    WHERE a.authority_id = c.authority_id AND a.suspension_version < c.version
$$;

CREATE OR REPLACE FUNCTION inventory.deliver(p_events jsonb) RETURNS bigint
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
    PERFORM apply_suspensions(p_events);
    PERFORM apply_profiles(p_events);
    PERFORM apply_certificates(p_events);
    PERFORM apply_revocations(p_events);
    PERFORM apply_records(p_events);
    PERFORM set_aside_unknown(p_events);
    RETURN batch;
END $$;

CREATE OR REPLACE FUNCTION inventory.known_types() RETURNS TABLE (type text, version integer)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    VALUES ('authority.created', 1), ('authority.created', 2), ('authority.granted', 1),
        ('authority.suspended', 1), ('authority.activated', 1),
        ('audit.recorded', 1), ('certificate.issued', 1), ('certificate.issued', 2),
        ('certificate.revoked', 1), ('crl.published', 1), ('profile.published', 1),
        ('request.abandoned', 1),
        ('certificate.expiring', 1), ('gateway-certificate.renewed', 1)
$$;

RESET ROLE;
SET LOCAL ROLE api_owner;

CREATE OR REPLACE VIEW api.authorities
WITH (security_invoker = true, security_barrier = false) AS
SELECT a.authority_id, a.namespace, a.parent_id, a.name, a.subject, a.serial_number, a.profile,
       a.key_algorithm, a.key_id, a.not_before, a.not_after, a.certificate_sha256, a.created_at,
       a.crl_number, a.crl_this_update, a.crl_next_update, a.crl_revoked_count, a.crl_sha256,
       a.suspended_at
FROM inventory.authority a
WHERE a.created_at IS NOT NULL;
COMMENT ON COLUMN api.authorities.suspended_at IS
    'Since when it issues nothing; null while it may issue. Its CRLs go on.';

RESET ROLE;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
