-- Names inside leat's functions are the system's, whatever the session that calls them looks up first.

ALTER FUNCTION leat.fence(text, text, text, text[], text[], bigint[], bigint[], bigint) SET search_path = pg_catalog, pg_temp;
