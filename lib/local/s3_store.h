/* Buckets and objects in memory, in the order of keys. Not for threads: the server's lock is held; blobs may outlive it. */
#ifndef LEAT_LOCAL_S3_STORE_H
#define LEAT_LOCAL_S3_STORE_H

#include <stdatomic.h>

#include "base/buf.h"

/* Bytes and headers of one version of an object. Not changed once it is stored; shared with the answers that send it. */
struct leat_local_blob {
    atomic_uint references;
    struct leat_slice bytes;
    struct leat_slice headers; /* name, zero, value, zero, … as they are sent back */
    char etag[35];             /* with its quotes */
    int64_t modified_us;
};
/* Copies both; one reference, the caller's. */
struct leat_local_blob *leat_local_blob_new(struct leat_slice bytes, struct leat_slice headers,
                                            const char *etag);
void leat_local_blob_unref(void *blob);

struct leat_local_object {
    struct leat_slice key;
    struct leat_local_blob *blob;
};
struct leat_local_bucket {
    char *name;
    int64_t created_us;
    struct leat_local_object *objects; /* by key */
    size_t count, capacity;
};
struct leat_local_store {
    struct leat_local_bucket **buckets; /* by name */
    size_t count, capacity;
    uint64_t objects, bytes;
};

void leat_local_objects_release(struct leat_local_store *store);
struct leat_local_bucket *leat_local_objects_find(const struct leat_local_store *store,
                                                  struct leat_slice name); /* NULL: none */
/* The name must not be there yet. */
struct leat_local_bucket *leat_local_objects_add(struct leat_local_store *store,
                                                 struct leat_slice name, int64_t now_us);
void leat_local_objects_remove(struct leat_local_store *store, struct leat_local_bucket *bucket);

/* Where the key is, or would be put. */
size_t leat_local_bucket_place(const struct leat_local_bucket *bucket, struct leat_slice key,
                               bool *ret_is_there);
/* Borrowed; NULL: none. */
struct leat_local_blob *leat_local_bucket_get(const struct leat_local_bucket *bucket,
                                              struct leat_slice key);
/* Takes the caller's reference. */
void leat_local_bucket_put(struct leat_local_store *store, struct leat_local_bucket *bucket,
                           struct leat_slice key, struct leat_local_blob *blob);
void leat_local_bucket_delete(struct leat_local_store *store, struct leat_local_bucket *bucket,
                              struct leat_slice key); /* none there is fine */

#endif
