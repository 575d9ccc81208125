-- What PeSequel's inventory is told (docs/adr/0015). Every audit entry and event has one outbox
-- row; `inventory_batch` is the batch of the inventory that holds it, null while it waits.

ALTER TABLE outbox_event ADD COLUMN audit_entry_id bigint;
ALTER TABLE outbox_event ADD COLUMN inventory_batch bigint;
CREATE INDEX outbox_not_in_inventory ON outbox_event (number) WHERE inventory_batch IS NULL;

-- The newest batch whose events are marked. One row, of no namespace: only the relay sees it.
CREATE TABLE outbox_inventory (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    batch bigint NOT NULL DEFAULT 0
);
INSERT INTO outbox_inventory DEFAULT VALUES;
ALTER TABLE outbox_inventory ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox_inventory FORCE ROW LEVEL SECURITY;

-- Only the owner of a function replaces it.
GRANT CREATE ON SCHEMA pki TO pkakey_functions;
SET LOCAL ROLE pkakey_functions;
CREATE OR REPLACE FUNCTION pki.record(
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
    entry_id bigint;
BEGIN
    -- RFC 9162 section 2.1.1: the hash of a leaf is SHA-256 over 0x00 and the leaf.
    INSERT INTO audit_entry (namespace_id, at, action, actor_kind, actor_id, actor_name, target,
                             request_id, data, leaf_hash)
    VALUES (pki.namespace(), p_at, p_action, p_actor_kind, p_actor_id, p_actor_name, p_target,
            p_request, entry, sha256('\x00'::bytea || convert_to(entry, 'UTF8')))
    RETURNING id INTO entry_id;
    -- Without an event of its own, the row only carries the entry, and only the inventory gets it.
    INSERT INTO outbox_event (id, namespace_id, type, version, actor_kind, actor_id, actor_name,
                              payload, occurred_at, request_id, audit_entry_id, delivered_at)
    VALUES (coalesce(p_event, gen_random_uuid()), pki.namespace(),
            coalesce(p_event_type, 'audit.recorded'), coalesce(p_event_version, 1::smallint),
            p_actor_kind, p_actor_id, p_actor_name, coalesce(p_payload, '{}'), p_at,
            coalesce(p_request, ''), entry_id, CASE WHEN p_event IS NULL THEN p_at END);
END $$;

-- A request that nothing came of is told too.
CREATE OR REPLACE FUNCTION pki.abandon_intent(
    p_namespace uuid, p_intent uuid, p_note text, p_now timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    i certificates_intent%ROWTYPE;
    told boolean;
BEGIN
    PERFORM set_config('pkakey.namespace', p_namespace::text, true);
    UPDATE certificates_intent SET state = 'abandoned', closed_at = p_now, note = p_note
    WHERE id = p_intent AND state = 'open' RETURNING * INTO i;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- The key may be used again: nothing came of it.
    DELETE FROM certificates_idempotencykey WHERE intent_id = p_intent;
    told := i.kind = 'certificate';
    PERFORM pki.record(p_now, 'intent.abandoned', 'system', 'reconciler', 'reconciler',
        i.serial_number, i.request_id, jsonb_build_object('intent', i.id, 'note', p_note),
        CASE WHEN told THEN gen_random_uuid() END, CASE WHEN told THEN 'request.abandoned' END,
        CASE WHEN told THEN 1::smallint END,
        CASE WHEN told THEN jsonb_build_object('request_id', i.id, 'authority_id', i.authority_id,
            'serial_number', i.serial_number, 'subject', i.subject, 'profile', i.profile,
            'source', i.source, 'requested_by', i.actor_name, 'requested_by_kind', i.actor_kind,
            'requested_at', i.created_at, 'note', left(p_note, 4096)) END);
    RETURN true;
END $$;

SET LOCAL ROLE pkakey_owner;
REVOKE CREATE ON SCHEMA pki FROM pkakey_functions;

-- What waits for the inventory, oldest first, with what never changes about its subject: the
-- relay writes each event in the newest version of its type from it.
CREATE FUNCTION pki.waiting_for_inventory(p_limit integer)
RETURNS TABLE (id uuid, namespace_id uuid, namespace varchar, type varchar, version smallint,
               actor_kind varchar, actor_id varchar, actor_name varchar, payload jsonb,
               occurred_at timestamptz, der bytea, facts jsonb, audit jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT e.id, e.namespace_id, n.slug, e.type, e.version, e.actor_kind, e.actor_id,
           e.actor_name, e.payload, e.occurred_at, coalesce(c.der, a.certificate_der),
           CASE WHEN c.id IS NOT NULL THEN jsonb_build_object('purpose', c.purpose,
                    'public_key_sha256', c.public_key_sha256)
                WHEN a.id IS NOT NULL THEN jsonb_build_object('name', a.name, 'profile', a.profile)
                ELSE '{}' END,
           CASE WHEN x.id IS NOT NULL THEN jsonb_build_object('entry_id', x.id, 'action', x.action,
                    'target', x.target, 'request_id', x.request_id, 'data', x.data,
                    'leaf_hash', encode(x.leaf_hash, 'hex')) END
    FROM outbox_event e
    JOIN namespaces_namespace n ON n.id = e.namespace_id
    LEFT JOIN certificates_certificate c
        ON e.type = 'certificate.issued' AND c.id = (e.payload ->> 'certificate_id')::uuid
    LEFT JOIN authorities_authority a
        ON e.type = 'authority.created' AND a.id = (e.payload ->> 'authority_id')::uuid
    LEFT JOIN audit_entry x ON x.id = e.audit_entry_id
    WHERE e.inventory_batch IS NULL ORDER BY e.number LIMIT p_limit
$$;

CREATE FUNCTION pki.inventory_lag() RETURNS TABLE (waiting bigint, oldest_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT count(*), min(e.occurred_at) FROM outbox_event e WHERE e.inventory_batch IS NULL
$$;

CREATE FUNCTION pki.has_event(p_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT EXISTS (SELECT FROM outbox_event e WHERE e.id = p_id)
$$;

-- Mark the events that this batch of the inventory holds.
CREATE FUNCTION pki.mark_in_inventory(p_events uuid[], p_batch bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    UPDATE outbox_event SET inventory_batch = p_batch WHERE id = ANY (p_events);
    UPDATE outbox_inventory SET batch = p_batch
$$;

-- The inventory holds only batches up to this one (it is new, was emptied, or was restored from a
-- backup): what is marked with a later one waits again. Returns how many.
CREATE FUNCTION pki.rewind_inventory(p_batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    count bigint := 0;
BEGIN
    IF (SELECT o.batch > p_batch FROM outbox_inventory o FOR UPDATE) THEN
        UPDATE outbox_event SET inventory_batch = NULL WHERE inventory_batch > p_batch;
        GET DIAGNOSTICS count = ROW_COUNT;
        UPDATE outbox_inventory SET batch = p_batch;
    END IF;
    RETURN count;
END $$;

-- These look across namespaces, as the relay must: only the worker may call them.
GRANT CREATE, USAGE ON SCHEMA pki TO pkakey_relay;
DO $$
DECLARE
    f regprocedure;
    name text;
    ours text[] := ARRAY['waiting_for_inventory', 'inventory_lag', 'has_event',
        'mark_in_inventory', 'rewind_inventory'];
BEGIN
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'pki' AND p.proname = ANY (ours) LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pkakey_worker', f);
        EXECUTE format('ALTER FUNCTION %s OWNER TO pkakey_relay', f);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['outbox_event', 'namespaces_namespace', 'certificates_certificate',
        'authorities_authority', 'audit_entry'] LOOP
        EXECUTE format('CREATE POLICY relay ON %I FOR SELECT TO pkakey_relay USING (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO pkakey_relay', name);
    END LOOP;
END $$;
CREATE POLICY relay_marks ON outbox_event FOR UPDATE TO pkakey_relay USING (true);
GRANT UPDATE (inventory_batch) ON outbox_event TO pkakey_relay;
CREATE POLICY relay ON outbox_inventory TO pkakey_relay USING (true);
GRANT SELECT, UPDATE ON outbox_inventory TO pkakey_relay;
REVOKE CREATE ON SCHEMA pki FROM pkakey_relay;

-- What happened before this migration is told as well. The owner is bound by row-level security,
-- so it acts in one namespace after the other.
DO $$
DECLARE
    ids uuid[];
    id uuid;
BEGIN
    SET LOCAL ROLE pkakey_lookup;
    SELECT array_agg(n.id ORDER BY n.created_at) INTO ids FROM public.namespaces_namespace n;
    SET LOCAL ROLE pkakey_owner;
    FOREACH id IN ARRAY coalesce(ids, '{}') LOOP
        PERFORM set_config('pkakey.namespace', id::text, true);
        INSERT INTO outbox_event (id, namespace_id, type, version, actor_kind, actor_id,
                                  actor_name, payload, occurred_at, request_id, audit_entry_id,
                                  delivered_at)
        SELECT gen_random_uuid(), a.namespace_id, 'audit.recorded', 1, a.actor_kind, a.actor_id,
               a.actor_name, '{}', a.at, a.request_id, a.id, now()
        FROM audit_entry a ORDER BY a.id;
        INSERT INTO outbox_event (id, namespace_id, type, version, actor_kind, actor_id,
                                  actor_name, payload, occurred_at)
        SELECT gen_random_uuid(), p.namespace_id, 'profile.published', 1, 'system', 'namespaces',
               'namespaces', jsonb_build_object('name', p.name, 'version', p.version,
                   'title', p.data ->> 'title', 'description', p.data ->> 'description',
                   'kind', p.data ->> 'kind', 'digest', p.digest, 'rules', p.data), p.created_at
        FROM profiles_profile p ORDER BY p.version;
        INSERT INTO outbox_event (id, namespace_id, type, version, actor_kind, actor_id,
                                  actor_name, payload, occurred_at)
        SELECT gen_random_uuid(), g.namespace_id, 'authority.granted', 1, 'system', 'namespaces',
               'namespaces', jsonb_build_object('authority_id', g.authority_id,
                   'granted_namespace', guest.slug), g.created_at
        FROM authorities_grant g, pki.namespaces() AS guest
        WHERE g.namespace_id = pki.namespace() AND guest.id = g.granted_namespace_id;
    END LOOP;
    PERFORM set_config('pkakey.namespace', '', true);
END $$;
