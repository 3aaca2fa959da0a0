/*
 * Sorted arrays: lists are read in order far more often than keys are put between others. A blob that is being sent is kept
 * by its reference, so an object may be replaced or deleted meanwhile.
 */
#include "local/s3_store.h"

#include <stdlib.h>

#include "base/memory.h"

struct leat_local_blob *
leat_local_blob_new(struct leat_slice bytes, struct leat_slice headers, const char *etag)
{
    struct leat_local_blob *blob = LEAT_NEW(struct leat_local_blob);

    atomic_init(&blob->references, 1);
    blob->bytes = leat_slice_copy(bytes);
    blob->headers = leat_slice_copy(headers);
    snprintf(blob->etag, sizeof blob->etag, "%s", etag);
    return blob;
}

void
leat_local_blob_unref(void *context)
{
    struct leat_local_blob *blob = context;

    if (blob == NULL || atomic_fetch_sub(&blob->references, 1) > 1)
        return;
    free((void *)(uintptr_t)blob->bytes.data);
    free((void *)(uintptr_t)blob->headers.data);
    free(blob);
}

/* ---- buckets --------------------------------------------------------------------------------------- */

static size_t
bucket_place(const struct leat_local_store *store, struct leat_slice name, bool *ret_is_there)
{
    size_t low = 0, high = store->count;

    *ret_is_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = leat_slice_compare(leat_slice_from(store->buckets[middle]->name), name);

        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
            *ret_is_there |= order == 0;
        }
    }
    return low;
}

struct leat_local_bucket *
leat_local_objects_find(const struct leat_local_store *store, struct leat_slice name)
{
    bool is_there;
    size_t place = bucket_place(store, name, &is_there);

    return is_there ? store->buckets[place] : NULL;
}

struct leat_local_bucket *
leat_local_objects_add(struct leat_local_store *store, struct leat_slice name, int64_t now_us)
{
    struct leat_local_bucket *bucket = LEAT_NEW(struct leat_local_bucket);
    bool is_there;
    size_t place = bucket_place(store, name, &is_there);

    LEAT_ASSERT(!is_there);
    bucket->name = leat_slice_strdup(name);
    bucket->created_us = now_us;
    LEAT_GROW(store->buckets, store->count, store->capacity);
    memmove(store->buckets + place + 1, store->buckets + place,
            (store->count - place) * sizeof *store->buckets);
    store->buckets[place] = bucket;
    store->count++;
    return bucket;
}

static void
forget_object(struct leat_local_store *store, struct leat_local_object *object)
{
    store->objects--;
    store->bytes -= object->key.size + object->blob->bytes.size;
    leat_local_blob_unref(object->blob);
    free((void *)(uintptr_t)object->key.data);
}

static void
free_bucket(struct leat_local_store *store, struct leat_local_bucket *bucket)
{
    for (size_t i = 0; i < bucket->count; i++)
        forget_object(store, &bucket->objects[i]);
    free(bucket->objects);
    free(bucket->name);
    free(bucket);
}

void
leat_local_objects_remove(struct leat_local_store *store, struct leat_local_bucket *bucket)
{
    bool is_there;
    size_t place = bucket_place(store, leat_slice_from(bucket->name), &is_there);

    LEAT_ASSERT(is_there && store->buckets[place] == bucket);
    free_bucket(store, bucket);
    store->count--;
    memmove(store->buckets + place, store->buckets + place + 1,
            (store->count - place) * sizeof *store->buckets);
}

void
leat_local_objects_release(struct leat_local_store *store)
{
    for (size_t i = 0; i < store->count; i++)
        free_bucket(store, store->buckets[i]);
    free(store->buckets);
    *store = (struct leat_local_store){0};
}

/* ---- objects --------------------------------------------------------------------------------------- */

size_t
leat_local_bucket_place(const struct leat_local_bucket *bucket, struct leat_slice key,
                        bool *ret_is_there)
{
    size_t low = 0, high = bucket->count;

    *ret_is_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = leat_slice_compare(bucket->objects[middle].key, key);

        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
            *ret_is_there |= order == 0;
        }
    }
    return low;
}

struct leat_local_blob *
leat_local_bucket_get(const struct leat_local_bucket *bucket, struct leat_slice key)
{
    bool is_there;
    size_t place = leat_local_bucket_place(bucket, key, &is_there);

    return is_there ? bucket->objects[place].blob : NULL;
}

void
leat_local_bucket_put(struct leat_local_store *store, struct leat_local_bucket *bucket,
                      struct leat_slice key, struct leat_local_blob *blob)
{
    bool is_there;
    size_t place = leat_local_bucket_place(bucket, key, &is_there);

    if (is_there) {
        store->bytes -= bucket->objects[place].blob->bytes.size;
        leat_local_blob_unref(bucket->objects[place].blob);
    } else {
        LEAT_GROW(bucket->objects, bucket->count, bucket->capacity);
        memmove(bucket->objects + place + 1, bucket->objects + place,
                (bucket->count - place) * sizeof *bucket->objects);
        bucket->objects[place].key = leat_slice_copy(key);
        bucket->count++;
        store->objects++;
        store->bytes += key.size;
    }
    bucket->objects[place].blob = blob;
    store->bytes += blob->bytes.size;
}

void
leat_local_bucket_delete(struct leat_local_store *store, struct leat_local_bucket *bucket,
                         struct leat_slice key)
{
    bool is_there;
    size_t place = leat_local_bucket_place(bucket, key, &is_there);

    if (!is_there)
        return;
    forget_object(store, &bucket->objects[place]);
    bucket->count--;
    memmove(bucket->objects + place, bucket->objects + place + 1,
            (bucket->count - place) * sizeof *bucket->objects);
}
