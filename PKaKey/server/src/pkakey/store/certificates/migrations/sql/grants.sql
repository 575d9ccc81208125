-- Who may do what. Nothing is granted to PUBLIC.

GRANT CREATE, USAGE ON SCHEMA pki, intents, status TO pkakey_functions, pkakey_lookup;
DO $$
DECLARE
    f regprocedure;
    lookups text[] := ARRAY['token_principal', 'principal_of_user', 'namespaces', 'authority_home',
        'revoked_entries', 'open_intents', 'waiting_events', 'unknown_serials',
        'matching_certificates'];
    writers text[] := ARRAY['record', 'issue_intent', 'names_as_json', 'store_certificate',
        'store_crl', 'abandon_intent', 'revoke_certificate'];
BEGIN
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname IN ('pki', 'intents', 'status') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
    GRANT EXECUTE ON FUNCTION pki.namespace() TO pkakey_functions, pkakey_lookup, pkakey_web,
        pkakey_worker;
    GRANT EXECUTE ON FUNCTION pki.act_as(uuid, text, text) TO pkakey_web, pkakey_worker;
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'pki' AND (p.proname = ANY (lookups) OR p.proname = ANY (writers))
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pkakey_web, pkakey_worker', f);
    END LOOP;
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'pki' AND p.proname = ANY (writers) LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO pkakey_functions', f);
    END LOOP;
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'pki' AND p.proname = ANY (lookups) LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO pkakey_lookup', f);
    END LOOP;
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'intents' LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pkakey_signer', f);
        EXECUTE format('ALTER FUNCTION %s OWNER TO pkakey_lookup', f);
    END LOOP;
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'status' LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pkakey_status', f);
        EXECUTE format('ALTER FUNCTION %s OWNER TO pkakey_lookup', f);
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA pki, intents, status FROM pkakey_functions, pkakey_lookup;
GRANT USAGE ON SCHEMA pki TO pkakey_web, pkakey_worker;
GRANT USAGE ON SCHEMA intents TO pkakey_signer;
GRANT USAGE ON SCHEMA status TO pkakey_status;

GRANT SELECT ON accounts_user, accounts_user_groups, auth_group TO pkakey_lookup;

GRANT SELECT ON tokens_token, namespaces_namespace, authorities_authority, authorities_grant,
    profiles_profile TO pkakey_functions;
GRANT SELECT, INSERT, UPDATE ON certificates_intent TO pkakey_functions;
GRANT SELECT, INSERT, UPDATE (revoked_at, revocation_reason)
    ON certificates_certificate TO pkakey_functions;
GRANT SELECT, INSERT, DELETE ON certificates_idempotencykey TO pkakey_functions;
GRANT SELECT, INSERT ON authorities_crl, audit_entry, outbox_event TO pkakey_functions;
GRANT USAGE ON SEQUENCE outbox_event_number TO pkakey_functions;

GRANT SELECT ON namespaces_namespace, namespaces_membership, profiles_profile,
    authorities_authority, authorities_grant, authorities_ocspresponder, authorities_crl,
    tokens_token, audit_entry, outbox_event, certificates_intent, certificates_certificate,
    certificates_idempotencykey, certificates_expirynotice TO pkakey_web, pkakey_worker;
GRANT INSERT ON namespaces_namespace, namespaces_membership, profiles_profile,
    authorities_authority, authorities_grant, authorities_ocspresponder, tokens_token
    TO pkakey_web, pkakey_worker;
GRANT UPDATE (name, default_authority_id) ON namespaces_namespace TO pkakey_web, pkakey_worker;
GRANT UPDATE (is_current) ON profiles_profile TO pkakey_web, pkakey_worker;
GRANT UPDATE (state, version, subject, certificate_der, serial_number, not_before, not_after,
    name_sha1, key_sha1, name_sha256, key_sha256, last_crl_number)
    ON authorities_authority TO pkakey_web, pkakey_worker;
GRANT UPDATE (revoked_at, last_used_at) ON tokens_token TO pkakey_web, pkakey_worker;
GRANT INSERT ON certificates_expirynotice TO pkakey_worker;
GRANT UPDATE (delivered_at) ON outbox_event TO pkakey_worker;
-- Old CRLs are of no use once a newer one is out.
GRANT DELETE ON authorities_crl TO pkakey_worker;
