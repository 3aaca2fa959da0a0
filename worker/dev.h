/*
 * The parts of `leat dev`: our own Kinesis and S3 on loopback, a private Postgres, and the configuration that joins them. One
 * thread makes and ends them.
 */
#ifndef LEAT_WORKER_DEV_H
#define LEAT_WORKER_DEV_H

#include "local/kinesis.h"
#include "local/postgres.h"
#include "local/roles.h"
#include "local/s3.h"

#define LEAT_DEV_KEY "leat"
#define LEAT_DEV_BUCKET "leat-archive"
#define LEAT_DEV_STREAM "observations"
#define LEAT_DEV_DEAD_LETTERS "observations-dlq"

struct leat_dev {
    const char *directory; /* exists, ours */
    const char *program;   /* how to call leat from a shell */
    uint16_t kinesis_port, s3_port;
    bool has_limits;            /* those of AWS */
    int64_t role_lifetime_us;   /* of credentials that a role gives; 0: there are no roles */
    const char *const *streams; /* NAME or NAME:SHARDS */
    size_t stream_count;
    /* made: */
    struct leat_local_roles *roles; /* NULL: none */
    struct leat_local_kinesis *kinesis;
    struct leat_local_s3 *s3;
    struct leat_local_postgres *postgres;
    char database_directory[128], database[200], config[128], environment[128];
};

int leat_dev_open(struct leat_dev *dev, struct leat_error *err);
void leat_dev_close(struct leat_dev *dev);

#endif
