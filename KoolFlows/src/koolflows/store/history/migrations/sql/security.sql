-- Row-level security of every table (docs/adr/0003). FORCE: the owner is bound as well.
-- koolflows_lookup, as which nobody signs in, may read across: it owns the functions below.

CREATE SCHEMA flows;
CREATE FUNCTION flows.namespace() RETURNS text LANGUAGE sql STABLE AS
$$ SELECT nullif(pg_catalog.current_setting('koolflows.namespace', true), '') $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'definitions_version', 'instances_instance', 'instances_subscription',
        'instances_delivery', 'tasks_humantask', 'jobs_job', 'history_entry'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_namespace ON %I USING (namespace = flows.namespace()) '
            'WITH CHECK (namespace = flows.namespace())', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['instances_instance', 'jobs_job', 'definitions_version'] LOOP
        EXECUTE format('CREATE POLICY lookup ON %I FOR SELECT TO koolflows_lookup USING (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO koolflows_lookup', name);
    END LOOP;
END $$;
-- The shipped diagrams are everybody's to read.
CREATE POLICY shared ON definitions_version FOR SELECT USING (namespace = '*');

-- A child row belongs to the namespace of its process: a foreign key is not bound by row-level
-- security, so that it is checked here.
CREATE FUNCTION flows.require_own_instance() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM instances_instance i
                   WHERE i.id = NEW.instance_id AND i.namespace = NEW.namespace) THEN
        RAISE EXCEPTION 'The process is not of this namespace.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['instances_subscription', 'instances_delivery',
                                'tasks_humantask', 'jobs_job', 'history_entry'] LOOP
        EXECUTE format('CREATE TRIGGER own_instance BEFORE INSERT ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION flows.require_own_instance()', name);
    END LOOP;
END $$;

-- A version and a line of history are never changed, whoever asks.
CREATE FUNCTION flows.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'This is written once and never changed.'
        USING ERRCODE = 'insufficient_privilege';
END $$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['definitions_version', 'history_entry'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION flows.refuse_change()', name);
        EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION flows.refuse_change()', name);
    END LOOP;
END $$;

-- Optimistic locking, held by the database: a saved state is exactly one revision further, and a
-- process that ended stays ended.
CREATE FUNCTION flows.next_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.revision <> OLD.revision + 1 OR (NEW.id, NEW.namespace, NEW.started_at)
        IS DISTINCT FROM (OLD.id, OLD.namespace, OLD.started_at)
       OR OLD.state IN ('completed', 'cancelled') THEN
        RAISE EXCEPTION 'A process is moved one revision at a time, and not after its end.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER next_revision BEFORE UPDATE ON instances_instance
    FOR EACH ROW EXECUTE FUNCTION flows.next_revision();

-- What the worker looks for, across namespaces: ids only.
CREATE FUNCTION flows.due_instances(p_now timestamptz, p_limit integer)
RETURNS TABLE (id uuid, namespace varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT i.id, i.namespace FROM instances_instance i
    WHERE i.state = 'running' AND i.next_due_at <= p_now ORDER BY i.next_due_at LIMIT p_limit
$$;
CREATE FUNCTION flows.due_jobs(p_now timestamptz, p_limit integer)
RETURNS TABLE (id uuid, namespace varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT j.id, j.namespace FROM jobs_job j
    WHERE j.state = 'waiting' AND j.next_attempt_at <= p_now
    ORDER BY j.next_attempt_at LIMIT p_limit
$$;
-- How much waits, for the metrics.
CREATE FUNCTION flows.backlog(p_now timestamptz)
RETURNS TABLE (running bigint, jobs bigint, oldest_job_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT (SELECT count(*) FROM instances_instance i WHERE i.state = 'running'),
           (SELECT count(*) FROM jobs_job j WHERE j.state = 'waiting'),
           coalesce((SELECT extract(epoch FROM p_now - min(j.created_at)) FROM jobs_job j
                     WHERE j.state = 'waiting'), 0)
$$;

GRANT CREATE, USAGE ON SCHEMA flows TO koolflows_lookup;
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'flows' LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'flows'
               AND p.proname IN ('due_instances', 'due_jobs', 'backlog') LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO koolflows_worker', f);
        EXECUTE format('ALTER FUNCTION %s OWNER TO koolflows_lookup', f);
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA flows FROM koolflows_lookup;
GRANT EXECUTE ON FUNCTION flows.namespace() TO koolflows_web, koolflows_worker, koolflows_lookup;
GRANT USAGE ON SCHEMA flows TO koolflows_web, koolflows_worker;

GRANT SELECT, INSERT ON definitions_version, history_entry TO koolflows_web, koolflows_worker;
GRANT SELECT, INSERT, UPDATE ON instances_instance, tasks_humantask, jobs_job
    TO koolflows_web, koolflows_worker;
GRANT SELECT, INSERT, DELETE ON instances_subscription TO koolflows_web, koolflows_worker;
GRANT SELECT, INSERT ON instances_delivery TO koolflows_web, koolflows_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO koolflows_web, koolflows_worker;
