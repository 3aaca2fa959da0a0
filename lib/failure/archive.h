/*
 * Where failed data is kept: S3 or a folder. The interface and its two kinds. A put is idempotent by its name, and many may be
 * under way. Used by the letters thread alone, but for wake.
 */
#ifndef LEAT_FAILURE_ARCHIVE_H
#define LEAT_FAILURE_ARCHIVE_H

#include "aws/client.h"
#include "base/buf.h"

struct leat_archive;

struct leat_archive_put {
    const char *name; /* leat_archive_name's; borrowed until done, like body */
    struct leat_slice body;
    /* Once, from run, never from start. url: what finds it again (status 0); lives until done returns. */
    void (*done)(void *context, int status, struct leat_slice url, const struct leat_error *err);
    void *context;
};

struct leat_archive_ops {
    const char *kind;
    unsigned parallel; /* so many puts at a time are of use */
    bool
        is_refusal_ok; /* it is a service: an INVALID or LIMIT of its answer may be this body's or this name's fault */
    /* Copied. One attempt: trying again is the caller's. */
    void (*start)(struct leat_archive *archive, const struct leat_archive_put *put);
    /* Works until something is done, it was woken or deadline_us (monotonic) has come. */
    void (*run)(struct leat_archive *archive, int64_t deadline_us);
    void (*wake)(struct leat_archive *archive);    /* any thread */
    void (*abandon)(struct leat_archive *archive); /* what is under way is forgotten: no done */
    void (*close)(struct leat_archive *archive);
};

struct leat_archive {
    const struct leat_archive_ops *ops;
};

/* url: file:///folder or s3://bucket/prefix; it may end with {application}/{stream}/, which is what names begin with. */
int leat_archive_open(const char *url, const struct leat_aws *aws,
                      struct leat_archive **ret_archive, struct leat_error *err);
/* One put, waited for. */
int leat_archive_put(struct leat_archive *archive, const char *name, struct leat_slice body,
                     struct leat_buf *ret_url, struct leat_error *err);
void leat_archive_close(struct leat_archive *archive); /* NULL is fine */

/*
 * application/stream/day/id.json, below the archive's root whatever the names are: what is no letter of ASCII, no digit and none
 * of "._-" is written as !XX, so is a dot that begins a name; what is too long is cut and ends with !! and its hash. Two names
 * never become one. day: "2026-01-31". Pure.
 */
void leat_archive_name(struct leat_slice application, struct leat_slice stream, const char *day,
                       const char *id, struct leat_buf *out);

#endif
