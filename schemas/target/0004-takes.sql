-- takes counts those takes that a call of the processor followed. What stands there was counted otherwise: every move of an idle
-- shard was in it. Rows that somebody holds are being taken or committed right now, and left alone.

COMMENT ON COLUMN leat.progress.takes IS 'takes in a row that a call of the processor followed, and no commit: three mean a crash loop';

UPDATE leat.progress p SET takes = 0
  FROM (SELECT application, processor, tenant, stream_id, shard FROM leat.progress WHERE takes > 0
         ORDER BY application, processor, tenant, stream_id, shard FOR UPDATE SKIP LOCKED) idle
 WHERE p.application = idle.application AND p.processor = idle.processor AND p.tenant = idle.tenant
   AND p.stream_id = idle.stream_id AND p.shard = idle.shard;
