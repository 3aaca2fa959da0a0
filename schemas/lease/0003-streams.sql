-- Streams by name, ARN and pattern, looked up once for the fleet.

-- A stream deleted and made again is another row: stream_id = ARN@creation. Rows stay, with their leases, until cleanup.
ALTER TABLE leat.streams
    ADD COLUMN created_at timestamptz,
    ADD COLUMN state text NOT NULL DEFAULT 'active', -- active: read; gone: deleted; stopped: made again, and on_recreated: stop
    ADD COLUMN found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN gone_at timestamptz,
    -- Who lists its shards now: a claim, which is another's when its worker is not alive or it is older than two minutes.
    -- (synced_at: when somebody last had done so.)
    ADD COLUMN sync_by bigint,
    ADD COLUMN sync_at timestamptz,
    ADD CONSTRAINT streams_state_check CHECK (state IN ('active', 'gone', 'stopped'));
UPDATE leat.streams SET created_at = to_timestamp(substring(stream_id FROM '@([0-9]{1,12})$')::float8);

-- What configurations say of streams (a name, an ARN, a pattern), and who looks it up: claimed as above.
CREATE TABLE leat.stream_specs (
    application text COLLATE "C" NOT NULL,
    spec text COLLATE "C" NOT NULL,
    look_by bigint,
    look_at timestamptz,
    looked_at timestamptz, -- when an answer was last stored
    PRIMARY KEY (application, spec)
) WITH (fillfactor = 50);
