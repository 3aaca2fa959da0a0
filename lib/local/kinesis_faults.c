/* Faults on demand: armed ones are counted per matching call, and those that fire are put together into one plan. */
#include "local/kinesis_faults.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

static const char *const kind_names[] = {
    [LEAT_LOCAL_FAULT_THROTTLE] = "throttle",
    [LEAT_LOCAL_FAULT_REFUSE] = "refuse",
    [LEAT_LOCAL_FAULT_ERROR] = "error",
    [LEAT_LOCAL_FAULT_EXPIRED_ITERATOR] = "expired_iterator",
    [LEAT_LOCAL_FAULT_EXPIRED_TOKEN] = "expired_token",
    [LEAT_LOCAL_FAULT_DELAY] = "delay",
    [LEAT_LOCAL_FAULT_SLOW] = "slow",
    [LEAT_LOCAL_FAULT_CUT] = "cut",
    [LEAT_LOCAL_FAULT_RESET] = "reset",
    [LEAT_LOCAL_FAULT_LOST] = "lost",
    [LEAT_LOCAL_FAULT_STALE] = "stale",
    [LEAT_LOCAL_FAULT_EMPTY] = "empty",
    [LEAT_LOCAL_FAULT_REPEAT] = "repeat",
    [LEAT_LOCAL_FAULT_PARTIAL] = "partial",
    [LEAT_LOCAL_FAULT_NULL] = "null",
    [LEAT_LOCAL_FAULT_INDEFINITE] = "indefinite",
    [LEAT_LOCAL_FAULT_NO_CBOR] = "no_cbor",
    [LEAT_LOCAL_FAULT_BARE_END] = "bare_end",
    [LEAT_LOCAL_FAULT_ENDLESS] = "endless",
    [LEAT_LOCAL_FAULT_DATE] = "date",
    [LEAT_LOCAL_FAULT_ODD_SHARDS] = "odd_shards",
    [LEAT_LOCAL_FAULT_CLOSED] = "closed",
    [LEAT_LOCAL_FAULT_OPEN] = "open",
};

static char *
copy(const char *text)
{
    return text != NULL && text[0] != '\0' ? leat_strdup(text) : NULL;
}

void
leat_local_faults_add(struct leat_local_faults *faults, const struct leat_local_fault *fault)
{
    struct leat_local_armed *armed;

    LEAT_GROW(faults->armed, faults->count, faults->capacity);
    armed = &faults->armed[faults->count++];
    *armed = (struct leat_local_armed){.fault = *fault};
    armed->fault.action = copy(fault->action);
    armed->fault.stream = copy(fault->stream);
    armed->fault.shard = copy(fault->shard);
    armed->fault.type = copy(fault->type);
}

void
leat_local_faults_clear(struct leat_local_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct leat_local_fault *fault = &faults->armed[i].fault;

        free((void *)(uintptr_t)fault->action);
        free((void *)(uintptr_t)fault->stream);
        free((void *)(uintptr_t)fault->shard);
        free((void *)(uintptr_t)fault->type);
    }
    faults->count = 0;
}

void
leat_local_faults_release(struct leat_local_faults *faults)
{
    leat_local_faults_clear(faults);
    free(faults->armed);
    *faults = (struct leat_local_faults){0};
}

static bool
fires(struct leat_local_faults *faults, struct leat_local_armed *armed)
{
    const struct leat_local_fault *fault = &armed->fault;
    unsigned every = fault->every > 0 ? fault->every : 1;

    if (armed->seen++ < fault->skip || (armed->seen - fault->skip) % every != 0)
        return false;
    if (fault->times > 0 && armed->fired >= fault->times)
        return false;
    if (fault->per_mille > 0 && leat_random_below(&faults->random, 1000) >= fault->per_mille)
        return false;
    armed->fired++;
    faults->fired++;
    return true;
}

static void
refuse(struct leat_local_plan *plan, int status, const char *type)
{
    if (plan->status != 0)
        return;
    plan->status = status;
    snprintf(plan->type, sizeof plan->type, "%s", type);
}

static void
damage(struct leat_local_plan *plan, enum leat_local_damage what)
{
    if (plan->http.damage == LEAT_LOCAL_DAMAGE_NONE)
        plan->http.damage = what;
}

static bool
has_shard_limit(const char *action)
{
    return strcmp(action, "GetRecords") == 0 || strcmp(action, "GetShardIterator") == 0 ||
           strncmp(action, "PutRecord", 9) == 0;
}

static void
add_refusal(struct leat_local_plan *plan, const struct leat_local_fault *fault, const char *action)
{
    int status = fault->status > 0 ? fault->status : 400;

    if (fault->kind == LEAT_LOCAL_FAULT_THROTTLE)
        refuse(plan, 400,
               has_shard_limit(action) ? "ProvisionedThroughputExceededException"
                                       : "LimitExceededException");
    else if (fault->kind == LEAT_LOCAL_FAULT_EXPIRED_ITERATOR)
        refuse(plan, 400,
               strncmp(action, "List", 4) == 0 ? "ExpiredNextTokenException"
                                               : "ExpiredIteratorException");
    else if (fault->kind == LEAT_LOCAL_FAULT_EXPIRED_TOKEN)
        refuse(plan, 400, "ExpiredTokenException");
    else if (fault->kind == LEAT_LOCAL_FAULT_REFUSE)
        refuse(plan, status, fault->type != NULL ? fault->type : "InvalidArgumentException");
    else
        refuse(plan, fault->status > 0 ? fault->status : 500, "");
}

static void
add_damage(struct leat_local_plan *plan, const struct leat_local_fault *fault)
{
    if (fault->kind == LEAT_LOCAL_FAULT_SLOW) {
        damage(plan, LEAT_LOCAL_DAMAGE_SLOW);
        plan->http.step_bytes = fault->bytes;
        plan->http.step_us = fault->delay_us;
        return;
    }
    if (fault->kind == LEAT_LOCAL_FAULT_CUT) {
        damage(plan, LEAT_LOCAL_DAMAGE_CUT);
        plan->http.cut_bytes = fault->bytes > 0 ? fault->bytes : SIZE_MAX;
    } else if (fault->kind == LEAT_LOCAL_FAULT_STALE) {
        damage(plan, LEAT_LOCAL_DAMAGE_STALE);
    } else if (fault->kind != LEAT_LOCAL_FAULT_DELAY) {
        damage(plan, LEAT_LOCAL_DAMAGE_RESET);
        plan->is_reset = plan->is_reset || fault->kind == LEAT_LOCAL_FAULT_RESET;
    }
}

static void
add_to_plan(struct leat_local_plan *plan, const struct leat_local_fault *fault, const char *action)
{
    if (fault->delay_us > plan->http.delay_us && fault->kind != LEAT_LOCAL_FAULT_SLOW &&
        fault->kind != LEAT_LOCAL_FAULT_DATE)
        plan->http.delay_us = fault->delay_us;
    switch (fault->kind) {
    case LEAT_LOCAL_FAULT_THROTTLE:
    case LEAT_LOCAL_FAULT_REFUSE:
    case LEAT_LOCAL_FAULT_ERROR:
    case LEAT_LOCAL_FAULT_EXPIRED_ITERATOR:
    case LEAT_LOCAL_FAULT_EXPIRED_TOKEN:
        add_refusal(plan, fault, action);
        break;
    case LEAT_LOCAL_FAULT_DELAY:
    case LEAT_LOCAL_FAULT_SLOW:
    case LEAT_LOCAL_FAULT_CUT:
    case LEAT_LOCAL_FAULT_RESET:
    case LEAT_LOCAL_FAULT_LOST:
    case LEAT_LOCAL_FAULT_STALE:
        add_damage(plan, fault);
        break;
    case LEAT_LOCAL_FAULT_EMPTY:
        plan->is_empty = true;
        break;
    case LEAT_LOCAL_FAULT_REPEAT:
        plan->is_repeat = true;
        break;
    case LEAT_LOCAL_FAULT_PARTIAL:
        plan->share = fault->share > 0 ? fault->share : 2;
        snprintf(plan->share_type, sizeof plan->share_type, "%s",
                 fault->type != NULL ? fault->type : "ProvisionedThroughputExceededException");
        break;
    case LEAT_LOCAL_FAULT_NULL:
        plan->is_null = true;
        break;
    case LEAT_LOCAL_FAULT_INDEFINITE:
        plan->is_indefinite = true;
        break;
    case LEAT_LOCAL_FAULT_NO_CBOR:
        plan->has_no_cbor = true;
        break;
    case LEAT_LOCAL_FAULT_BARE_END:
        plan->is_bare_end = true;
        break;
    case LEAT_LOCAL_FAULT_ODD_SHARDS:
        plan->has_odd_shards = true;
        break;
    case LEAT_LOCAL_FAULT_CLOSED:
        plan->are_shards_closed = true;
        break;
    case LEAT_LOCAL_FAULT_OPEN:
        plan->are_shards_open = true;
        break;
    case LEAT_LOCAL_FAULT_ENDLESS:
        plan->is_endless = true;
        break;
    case LEAT_LOCAL_FAULT_DATE:
        plan->http.date_ahead_us = fault->delay_us;
        break;
    }
}

static bool
names(const char *wanted, struct leat_slice name)
{
    return wanted == NULL || leat_slice_is(name, wanted);
}

void
leat_local_faults_plan(struct leat_local_faults *faults, const char *action,
                       struct leat_slice stream, struct leat_slice shard,
                       struct leat_local_plan *ret_plan)
{
    *ret_plan = (struct leat_local_plan){.http.cut_bytes = SIZE_MAX};
    for (size_t i = 0; i < faults->count; i++) {
        const struct leat_local_fault *fault = &faults->armed[i].fault;

        if (names(fault->action, leat_slice_from(action)) && names(fault->stream, stream) &&
            names(fault->shard, shard) && fires(faults, &faults->armed[i]))
            add_to_plan(ret_plan, fault, action);
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
leat_local_fault_parse(struct json_object *object, struct leat_local_fault *ret_fault,
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
    *ret_fault = (struct leat_local_fault){
        .kind = (enum leat_local_fault_kind)place,
        .action = get_string(object, "action"),
        .stream = get_string(object, "stream"),
        .shard = get_string(object, "shard"),
        .skip = (unsigned)get_number(object, "skip", UINT32_MAX),
        .every = (unsigned)get_number(object, "every", UINT32_MAX),
        .per_mille = (unsigned)get_number(object, "per_mille", 1000),
        .times = (unsigned)get_number(object, "times", UINT32_MAX),
        .status = (int)get_number(object, "status", 599),
        .type = get_string(object, "type"),
        .delay_us = get_number(object, "delay_ms", INT32_MAX) * LEAT_MS_US,
        .bytes = (size_t)get_number(object, "bytes", INT64_MAX),
        .share = (unsigned)get_number(object, "share", UINT32_MAX),
    };
    if (ret_fault->status != 0 && ret_fault->status < 400)
        return leat_error_set(err, LEAT_E_INVALID, "a fault's status is 400 to 599");
    return 0;
}

void
leat_local_faults_write(const struct leat_local_faults *faults, struct leat_json *json)
{
    leat_json_array(json, "faults");
    for (size_t i = 0; i < faults->count; i++) {
        const struct leat_local_armed *armed = &faults->armed[i];

        leat_json_object(json, NULL);
        leat_json_text(json, "kind", kind_names[armed->fault.kind]);
        leat_json_text(json, "action", armed->fault.action);
        leat_json_text(json, "stream", armed->fault.stream);
        leat_json_text(json, "shard", armed->fault.shard);
        leat_json_integer(json, "times", armed->fault.times);
        leat_json_integer(json, "seen", (int64_t)armed->seen);
        leat_json_integer(json, "fired", (int64_t)armed->fired);
        leat_json_object_end(json);
    }
    leat_json_array_end(json);
}
