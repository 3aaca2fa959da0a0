/* The control requests of scripts, under /_leat/: faults, clock, counters. Not counted as calls. */
#include <json-c/json.h>

#include "base/clock.h"
#include "base/json.h"
#include "local/roles_inside.h"

static void
write_state(struct leat_local_roles *server, struct leat_buf *out)
{
    struct leat_local_roles_counts counts;
    struct leat_json json;

    leat_local_roles_counts(server, &counts);
    leat_json_begin(&json, out);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "endpoint", server->endpoint);
    leat_json_integer(&json, "now_ms", leat_local_roles_now_us(server) / LEAT_MS_US);
    leat_json_object(&json, "counts");
    leat_json_integer(&json, "calls", (int64_t)counts.calls);
    leat_json_integer(&json, "refused", (int64_t)counts.refused);
    leat_json_integer(&json, "issued", (int64_t)counts.issued);
    leat_json_integer(&json, "faults", (int64_t)counts.faults);
    leat_json_integer(&json, "most_under_way", (int64_t)counts.most_under_way);
    leat_json_integer(&json, "connections", (int64_t)counts.connections);
    leat_json_object_end(&json);
    leat_mutex_lock(&server->lock);
    leat_json_object(&json, "actions");
    for (size_t i = 0; i < LEAT_LOCAL_ROLES_ACTIONS; i++) {
        if (leat_local_roles_action_names[i][0] != '\0')
            leat_json_integer(&json, leat_local_roles_action_names[i],
                              (int64_t)server->actions[i].calls);
    }
    leat_json_object_end(&json);
    leat_json_array(&json, "sessions");
    for (size_t i = 0; i < server->session_count; i++) {
        leat_json_object(&json, NULL);
        leat_json_text(&json, "name", server->sessions[i].name);
        leat_json_integer(&json, "calls", (int64_t)server->sessions[i].tally.calls);
        leat_json_integer(&json, "most_under_way", (int64_t)server->sessions[i].tally.most);
        leat_json_object_end(&json);
    }
    leat_json_array_end(&json);
    leat_local_roles_faults_write(server, &json);
    leat_mutex_unlock(&server->lock);
    leat_json_object_end(&json);
}

/* All or none. */
static int
add_faults(struct leat_local_roles *server, struct json_object *root, struct leat_error *err)
{
    bool is_list = json_object_is_type(root, json_type_array);
    size_t count = is_list ? json_object_array_length(root) : 1;

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++) {
            struct leat_local_roles_fault fault;
            int result = leat_local_roles_fault_parse(
                is_list ? json_object_array_get_idx(root, i) : root, &fault, err);

            if (result < 0)
                return result;
            if (round == 1)
                leat_local_roles_fault(server, &fault);
        }
    }
    return 0;
}

static int
shift_clock(struct leat_local_roles *server, struct json_object *root, struct leat_error *err)
{
    int64_t shift_ms;

    if (!leat_json_get_integer(root, "shift_ms", &shift_ms) || shift_ms > INT64_C(1) << 40 ||
        shift_ms < -(INT64_C(1) << 40))
        return leat_error_set(err, LEAT_E_INVALID, "\"shift_ms\" is missing or too much");
    leat_local_roles_shift_clock(server, shift_ms * LEAT_MS_US);
    return 0;
}

/* LEAT_E_NOT_FOUND: there is no such request. */
static int
run_post(struct leat_local_roles *server, const struct leat_local_request *request,
         struct leat_error *err)
{
    struct json_object *root = NULL;
    int result = LEAT_E_NOT_FOUND;

    if (leat_slice_is(request->path, "/_leat/expire")) {
        leat_local_roles_expire_all(server);
        return 0;
    }
    if (leat_json_parse(leat_slice_make(request->body, request->body_size), &root, err) < 0)
        return LEAT_E_INVALID;
    leat_error_set(err, LEAT_E_NOT_FOUND, "there is no such request");
    if (leat_slice_is(request->path, "/_leat/faults"))
        result = add_faults(server, root, err);
    else if (leat_slice_is(request->path, "/_leat/clock"))
        result = shift_clock(server, root, err);
    json_object_put(root);
    return result;
}

void
leat_local_roles_control(struct leat_local_roles *server, const struct leat_local_request *request,
                         struct leat_local_answer *answer)
{
    struct leat_error err = {.text = "there is no such request"};
    int result = LEAT_E_NOT_FOUND;
    struct leat_json json;

    leat_local_http_header(answer, "Content-Type", "application/json");
    if (leat_slice_is(request->method, "POST")) {
        result = run_post(server, request, &err);
    } else if (leat_slice_is(request->method, "DELETE") &&
               leat_slice_is(request->path, "/_leat/faults")) {
        leat_local_roles_clear_faults(server);
        result = 0;
    } else if (leat_slice_is(request->method, "GET") &&
               leat_slice_is(request->path, "/_leat/state")) {
        write_state(server, &answer->body);
        return;
    }
    leat_json_begin(&json, &answer->body);
    leat_json_object(&json, NULL);
    if (result < 0) {
        answer->status = result == LEAT_E_NOT_FOUND ? 404 : 400;
        leat_json_text(&json, "error", err.text);
    }
    leat_json_object_end(&json);
}
