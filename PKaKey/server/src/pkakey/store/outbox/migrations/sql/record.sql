-- pki.record as before, and the request's id goes into the event too, so that the relay's log can
-- name it. Replaced as its owner, who may not create in the schema otherwise.
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
BEGIN
    -- RFC 9162 section 2.1.1: the hash of a leaf is SHA-256 over 0x00 and the leaf.
    INSERT INTO audit_entry (namespace_id, at, action, actor_kind, actor_id, actor_name, target,
                             request_id, data, leaf_hash)
    VALUES (pki.namespace(), p_at, p_action, p_actor_kind, p_actor_id, p_actor_name, p_target,
            p_request, entry, sha256('\x00'::bytea || convert_to(entry, 'UTF8')));
    IF p_event IS NOT NULL THEN
        INSERT INTO outbox_event (id, namespace_id, type, version, actor_kind, actor_id, actor_name,
                                  payload, occurred_at, request_id)
        VALUES (p_event, pki.namespace(), p_event_type, p_event_version, p_actor_kind, p_actor_id,
                p_actor_name, p_payload, p_at, coalesce(p_request, ''));
    END IF;
END $$;
SET LOCAL ROLE pkakey_owner;
REVOKE CREATE ON SCHEMA pki FROM pkakey_functions;
