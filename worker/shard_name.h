/* Shards as people name them. Pure. */
#ifndef LEAT_WORKER_SHARD_NAME_H
#define LEAT_WORKER_SHARD_NAME_H

#define LEAT_SHARD_NAME_BYTES 129

/* "7" is shardId-000000000007; all else is a name already. Returns ret_name. */
const char *leat_shard_name(const char *text, char ret_name[LEAT_SHARD_NAME_BYTES]);

#endif
