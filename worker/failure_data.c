/* A letter is one JSON object in the archive; its data is text, or Base64 where it is no UTF-8. */
#include "worker/failure_data.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "aws/s3.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/memory.h"
#include "worker/setup.h"

#define LETTER_BYTES (64 * 1024 * 1024) /* 10 MiB of data as Base64, or with each byte escaped */

static int
read_file(const char *path, struct leat_buf *letter, struct leat_error *err)
{
    FILE *file = fopen(path, "rb");
    char piece[65536];
    size_t got;
    int status = 0;

    if (file == NULL)
        return leat_error_set(err, errno == ENOENT ? LEAT_E_NOT_FOUND : LEAT_E_SYSTEM,
                              "could not read the letter \"%s\": %s%s", path, strerror(errno),
                              errno == ENOENT ? ": an archive folder is of the worker's machine"
                                              : "");
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        leat_buf_add(letter, piece, got);
    if (ferror(file) != 0)
        status = leat_error_set(err, LEAT_E_SYSTEM, "could not read the letter \"%s\": %s", path,
                                strerror(errno));
    fclose(file);
    return status;
}

/* address: bucket/key */
static int
read_object(const struct leat_config *config, const char *address, struct leat_buf *letter,
            struct leat_error *err)
{
    static const struct leat_config nothing;
    const char *key = strchr(address, '/');
    LEAT_AUTO_BUF bucket = LEAT_BUF_INIT;
    struct leat_aws aws;
    struct leat_s3 *s3;
    int status = LEAT_E_INVALID;

    if (key == NULL)
        return leat_error_set(err, LEAT_E_FORMAT, "\"s3://%s\" names no object", address);
    leat_buf_add(&bucket, address, (size_t)(key - address));
    leat_setup_aws_init(&aws, config != NULL ? config : &nothing);
    s3 = leat_s3_new(&aws, err);
    if (s3 != NULL)
        status =
            leat_s3_get_object(s3, leat_buf_text(&bucket), leat_slice_from(key + 1), letter, err);
    leat_s3_free(s3);
    leat_setup_aws_release(&aws);
    return status;
}

static int
take_data(struct leat_slice letter, const char *archive_url, struct leat_buf *data,
          struct leat_error *err)
{
    struct json_object *root;
    struct leat_slice text;
    int status = leat_json_parse(letter, &root, err);

    if (status != 0)
        return leat_error_prefix(err, "letter \"%s\"", archive_url);
    if (leat_json_get_text(root, "data", &text))
        leat_buf_add_slice(data, text);
    else if (!leat_json_get_text(root, "data_base64", &text) || !leat_base64_decode(data, text))
        status =
            leat_error_set(err, LEAT_E_FORMAT, "\"%s\" is no letter: it has no data", archive_url);
    json_object_put(root);
    return status;
}

int
leat_failure_data(const struct leat_config *config, const char *archive_url, struct leat_buf *data,
                  struct leat_error *err)
{
    struct leat_buf letter;
    int status;

    leat_buf_init(&letter, LETTER_BYTES);
    if (strncmp(archive_url, "file://", 7) == 0)
        status = read_file(archive_url + 7, &letter, err);
    else if (strncmp(archive_url, "s3://", 5) == 0)
        status = read_object(config, archive_url + 5, &letter, err);
    else
        status = leat_error_set(err, LEAT_E_FORMAT, "\"%s\" is neither file://… nor s3://…",
                                archive_url);
    if (status == 0 && letter.is_truncated)
        status = leat_error_set(err, LEAT_E_LIMIT, "letter \"%s\" is longer than %d MiB",
                                archive_url, LETTER_BYTES >> 20);
    if (status == 0)
        status = take_data(leat_buf_slice(&letter), archive_url, data, err);
    leat_buf_release(&letter);
    return status;
}
