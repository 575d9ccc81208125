-- migrate:up
SET LOCAL ROLE inventory_owner;

-- Who sees what, for the views of `api`, which run as api_owner. Everybody has one namespace, as in
-- PKaKey (store/certificates/migrations/sql/row_security.sql); a person who signs in to PostgreSQL
-- as a member of people_auditor reads all.
DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['profile', 'certificate', 'abandoned_request', 'daily_count']
    LOOP
        EXECUTE format(
            'CREATE POLICY own_namespace ON inventory.%I FOR SELECT TO api_owner USING '
            '(namespace = (SELECT gate.reads_namespace()) OR (SELECT gate.reads_all()))', table_name);
    END LOOP;
END $$;
CREATE POLICY own_namespace ON inventory.audit_entry FOR SELECT TO api_owner
    USING (namespace = (SELECT gate.audits_namespace()) OR (SELECT gate.reads_all()));
CREATE POLICY own_or_granted ON inventory.authority FOR SELECT TO api_owner
    USING (namespace = (SELECT gate.reads_namespace()) OR (SELECT gate.reads_all())
        OR authority_id IN (SELECT g.authority_id FROM inventory.authority_grant g));
CREATE POLICY granted_to_us ON inventory.authority_grant FOR SELECT TO api_owner
    USING (namespace = (SELECT gate.reads_namespace()) OR (SELECT gate.reads_all()));

-- LIKE is not leakproof, so that under row-level security the trigram index could not be used:
-- the namespace stands in the query itself. In no order, at most so many.
CREATE FUNCTION inventory.matching(p_pattern text, p_limit integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    ours text := gate.reads_namespace();
BEGIN
    -- EXECUTE: planned for this very pattern, so that a common one is not sought by the index.
    RETURN QUERY EXECUTE format(
        'SELECT certificate_id FROM inventory.certificate WHERE search_text LIKE %L AND %s LIMIT %s',
        p_pattern,
        CASE WHEN gate.reads_all() THEN 'true' ELSE format('namespace = %L', ours) END, p_limit);
END $$;

-- What people paste: upper case, colons, spaces, 0x.
CREATE FUNCTION inventory.hex(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT regexp_replace(lower(regexp_replace(p_text, '[\s:]', '', 'g')), '^0x', '')
$$;
GRANT EXECUTE ON FUNCTION inventory.matching(text, integer), inventory.hex(text) TO api_owner;
-- The view runs it as whoever asks; it can be named only by who may use this schema.
GRANT EXECUTE ON FUNCTION inventory.state() TO web_user, people_auditor;

RESET ROLE;
SET LOCAL ROLE api_owner;

CREATE VIEW api.certificates WITH (security_barrier) AS
SELECT c.certificate_id, c.namespace, c.authority_id, c.serial_number, c.subject, c.names,
       c.typed_names, c.not_before, c.not_after,
       CASE WHEN c.revoked_at IS NOT NULL THEN 'revoked'
            WHEN c.not_after < now() THEN 'expired' ELSE 'valid' END AS status,
       c.issued_at, c.revoked_at, c.revocation_reason, c.certificate_sha256, c.public_key_sha256,
       c.key_id, c.key_algorithm, c.signature_algorithm, c.profile, c.profile_version, c.purpose,
       c.source, c.requested_by, c.requested_by_kind
FROM inventory.certificate c;

CREATE VIEW api.authorities WITH (security_barrier) AS
SELECT a.authority_id, a.namespace, a.parent_id, a.name, a.subject, a.serial_number, a.profile,
       a.key_algorithm, a.key_id, a.not_before, a.not_after, a.certificate_sha256, a.created_at,
       a.crl_number, a.crl_this_update, a.crl_next_update, a.crl_revoked_count, a.crl_sha256
FROM inventory.authority a
WHERE a.created_at IS NOT NULL;

CREATE VIEW api.profiles WITH (security_barrier) AS
SELECT p.namespace, p.name, p.version, p.title, p.description, p.kind,
       p.version = max(p.version) OVER (PARTITION BY p.namespace, p.name) AS is_current,
       p.digest, p.rules, p.published_at
FROM inventory.profile p;

CREATE VIEW api.requests WITH (security_barrier) AS
SELECT c.certificate_id AS request_id, c.namespace, c.authority_id, 'issued'::text AS outcome,
       c.serial_number, c.subject, c.profile, c.source, c.requested_by, c.requested_by_kind,
       c.issued_at AS requested_at, NULL::text AS note
FROM inventory.certificate c
UNION ALL
SELECT r.request_id, r.namespace, r.authority_id, 'abandoned', r.serial_number, r.subject,
       r.profile, r.source, r.requested_by, r.requested_by_kind, r.requested_at, r.note
FROM inventory.abandoned_request r;

CREATE VIEW api.revocations WITH (security_barrier) AS
SELECT c.certificate_id, c.namespace, c.authority_id, c.serial_number, c.subject, c.names,
       c.not_after, c.revoked_at, c.revocation_reason AS reason, c.revoked_by
FROM inventory.certificate c
WHERE c.revoked_at IS NOT NULL;

CREATE VIEW api.audit_entries WITH (security_barrier) AS
SELECT e.entry_id, e.namespace, e.at, e.action, e.actor_kind, e.actor_id, e.actor_name, e.target,
       e.request_id, e.data, e.leaf_hash
FROM inventory.audit_entry e;

CREATE VIEW api.expiring WITH (security_barrier) AS
SELECT c.certificate_id, c.namespace, c.authority_id, c.serial_number, c.subject, c.names,
       c.not_after, floor(extract(epoch FROM c.not_after - now()) / 86400)::integer AS days_left,
       c.profile, c.requested_by
FROM inventory.certificate c
WHERE c.revoked_at IS NULL AND c.not_after >= now() AND c.not_after < now() + interval '30 days';

CREATE VIEW api.algorithms WITH (security_barrier) AS
SELECT c.namespace, c.key_algorithm, c.signature_algorithm, count(*) AS certificates,
       min(c.not_after) AS first_ends_at, max(c.not_after) AS last_ends_at
FROM inventory.certificate c
WHERE c.revoked_at IS NULL AND c.not_after >= now()
GROUP BY c.namespace, c.key_algorithm, c.signature_algorithm;

CREATE VIEW api.daily_counts WITH (security_barrier) AS
SELECT d.namespace, d.day, d.issued, d.revoked FROM inventory.daily_count d;

CREATE VIEW api.freshness WITH (security_barrier) AS
SELECT s.last_event_at, s.delivered_at, s.waiting, s.lag_seconds, s.set_aside
FROM inventory.state() AS s
WHERE gate.reads_namespace() IS NOT NULL OR gate.reads_all();

-- Search.

CREATE FUNCTION api.search_by_name(name text) RETURNS SETOF api.certificates
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog AS $$
DECLARE
    part text := lower(trim(search_by_name.name));
BEGIN
    IF part IS NULL OR length(part) NOT BETWEEN 3 AND 255 THEN
        PERFORM gate.refuse('400', format('The name has %s characters.', coalesce(length(part), 0)),
                            'Give 3 to 255 characters of a name, a subject or a serial number.');
    END IF;
    RETURN QUERY SELECT c.* FROM api.certificates c
        WHERE c.certificate_id IN (SELECT inventory.matching(
            '%' || regexp_replace(part, '([\\%_])', '\\\1', 'g') || '%', 1000))
        ORDER BY c.issued_at DESC, c.certificate_id DESC;
END $$;

CREATE FUNCTION api.search_by_serial_number(serial_number text) RETURNS SETOF api.certificates
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog AS $$
    SELECT c.* FROM api.certificates c
    WHERE c.serial_number = ltrim(inventory.hex(search_by_serial_number.serial_number), '0')
$$;

CREATE FUNCTION api.search_by_fingerprint(fingerprint text) RETURNS SETOF api.certificates
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog AS $$
    SELECT c.* FROM api.certificates c
    WHERE c.certificate_sha256 = inventory.hex(search_by_fingerprint.fingerprint)
$$;

CREATE FUNCTION api.search_by_key_id(key_id text) RETURNS SETOF api.certificates
LANGUAGE sql STABLE SECURITY DEFINER ROWS 2 SET search_path = pg_catalog AS $$
    SELECT c.* FROM api.certificates c WHERE c.key_id = inventory.hex(search_by_key_id.key_id)
$$;

GRANT SELECT ON ALL TABLES IN SCHEMA api TO web_user, people_auditor;
GRANT EXECUTE ON FUNCTION api.search_by_name(text), api.search_by_serial_number(text),
    api.search_by_fingerprint(text), api.search_by_key_id(text) TO web_user, people_auditor;

RESET ROLE;
-- The search functions run as api_owner and refuse with a sentence.
GRANT EXECUTE ON FUNCTION gate.refuse(text, text, text) TO api_owner;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
