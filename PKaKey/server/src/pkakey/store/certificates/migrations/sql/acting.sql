-- Who acts. These run as the caller (SECURITY INVOKER) or, where they must find a namespace before
-- there is one, as pkakey_lookup.

CREATE FUNCTION pki.act_as(p_namespace uuid, p_actor text, p_request text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('pkakey.namespace', p_namespace::text, true),
            set_config('pkakey.actor', p_actor, true),
            set_config('pkakey.request', p_request, true);
    IF p_actor LIKE 'token:%' THEN
        RETURN EXISTS (SELECT FROM tokens_token
                       WHERE id = substr(p_actor, 7)::uuid AND revoked_at IS NULL);
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION pki.token_principal(p_sha256 bytea)
RETURNS TABLE (token_id uuid, name varchar, namespace_id uuid, namespace varchar,
               scopes varchar[], expires_at timestamptz, revoked_at timestamptz,
               last_used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.id, t.name, t.namespace_id, n.slug, t.scopes, t.expires_at, t.revoked_at,
           t.last_used_at
    FROM tokens_token t JOIN namespaces_namespace n ON n.id = t.namespace_id
    WHERE t.token_sha256 = p_sha256
$$;

CREATE FUNCTION pki.principal_of_user(p_user bigint)
RETURNS TABLE (namespace_id uuid, namespace varchar, namespace_name varchar, username varchar,
               roles varchar[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT n.id, n.slug, n.name, u.username,
           coalesce((SELECT array_agg(g.name) FROM accounts_user_groups ug
                     JOIN auth_group g ON g.id = ug.group_id WHERE ug.user_id = u.id),
                    '{}'::varchar[])
    FROM accounts_user u
    JOIN namespaces_membership m ON m.user_id = u.id
    JOIN namespaces_namespace n ON n.id = m.namespace_id
    WHERE u.id = p_user AND u.is_active
    ORDER BY n.slug
$$;

CREATE FUNCTION pki.namespaces() RETURNS TABLE (id uuid, slug varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT n.id, n.slug FROM namespaces_namespace n ORDER BY n.created_at $$;

CREATE FUNCTION pki.authority_home(p_authority uuid) RETURNS TABLE (id uuid, slug varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT n.id, n.slug FROM authorities_authority a
    JOIN namespaces_namespace n ON n.id = a.namespace_id WHERE a.id = p_authority
$$;

-- The revoked certificates of an authority of the caller's own namespace, whoever they belong to.
-- RFC 5280 section 3.3: an entry stays on at least one CRL past the certificate's end; a week is
-- longer than any CRL of ours.
CREATE FUNCTION pki.revoked_entries(p_authority uuid, p_now timestamptz)
RETURNS TABLE (serial_number varchar, revoked_at timestamptz, reason varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT c.serial_number, c.revoked_at, c.revocation_reason
    FROM certificates_certificate c
    JOIN authorities_authority a ON a.id = c.authority_id
    WHERE c.authority_id = p_authority AND a.namespace_id = pki.namespace()
      AND c.revoked_at IS NOT NULL AND c.not_after > p_now - interval '7 days'
    ORDER BY c.revoked_at, c.serial_number
$$;

CREATE FUNCTION pki.open_intents(p_before timestamptz, p_limit integer)
RETURNS TABLE (id uuid, namespace_id uuid, namespace varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT i.id, i.namespace_id, n.slug FROM certificates_intent i
    JOIN namespaces_namespace n ON n.id = i.namespace_id
    WHERE i.state = 'open' AND i.created_at < p_before ORDER BY i.created_at LIMIT p_limit
$$;

CREATE FUNCTION pki.waiting_events(p_limit integer)
RETURNS TABLE (id uuid, namespace_id uuid, namespace varchar, type varchar, version smallint,
               actor_kind varchar, actor_id varchar, actor_name varchar, payload jsonb,
               occurred_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT e.id, e.namespace_id, n.slug, e.type, e.version, e.actor_kind, e.actor_id,
           e.actor_name, e.payload, e.occurred_at
    FROM outbox_event e JOIN namespaces_namespace n ON n.id = e.namespace_id
    WHERE e.delivered_at IS NULL ORDER BY e.number LIMIT p_limit
$$;

-- Whether each of these serial numbers is known: for the comparison with the signer's log.
CREATE FUNCTION pki.unknown_serials(p_serials text[]) RETURNS TABLE (serial_number text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT s FROM unnest(p_serials) AS s
    WHERE NOT EXISTS (SELECT FROM certificates_certificate c WHERE c.serial_number = s)
      AND NOT EXISTS (SELECT FROM certificates_intent i
                      WHERE i.serial_number = s AND i.kind = 'certificate' AND i.state = 'open')
$$;

-- The caller's own certificates whose search text holds this LIKE pattern, at most so many, in no
-- order. LIKE is not leakproof, so that under row-level security the trigram index could not be
-- used (120 ms at 100,000 certificates, 1 ms here); the namespace stands in the query itself.
CREATE FUNCTION pki.matching_certificates(p_pattern text, p_limit integer)
RETURNS TABLE (id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT c.id FROM certificates_certificate c
    WHERE c.namespace_id = pki.namespace() AND c.search_text LIKE p_pattern LIMIT p_limit
$$;
