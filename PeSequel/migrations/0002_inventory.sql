-- migrate:up
SET LOCAL ROLE inventory_owner;

-- The tables are a projection of PKaKey's events: delivering all of them again into empty tables
-- gives the same rows (docs/adr/0015). So nothing here holds a time or number of its own.

CREATE TABLE inventory.authority (
    authority_id uuid PRIMARY KEY,
    -- Null until `authority.created` arrives: its own certificate is issued before.
    namespace text,
    parent_id uuid REFERENCES inventory.authority,
    name text,
    profile text,
    key_algorithm text,
    key_id text,
    subject text,
    serial_number text,
    not_before timestamptz,
    not_after timestamptz,
    certificate_sha256 text,
    created_at timestamptz,
    crl_number bigint,
    crl_this_update timestamptz,
    crl_next_update timestamptz,
    crl_revoked_count bigint,
    crl_sha256 text
);
CREATE INDEX authority_namespace ON inventory.authority (namespace);

CREATE TABLE inventory.authority_grant (
    authority_id uuid NOT NULL REFERENCES inventory.authority,
    namespace text NOT NULL,
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (authority_id, namespace)
);

CREATE TABLE inventory.profile (
    namespace text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    kind text NOT NULL,
    digest text NOT NULL,
    rules jsonb NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (namespace, name, version)
);

CREATE TABLE inventory.certificate (
    certificate_id uuid PRIMARY KEY,
    namespace text NOT NULL,
    authority_id uuid NOT NULL REFERENCES inventory.authority,
    serial_number text NOT NULL,
    subject text NOT NULL,
    names text[] NOT NULL,
    typed_names text[] NOT NULL,
    search_text text NOT NULL,
    not_before timestamptz NOT NULL,
    not_after timestamptz NOT NULL,
    issued_at timestamptz NOT NULL,
    certificate_sha256 text NOT NULL,
    public_key_sha256 text,
    key_id text,
    key_algorithm text,
    signature_algorithm text,
    profile text NOT NULL,
    profile_version integer NOT NULL,
    purpose text,
    source text NOT NULL,
    requested_by text NOT NULL,
    requested_by_kind text NOT NULL,
    request_id text,
    revoked_at timestamptz,
    revocation_reason text,
    revoked_by text,
    UNIQUE (authority_id, serial_number)
);
CREATE INDEX certificate_newest
    ON inventory.certificate (namespace, issued_at DESC, certificate_id DESC);
CREATE INDEX certificate_ending ON inventory.certificate (namespace, not_after);
CREATE INDEX certificate_revoked ON inventory.certificate (namespace, revoked_at DESC)
    WHERE revoked_at IS NOT NULL;
CREATE INDEX certificate_serial_number ON inventory.certificate (serial_number);
CREATE INDEX certificate_fingerprint ON inventory.certificate (certificate_sha256);
CREATE INDEX certificate_key_id ON inventory.certificate (key_id);
CREATE INDEX certificate_search ON inventory.certificate USING gin (search_text public.gin_trgm_ops);

-- A request that came to nothing; one that was fulfilled is in its certificate's row.
CREATE TABLE inventory.abandoned_request (
    request_id uuid PRIMARY KEY,
    namespace text NOT NULL,
    authority_id uuid NOT NULL REFERENCES inventory.authority,
    serial_number text NOT NULL,
    subject text NOT NULL,
    profile text NOT NULL,
    source text NOT NULL,
    requested_by text NOT NULL,
    requested_by_kind text NOT NULL,
    requested_at timestamptz NOT NULL,
    abandoned_at timestamptz NOT NULL,
    note text NOT NULL
);
CREATE INDEX abandoned_request_newest ON inventory.abandoned_request (namespace, requested_at DESC);

CREATE TABLE inventory.audit_entry (
    entry_id bigint PRIMARY KEY,
    namespace text NOT NULL,
    at timestamptz NOT NULL,
    action text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    actor_name text NOT NULL,
    target text NOT NULL,
    request_id text NOT NULL,
    data text NOT NULL,
    leaf_hash text NOT NULL
);
CREATE INDEX audit_entry_newest ON inventory.audit_entry (namespace, entry_id DESC);
CREATE INDEX audit_entry_target ON inventory.audit_entry (target);

CREATE TABLE inventory.daily_count (
    namespace text NOT NULL,
    day date NOT NULL,
    issued bigint NOT NULL DEFAULT 0,
    revoked bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace, day)
);

-- What was delivered so far. One row.
CREATE TABLE inventory.progress (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    batch bigint NOT NULL DEFAULT 0,
    events bigint NOT NULL DEFAULT 0,
    last_event uuid,
    last_event_at timestamptz,
    delivered_at timestamptz,
    waiting bigint NOT NULL DEFAULT 0,
    oldest_waiting_at timestamptz
);
INSERT INTO inventory.progress DEFAULT VALUES;

-- Events that this version does not know, kept for a rebuild by a later one.
CREATE TABLE inventory.set_aside (
    event_id uuid PRIMARY KEY,
    type text NOT NULL,
    version integer NOT NULL,
    reason text NOT NULL
);

-- Row-level security. The writer's functions run as inventory_owner; the views of `api` run as
-- api_owner, which sees what the token's claims allow (0003_gate.sql, 0005_api.sql).
DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['authority', 'authority_grant', 'profile', 'certificate',
        'abandoned_request', 'audit_entry', 'daily_count', 'progress', 'set_aside'] LOOP
        EXECUTE format('ALTER TABLE inventory.%I ENABLE ROW LEVEL SECURITY', table_name);
    END LOOP;
END $$;
GRANT SELECT ON inventory.authority, inventory.authority_grant, inventory.profile,
    inventory.certificate, inventory.abandoned_request, inventory.audit_entry,
    inventory.daily_count TO api_owner;

RESET ROLE;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
