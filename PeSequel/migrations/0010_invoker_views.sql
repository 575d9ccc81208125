-- migrate:up
-- The views of `api` run as whoever asks, under a policy for that role. One policy for all, "this
-- namespace or a person who reads all", was a choice that no index serves: a million rows were
-- read for the newest hundred. PostgREST exposes `api` alone, so that the tables stay out of the API.
SET LOCAL ROLE inventory_owner;

DO $$
DECLARE
    table_name text;
    reads text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['profile', 'certificate', 'abandoned_request', 'daily_count',
        'audit_entry'] LOOP
        reads := CASE table_name WHEN 'audit_entry' THEN 'audits' ELSE 'reads' END;
        EXECUTE format('DROP POLICY own_namespace ON inventory.%I', table_name);
        EXECUTE format('CREATE POLICY own_namespace ON inventory.%I FOR SELECT TO web_user USING '
                       '(namespace = (SELECT gate.%I()))', table_name, reads || '_namespace');
    END LOOP;
    FOREACH table_name IN ARRAY ARRAY['profile', 'certificate', 'abandoned_request', 'daily_count',
        'audit_entry', 'authority', 'authority_grant'] LOOP
        -- A person in a SQL session of their own; authenticator cannot become one of these.
        EXECUTE format('CREATE POLICY all_namespaces ON inventory.%I FOR SELECT TO people_auditor '
                       'USING (true)', table_name);
        EXECUTE format('GRANT SELECT ON inventory.%I TO web_user, people_auditor', table_name);
        EXECUTE format('REVOKE SELECT ON inventory.%I FROM api_owner', table_name);
    END LOOP;
END $$;
DROP POLICY own_or_granted ON inventory.authority;
CREATE POLICY own_or_granted ON inventory.authority FOR SELECT TO web_user
    USING (namespace = (SELECT gate.reads_namespace())
        OR authority_id IN (SELECT g.authority_id FROM inventory.authority_grant g));
DROP POLICY granted_to_us ON inventory.authority_grant;
CREATE POLICY granted_to_us ON inventory.authority_grant FOR SELECT TO web_user
    USING (namespace = (SELECT gate.reads_namespace()));
GRANT EXECUTE ON FUNCTION inventory.matching(text, integer), inventory.hex(text)
    TO web_user, people_auditor;

RESET ROLE;
GRANT USAGE ON SCHEMA inventory TO web_user, people_auditor;
GRANT USAGE ON SCHEMA gate TO people_auditor;
GRANT EXECUTE ON FUNCTION gate.refuse(text, text, text) TO web_user, people_auditor;

SET LOCAL ROLE api_owner;
DO $$
DECLARE
    view_name text;
BEGIN
    FOR view_name IN SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = 'api'::regnamespace AND c.relkind = 'v' LOOP
        -- The rows are kept apart by the tables' policies, which come before any condition of the
        -- asker's; nothing that a view itself leaves out is a secret.
        EXECUTE format('ALTER VIEW api.%I SET (security_invoker = true, security_barrier = false)',
                       view_name);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION api.search_by_name(name text) RETURNS SETOF api.certificates
LANGUAGE plpgsql STABLE SECURITY INVOKER ROWS 100 SET search_path = pg_catalog AS $$
DECLARE
    part text := lower(trim(search_by_name.name));
BEGIN
    IF part IS NULL OR length(part) NOT BETWEEN 3 AND 255 THEN
        PERFORM gate.refuse('400', format('The name has %s characters.', coalesce(length(part), 0)),
                            'Give 3 to 255 characters of a name, a subject or a serial number.');
    END IF;
    -- An array, so that the rows come by their key and not by reading all of them.
    RETURN QUERY SELECT c.* FROM api.certificates c
        WHERE c.certificate_id = ANY (ARRAY(SELECT inventory.matching(
            '%' || regexp_replace(part, '([\\%_])', '\\\1', 'g') || '%', 1000)))
        ORDER BY c.issued_at DESC, c.certificate_id DESC;
END $$;
ALTER FUNCTION api.search_by_serial_number(text) SECURITY INVOKER;
ALTER FUNCTION api.search_by_fingerprint(text) SECURITY INVOKER;
ALTER FUNCTION api.search_by_key_id(text) SECURITY INVOKER;
RESET ROLE;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
