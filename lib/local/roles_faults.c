/* Which faults hit which call of the roles server. */
#include <json-c/json.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/roles_inside.h"

#define HANG_US (3600 * LEAT_SECOND_US)
#define MAXIMUM_BYTES ((size_t)256 << 20)

static const char *const kind_names[LEAT_LOCAL_ROLES_FAULTS] = {
    [LEAT_LOCAL_ROLES_REFUSE] = "refuse",     [LEAT_LOCAL_ROLES_ERROR] = "error",
    [LEAT_LOCAL_ROLES_THROTTLE] = "throttle", [LEAT_LOCAL_ROLES_DELAY] = "delay",
    [LEAT_LOCAL_ROLES_HANG] = "hang",         [LEAT_LOCAL_ROLES_SLOW] = "slow",
    [LEAT_LOCAL_ROLES_CUT] = "cut",           [LEAT_LOCAL_ROLES_SHORT] = "short",
    [LEAT_LOCAL_ROLES_RESET] = "reset",       [LEAT_LOCAL_ROLES_STALE] = "stale",
    [LEAT_LOCAL_ROLES_REDIRECT] = "redirect", [LEAT_LOCAL_ROLES_TYPE] = "type",
    [LEAT_LOCAL_ROLES_PAGE] = "page",         [LEAT_LOCAL_ROLES_BODY] = "body",
    [LEAT_LOCAL_ROLES_HUGE] = "huge",         [LEAT_LOCAL_ROLES_EXPIRED] = "expired",
    [LEAT_LOCAL_ROLES_CODE] = "code",         [LEAT_LOCAL_ROLES_LACKING] = "lacking",
    [LEAT_LOCAL_ROLES_NO_ROLE] = "no_role",
};

static char *
copy(const char *text)
{
    return text != NULL ? leat_strdup(text) : NULL;
}

void
leat_local_roles_fault(struct leat_local_roles *server, const struct leat_local_roles_fault *fault)
{
    struct leat_local_roles_armed armed = {.fault = *fault};

    armed.fault.action = copy(fault->action);
    armed.fault.code = copy(fault->code);
    armed.fault.text = copy(fault->text);
    leat_mutex_lock(&server->lock);
    LEAT_GROW(server->armed, server->armed_count, server->armed_capacity);
    server->armed[server->armed_count++] = armed;
    leat_mutex_unlock(&server->lock);
}

void
leat_local_roles_forget_faults(struct leat_local_roles *server)
{
    for (size_t i = 0; i < server->armed_count; i++) {
        free((char *)(uintptr_t)server->armed[i].fault.action);
        free((char *)(uintptr_t)server->armed[i].fault.code);
        free((char *)(uintptr_t)server->armed[i].fault.text);
    }
    server->armed_count = 0;
}

void
leat_local_roles_clear_faults(struct leat_local_roles *server)
{
    leat_mutex_lock(&server->lock);
    leat_local_roles_forget_faults(server);
    leat_mutex_unlock(&server->lock);
}

static bool
fires(struct leat_local_roles_armed *armed, enum leat_local_roles_action action)
{
    const struct leat_local_roles_fault *fault = &armed->fault;
    unsigned every = fault->every > 0 ? fault->every : 1;

    if (fault->action != NULL && strcmp(fault->action, leat_local_roles_action_names[action]) != 0)
        return false;
    armed->seen++;
    if (armed->seen <= fault->skip || (armed->seen - fault->skip - 1) % every != 0 ||
        (fault->times > 0 && armed->fired >= fault->times))
        return false;
    armed->fired++;
    return true;
}

static void
refuse(struct leat_local_roles_plan *plan, int status, const char *code)
{
    if (plan->status != 0)
        return;
    plan->status = status;
    snprintf(plan->code, sizeof plan->code, "%s", code);
}

static void
throttle(struct leat_local_roles_plan *plan, enum leat_local_roles_action action)
{
    if (leat_local_roles_is_sts(action))
        refuse(plan, 400, "Throttling");
    else if (leat_local_roles_is_metadata(action))
        refuse(plan, 503, "Service Unavailable");
    else
        refuse(plan, 429, "TooManyRequests");
}

static void
damage(struct leat_local_roles_plan *plan, enum leat_local_damage kind,
       const struct leat_local_roles_fault *fault)
{
    if (plan->http.damage != LEAT_LOCAL_DAMAGE_NONE)
        return;
    plan->http.damage = kind;
    plan->http.cut_bytes = fault->bytes > 0 ? fault->bytes : SIZE_MAX;
    plan->http.step_bytes = fault->bytes;
    if (kind == LEAT_LOCAL_DAMAGE_SLOW)
        plan->http.step_us = fault->delay_us;
}

static void
delay(struct leat_local_roles_plan *plan, int64_t delay_us)
{
    if (delay_us > plan->http.delay_us)
        plan->http.delay_us = delay_us;
}

static void
name(char *out, size_t size, const char *text, const char *otherwise)
{
    snprintf(out, size, "%s", text != NULL ? text : otherwise);
}

static void
change(struct leat_local_roles_plan *plan, const struct leat_local_roles_fault *fault)
{
    if (plan->changed.kind != LEAT_LOCAL_ROLES_FAULTS)
        return;
    plan->changed = *fault;
    plan->text = copy(fault->text);
    plan->changed.text = plan->text;
}

static void
apply(struct leat_local_roles_plan *plan, const struct leat_local_roles_fault *fault,
      enum leat_local_roles_action action)
{
    switch (fault->kind) {
    case LEAT_LOCAL_ROLES_REFUSE:
        refuse(plan, fault->status > 0 ? fault->status : 500,
               fault->code != NULL ? fault->code : "InternalFailure");
        break;
    case LEAT_LOCAL_ROLES_ERROR:
        refuse(plan, fault->status > 0 ? fault->status : 500, "");
        break;
    case LEAT_LOCAL_ROLES_THROTTLE:
        throttle(plan, action);
        break;
    case LEAT_LOCAL_ROLES_DELAY:
        delay(plan, fault->delay_us);
        break;
    case LEAT_LOCAL_ROLES_HANG:
        delay(plan, HANG_US);
        break;
    case LEAT_LOCAL_ROLES_SLOW:
        damage(plan, LEAT_LOCAL_DAMAGE_SLOW, fault);
        break;
    case LEAT_LOCAL_ROLES_CUT:
        damage(plan, LEAT_LOCAL_DAMAGE_CUT, fault);
        break;
    case LEAT_LOCAL_ROLES_RESET:
        plan->is_reset = true;
        damage(plan, LEAT_LOCAL_DAMAGE_RESET, fault);
        break;
    case LEAT_LOCAL_ROLES_STALE:
        damage(plan, LEAT_LOCAL_DAMAGE_STALE, fault);
        break;
    case LEAT_LOCAL_ROLES_SHORT:
    case LEAT_LOCAL_ROLES_REDIRECT:
    case LEAT_LOCAL_ROLES_TYPE:
    case LEAT_LOCAL_ROLES_PAGE:
    case LEAT_LOCAL_ROLES_BODY:
    case LEAT_LOCAL_ROLES_HUGE:
        change(plan, fault);
        break;
    case LEAT_LOCAL_ROLES_EXPIRED:
        plan->is_expired = true;
        break;
    case LEAT_LOCAL_ROLES_CODE:
        name(plan->metadata, sizeof plan->metadata, fault->code, "AssumeRoleUnauthorizedAccess");
        break;
    case LEAT_LOCAL_ROLES_LACKING:
        name(plan->lacking, sizeof plan->lacking, fault->code, "Expiration");
        break;
    case LEAT_LOCAL_ROLES_NO_ROLE:
        plan->has_no_role = true;
        break;
    case LEAT_LOCAL_ROLES_FAULTS:
        break;
    }
}

void
leat_local_roles_make_plan(struct leat_local_roles *server, enum leat_local_roles_action action,
                           struct leat_local_roles_plan *ret_plan)
{
    *ret_plan = (struct leat_local_roles_plan){.changed.kind = LEAT_LOCAL_ROLES_FAULTS};
    for (size_t i = 0; i < server->armed_count; i++) {
        if (!fires(&server->armed[i], action))
            continue;
        server->counts.faults++;
        apply(ret_plan, &server->armed[i].fault, action);
    }
}

/* ---- over HTTP ------------------------------------------------------------------------------- */

static const char *
get_string(struct json_object *object, const char *key)
{
    struct json_object *member = leat_json_get(object, key);

    return json_object_is_type(member, json_type_string) ? json_object_get_string(member) : NULL;
}

static int64_t
get_number(struct json_object *object, const char *key, int64_t most)
{
    int64_t number;

    if (!leat_json_get_integer(object, key, &number) || number < 0)
        return 0;
    return number < most ? number : most;
}

int
leat_local_roles_fault_parse(struct json_object *object, struct leat_local_roles_fault *ret_fault,
                             struct leat_error *err)
{
    const char *kind = get_string(object, "kind");
    size_t place = 0;

    while (place < LEAT_COUNT_OF(kind_names) &&
           (kind == NULL || strcmp(kind, kind_names[place]) != 0))
        place++;
    if (place == LEAT_COUNT_OF(kind_names))
        return leat_error_set(err, LEAT_E_INVALID, "there is no kind of fault \"%.40s\"",
                              kind != NULL ? kind : "");
    *ret_fault = (struct leat_local_roles_fault){
        .kind = (enum leat_local_roles_fault_kind)place,
        .action = get_string(object, "action"),
        .skip = (unsigned)get_number(object, "skip", UINT32_MAX),
        .every = (unsigned)get_number(object, "every", UINT32_MAX),
        .times = (unsigned)get_number(object, "times", UINT32_MAX),
        .status = (int)get_number(object, "status", 599),
        .code = get_string(object, "code"),
        .text = get_string(object, "text"),
        .delay_us = get_number(object, "delay_ms", INT32_MAX) * LEAT_MS_US,
        .bytes = (size_t)get_number(object, "bytes", MAXIMUM_BYTES),
    };
    if (ret_fault->status != 0 && ret_fault->status < 200)
        return leat_error_set(err, LEAT_E_INVALID, "a fault's status is 200 to 599");
    return 0;
}

void
leat_local_roles_faults_write(struct leat_local_roles *server, struct leat_json *json)
{
    leat_json_array(json, "faults");
    for (size_t i = 0; i < server->armed_count; i++) {
        const struct leat_local_roles_armed *armed = &server->armed[i];

        leat_json_object(json, NULL);
        leat_json_text(json, "kind", kind_names[armed->fault.kind]);
        leat_json_text(json, "action", armed->fault.action);
        leat_json_integer(json, "times", armed->fault.times);
        leat_json_integer(json, "seen", (int64_t)armed->seen);
        leat_json_integer(json, "fired", (int64_t)armed->fired);
        leat_json_object_end(json);
    }
    leat_json_array_end(json);
}
