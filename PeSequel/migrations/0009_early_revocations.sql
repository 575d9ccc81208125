-- migrate:up
SET LOCAL ROLE inventory_owner;

-- A revocation that arrives before its certificate waits here, so that the rows are the same in
-- whatever order the events came. PKaKey's relay keeps the order of each certificate's events:
-- what stays here for long is a sign of a lost event.
CREATE TABLE inventory.early_revocation (
    certificate_id uuid PRIMARY KEY,
    revoked_at timestamptz NOT NULL,
    revocation_reason text NOT NULL,
    revoked_by text NOT NULL
);
ALTER TABLE inventory.early_revocation ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION inventory.apply_revocations(p_events jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, inventory AS $$
BEGIN
    INSERT INTO early_revocation (certificate_id, revoked_at, revocation_reason, revoked_by)
    SELECT (e.payload ->> 'certificate_id')::uuid, (e.payload ->> 'revoked_at')::timestamptz,
           e.payload ->> 'reason', e.actor ->> 'name'
    FROM events_of(p_events, 'certificate.revoked', '{1}') AS e
    ON CONFLICT DO NOTHING;

    WITH revoked AS (
        UPDATE certificate c SET revoked_at = r.revoked_at,
            revocation_reason = r.revocation_reason, revoked_by = r.revoked_by
        FROM early_revocation r
        WHERE c.certificate_id = r.certificate_id AND c.revoked_at IS NULL
        RETURNING c.namespace, c.revoked_at
    )
    INSERT INTO daily_count AS d (namespace, day, revoked)
    SELECT namespace, (revoked_at AT TIME ZONE 'UTC')::date, count(*) FROM revoked GROUP BY 1, 2
    ON CONFLICT (namespace, day) DO UPDATE SET revoked = d.revoked + excluded.revoked;

    DELETE FROM early_revocation r USING certificate c WHERE c.certificate_id = r.certificate_id;
END $$;

CREATE OR REPLACE FUNCTION inventory.state()
RETURNS TABLE (batch bigint, events bigint, last_event uuid, last_event_at timestamptz,
               delivered_at timestamptz, waiting bigint, lag_seconds double precision,
               set_aside bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, inventory AS $$
    SELECT p.batch, p.events, p.last_event, p.last_event_at, p.delivered_at, p.waiting,
           coalesce(greatest(extract(epoch FROM now() - p.oldest_waiting_at), 0), 0),
           (SELECT count(*) FROM set_aside) + (SELECT count(*) FROM early_revocation)
    FROM progress p
$$;

CREATE OR REPLACE FUNCTION inventory.reset() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, inventory AS $$
BEGIN
    TRUNCATE certificate, early_revocation, abandoned_request, audit_entry, daily_count, profile,
        authority_grant, authority, set_aside, progress;
    INSERT INTO progress DEFAULT VALUES;
END $$;

RESET ROLE;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
