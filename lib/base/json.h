/*
 * Writing JSON into a buf, without a tree: the writer minds commas, quotes and escapes.
 * Reading small documents is json-c's (leat_json_parse below bounds and reports); hot paths have their own.
 */
#ifndef LEAT_BASE_JSON_H
#define LEAT_BASE_JSON_H

#include "base/buf.h"

struct json_object;

struct leat_json {
    struct leat_buf *buf;
    bool needs_comma;
};

void leat_json_begin(struct leat_json *json, struct leat_buf *buf);
/* key NULL: inside an array or at the top. */
void leat_json_object(struct leat_json *json, const char *key);
void leat_json_object_end(struct leat_json *json);
void leat_json_array(struct leat_json *json, const char *key);
void leat_json_array_end(struct leat_json *json);
void leat_json_text(struct leat_json *json, const char *key, const char *text); /* NULL: null */
void leat_json_slice(struct leat_json *json, const char *key, struct leat_slice text);
void leat_json_base64(struct leat_json *json, const char *key, struct leat_slice bytes);
void leat_json_integer(struct leat_json *json, const char *key, int64_t number);
void leat_json_real(struct leat_json *json, const char *key, double number); /* not finite: null */
void leat_json_bool(struct leat_json *json, const char *key, bool is_true);
void leat_json_null(struct leat_json *json, const char *key);
void leat_json_raw(struct leat_json *json, const char *key,
                   struct leat_slice raw); /* a JSON value */

/* The whole text as one value; depth and size bounded. The caller's: json_object_put. */
int leat_json_parse(struct leat_slice text, struct json_object **ret_root, struct leat_error *err);
/* LEAT_E_LIMIT where the tree would take more than tree_bytes: found before it is made (json_measure.h). What a remote
   side sends is read by this one. */
int leat_json_parse_within(struct leat_slice text, size_t tree_bytes, struct json_object **ret_root,
                           struct leat_error *err);
/* Members of an object; JSON null counts as absent. false: absent or of another type. */
bool leat_json_get_text(struct json_object *object, const char *key, struct leat_slice *ret_text);
bool leat_json_get_integer(struct json_object *object, const char *key, int64_t *ret_number);
bool leat_json_get_real(struct json_object *object, const char *key, double *ret_number);
bool leat_json_get_bool(struct json_object *object, const char *key, bool *ret_is_true);
struct json_object *leat_json_get(struct json_object *object,
                                  const char *key); /* borrowed; NULL: absent or null */

#endif
