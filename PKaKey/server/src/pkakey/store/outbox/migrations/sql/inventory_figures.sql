-- How far the inventory is behind, for monitoring: as `status.platform_figures`, one row a figure.
CREATE FUNCTION status.inventory_figures()
RETURNS TABLE (name text, labels jsonb, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    -- Counted to a bound, so that a long queue does not make the question slow as well.
    SELECT 'pkakey_inventory_waiting', '{}'::jsonb, count(*)::float8
    FROM (SELECT FROM outbox_event WHERE inventory_batch IS NULL LIMIT 100000) AS waiting
    UNION ALL
    SELECT 'pkakey_inventory_oldest_seconds', '{}', coalesce((
        SELECT greatest(extract(epoch FROM now() - occurred_at), 0) FROM outbox_event
        WHERE inventory_batch IS NULL ORDER BY number LIMIT 1), 0)::float8
$$;
GRANT CREATE ON SCHEMA status TO pkakey_lookup;
ALTER FUNCTION status.inventory_figures() OWNER TO pkakey_lookup;
REVOKE CREATE ON SCHEMA status FROM pkakey_lookup;
SET LOCAL ROLE pkakey_lookup;
REVOKE ALL ON FUNCTION status.inventory_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION status.inventory_figures() TO pkakey_status;
SET LOCAL ROLE pkakey_owner;
