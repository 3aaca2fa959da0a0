-- What each worker runs, so that a lease finds one that runs all processors of its stream; and what stands still at it.

-- runs: {"streams": {"NAME": true, …}, "processors": {"NAME": null (all those streams) | {"STREAM": true, …}, …}}.
--   Written when the worker registers and when it picks up or drops a stream; NULL: of an older build, and taken to run all.
-- stuck: [{"processor", "stream_id", "shard", "since" (ms since 1970), "why"}, …], written when it changes; NULL: nothing.
ALTER TABLE leat.workers ADD COLUMN runs jsonb, ADD COLUMN stuck jsonb;

-- How often, and when last, the watchdog of an owner gave this lease away: the next one does so later and later.
ALTER TABLE leat.leases ADD COLUMN given_up integer NOT NULL DEFAULT 0, ADD COLUMN given_up_at timestamptz;

-- Active processors that living workers do not run. Workers that run the same are one row for each of what they lack: `kind` is
-- the least incarnation among them, `workers` their number. of_active: how many active processors the stream has.
CREATE VIEW leat.lacking AS
WITH kinds AS MATERIALIZED (
    SELECT application, min(incarnation) AS kind, count(*) AS workers, runs -> 'streams' AS streams,
           runs -> 'processors' AS processors
      FROM leat.workers WHERE state <> 'dead' AND runs IS NOT NULL GROUP BY application, runs),
needed AS MATERIALIZED (
    SELECT p.application, s.stream_id, s.name AS stream, p.processor,
           count(*) OVER (PARTITION BY p.application, s.stream_id) AS of_active
      FROM leat.processors p JOIN leat.streams s
        ON s.application = p.application AND (p.streams IS NULL OR s.name = ANY (p.streams))
     WHERE p.state = 'active')
SELECT application, k.kind, k.workers, n.stream_id, n.stream, n.processor, n.of_active
  FROM kinds k JOIN needed n USING (application)
 WHERE NOT (k.streams ? n.stream) OR NOT (k.processors ? n.processor)
    OR (jsonb_typeof(k.processors -> n.processor) = 'object' AND NOT (k.processors -> n.processor) ? n.stream);
