-- What monitoring asks for, across all namespaces: sums and dates, and of certificates no name.
-- One row a figure: the metric's name, its labels, its value. Times are seconds since 1970.
CREATE FUNCTION status.platform_figures()
RETURNS TABLE (name text, labels jsonb, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT 'pkakey_intents_open', '{}'::jsonb, count(*)::float8
    FROM certificates_intent WHERE state = 'open'
    UNION ALL
    SELECT 'pkakey_intents_open_oldest_seconds', '{}',
           coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
    FROM certificates_intent WHERE state = 'open'
    UNION ALL
    -- Counted to a bound, so that a long queue does not make the question slow as well.
    SELECT 'pkakey_outbox_waiting', '{}', count(*)::float8
    FROM (SELECT FROM outbox_event WHERE delivered_at IS NULL LIMIT 100000) AS waiting
    UNION ALL
    SELECT 'pkakey_outbox_oldest_seconds', '{}', coalesce((
        SELECT extract(epoch FROM now() - occurred_at) FROM outbox_event
        WHERE delivered_at IS NULL ORDER BY number LIMIT 1), 0)::float8
    UNION ALL
    SELECT 'pkakey_authority_not_after_timestamp_seconds',
           jsonb_build_object('authority', a.id, 'name', a.name),
           extract(epoch FROM a.not_after)::float8
    FROM authorities_authority a WHERE a.state = 'active'
    UNION ALL
    SELECT 'pkakey_ocsp_responder_not_after_timestamp_seconds',
           jsonb_build_object('authority', a.id, 'name', a.name),
           extract(epoch FROM r.not_after)::float8
    FROM authorities_authority a CROSS JOIN LATERAL (
        SELECT max(o.not_after) AS not_after FROM authorities_ocspresponder o
        WHERE o.authority_id = a.id) AS r
    WHERE a.state = 'active' AND r.not_after IS NOT NULL
    UNION ALL
    SELECT f.name, jsonb_build_object('authority', a.id, 'name', a.name), f.value
    FROM authorities_authority a CROSS JOIN LATERAL (
        SELECT c.this_update, c.next_update, c.number, c.revoked_count FROM authorities_crl c
        WHERE c.authority_id = a.id ORDER BY c.number DESC LIMIT 1) AS crl
    CROSS JOIN LATERAL (VALUES
        ('pkakey_crl_this_update_timestamp_seconds', extract(epoch FROM crl.this_update)::float8),
        ('pkakey_crl_next_update_timestamp_seconds', extract(epoch FROM crl.next_update)::float8),
        ('pkakey_crl_number', crl.number::float8),
        ('pkakey_crl_entries', crl.revoked_count::float8)) AS f (name, value)
    WHERE a.state = 'active'
    UNION ALL
    -- An authority that should publish and has not; 0 for one that has.
    SELECT 'pkakey_crl_missing', jsonb_build_object('authority', a.id, 'name', a.name),
           (NOT EXISTS (SELECT FROM authorities_crl c WHERE c.authority_id = a.id))::int::float8
    FROM authorities_authority a WHERE a.state = 'active'
    UNION ALL
    SELECT 'pkakey_certificates_ending_within_7_days', jsonb_build_object('namespace', n.slug),
           (SELECT count(*) FROM (
                SELECT FROM certificates_certificate c
                WHERE c.namespace_id = n.id AND c.not_after > now()
                  AND c.not_after <= now() + interval '7 days' AND c.revoked_at IS NULL
                LIMIT 10000) AS ending)::float8
    FROM namespaces_namespace n
$$;
GRANT CREATE ON SCHEMA status TO pkakey_lookup;
ALTER FUNCTION status.platform_figures() OWNER TO pkakey_lookup;
REVOKE CREATE ON SCHEMA status FROM pkakey_lookup;
SET LOCAL ROLE pkakey_lookup;
REVOKE ALL ON FUNCTION status.platform_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION status.platform_figures() TO pkakey_status;
SET LOCAL ROLE pkakey_owner;
