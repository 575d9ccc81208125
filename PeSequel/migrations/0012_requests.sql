-- migrate:up
SET LOCAL ROLE inventory_owner;

-- Every request in one table, issued or abandoned. As a union of the two tables under their
-- policies, no index gave the order: the newest hundred took as long as there were certificates.
CREATE TABLE inventory.request (
    request_id uuid PRIMARY KEY,
    namespace text NOT NULL,
    authority_id uuid NOT NULL REFERENCES inventory.authority,
    outcome text NOT NULL,
    serial_number text NOT NULL,
    subject text NOT NULL,
    profile text NOT NULL,
    source text NOT NULL,
    requested_by text NOT NULL,
    requested_by_kind text NOT NULL,
    requested_at timestamptz NOT NULL,
    note text
);
INSERT INTO inventory.request (
    request_id, namespace, authority_id, outcome, serial_number, subject, profile, source,
    requested_by, requested_by_kind, requested_at)
SELECT certificate_id, namespace, authority_id, 'issued', serial_number, subject, profile, source,
       requested_by, requested_by_kind, issued_at
FROM inventory.certificate;
INSERT INTO inventory.request (
    request_id, namespace, authority_id, outcome, serial_number, subject, profile, source,
    requested_by, requested_by_kind, requested_at, note)
SELECT request_id, namespace, authority_id, 'abandoned', serial_number, subject, profile, source,
       requested_by, requested_by_kind, requested_at, note
FROM inventory.abandoned_request
ON CONFLICT DO NOTHING;
CREATE INDEX request_newest ON inventory.request (namespace, requested_at DESC);
CREATE INDEX request_serial_number ON inventory.request (serial_number);

ALTER TABLE inventory.request ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_namespace ON inventory.request FOR SELECT TO web_user
    USING (namespace = (SELECT gate.reads_namespace()));
CREATE POLICY all_namespaces ON inventory.request FOR SELECT TO people_auditor USING (true);
GRANT SELECT ON inventory.request TO web_user, people_auditor;

CREATE FUNCTION inventory.keep_issued_requests() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, inventory AS $$
BEGIN
    INSERT INTO request (
        request_id, namespace, authority_id, outcome, serial_number, subject, profile, source,
        requested_by, requested_by_kind, requested_at)
    SELECT certificate_id, namespace, authority_id, 'issued', serial_number, subject, profile,
           source, requested_by, requested_by_kind, issued_at
    FROM added
    -- Whatever else was told of it, in whatever order: there is a certificate.
    ON CONFLICT (request_id) DO UPDATE SET
        outcome = excluded.outcome, serial_number = excluded.serial_number,
        subject = excluded.subject, profile = excluded.profile, source = excluded.source,
        requested_by = excluded.requested_by, requested_by_kind = excluded.requested_by_kind,
        requested_at = excluded.requested_at, note = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_requests AFTER INSERT ON inventory.certificate
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION inventory.keep_issued_requests();

CREATE FUNCTION inventory.keep_abandoned_requests() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, inventory AS $$
BEGIN
    INSERT INTO request (
        request_id, namespace, authority_id, outcome, serial_number, subject, profile, source,
        requested_by, requested_by_kind, requested_at, note)
    SELECT request_id, namespace, authority_id, 'abandoned', serial_number, subject, profile,
           source, requested_by, requested_by_kind, requested_at, note
    FROM added
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_requests AFTER INSERT ON inventory.abandoned_request
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION inventory.keep_abandoned_requests();

REVOKE ALL ON FUNCTION inventory.keep_issued_requests(), inventory.keep_abandoned_requests()
    FROM PUBLIC;

CREATE OR REPLACE FUNCTION inventory.reset() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, inventory AS $$
BEGIN
    TRUNCATE certificate, early_revocation, abandoned_request, request, audit_entry, daily_count,
        profile, authority_grant, authority, set_aside, progress;
    INSERT INTO progress DEFAULT VALUES;
END $$;

RESET ROLE;
SET LOCAL ROLE api_owner;

CREATE OR REPLACE VIEW api.requests
WITH (security_invoker = true, security_barrier = false) AS
SELECT r.request_id, r.namespace, r.authority_id, r.outcome, r.serial_number, r.subject, r.profile,
       r.source, r.requested_by, r.requested_by_kind, r.requested_at, r.note
FROM inventory.request r;

RESET ROLE;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
