/* Which faults hit which call of the local S3. */
#include <stdlib.h>

#include "base/memory.h"
#include "local/s3_inside.h"

void
leat_local_s3_fault(struct leat_local_s3 *server, const struct leat_local_s3_fault *fault)
{
    struct leat_local_s3_armed armed = {.fault = *fault};

    armed.fault.action = fault->action != NULL ? leat_strdup(fault->action) : NULL;
    armed.fault.bucket = fault->bucket != NULL ? leat_strdup(fault->bucket) : NULL;
    armed.fault.code = fault->code != NULL ? leat_strdup(fault->code) : NULL;
    leat_mutex_lock(&server->lock);
    LEAT_GROW(server->armed, server->armed_count, server->armed_capacity);
    server->armed[server->armed_count++] = armed;
    leat_mutex_unlock(&server->lock);
}

void
leat_local_s3_forget_faults(struct leat_local_s3 *server)
{
    for (size_t i = 0; i < server->armed_count; i++) {
        free((char *)(uintptr_t)server->armed[i].fault.action);
        free((char *)(uintptr_t)server->armed[i].fault.bucket);
        free((char *)(uintptr_t)server->armed[i].fault.code);
    }
    server->armed_count = 0;
}

void
leat_local_s3_clear_faults(struct leat_local_s3 *server)
{
    leat_mutex_lock(&server->lock);
    leat_local_s3_forget_faults(server);
    leat_mutex_unlock(&server->lock);
}

static bool
fires(struct leat_local_s3_armed *armed, const struct leat_local_s3_call *call)
{
    const struct leat_local_s3_fault *fault = &armed->fault;
    unsigned every = fault->every > 0 ? fault->every : 1;

    if ((fault->action != NULL &&
         strcmp(fault->action, leat_local_s3_action_names[call->action]) != 0) ||
        (fault->bucket != NULL && !leat_slice_is(call->bucket, fault->bucket)))
        return false;
    armed->seen++;
    if (armed->seen <= fault->skip || (armed->seen - fault->skip - 1) % every != 0 ||
        (fault->times > 0 && armed->fired >= fault->times))
        return false;
    armed->fired++;
    return true;
}

static void
refuse(struct leat_local_s3_plan *plan, int status, const char *code)
{
    if (plan->status != 0)
        return;
    plan->status = status;
    snprintf(plan->code, sizeof plan->code, "%s", code);
}

static void
damage(struct leat_local_s3_plan *plan, enum leat_local_damage kind,
       const struct leat_local_s3_fault *fault)
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
apply(struct leat_local_s3_plan *plan, const struct leat_local_s3_fault *fault)
{
    switch (fault->kind) {
    case LEAT_LOCAL_S3_SLOW_DOWN:
        refuse(plan, 503, "SlowDown");
        break;
    case LEAT_LOCAL_S3_REFUSE:
        refuse(plan, fault->status > 0 ? fault->status : 500,
               fault->code != NULL ? fault->code : "InternalError");
        break;
    case LEAT_LOCAL_S3_ERROR:
        refuse(plan, fault->status > 0 ? fault->status : 500, "");
        break;
    case LEAT_LOCAL_S3_DELAY:
        if (fault->delay_us > plan->http.delay_us)
            plan->http.delay_us = fault->delay_us;
        break;
    case LEAT_LOCAL_S3_SLOW:
        damage(plan, LEAT_LOCAL_DAMAGE_SLOW, fault);
        break;
    case LEAT_LOCAL_S3_CUT:
        damage(plan, LEAT_LOCAL_DAMAGE_CUT, fault);
        break;
    case LEAT_LOCAL_S3_RESET:
        plan->is_reset = true;
        damage(plan, LEAT_LOCAL_DAMAGE_RESET, fault);
        break;
    case LEAT_LOCAL_S3_LOST:
        damage(plan, LEAT_LOCAL_DAMAGE_RESET, fault);
        break;
    case LEAT_LOCAL_S3_STALE:
        damage(plan, LEAT_LOCAL_DAMAGE_STALE, fault);
        break;
    }
}

void
leat_local_s3_plan(struct leat_local_s3 *server, const struct leat_local_s3_call *call,
                   struct leat_local_s3_plan *ret_plan)
{
    *ret_plan = (struct leat_local_s3_plan){0};
    for (size_t i = 0; i < server->armed_count; i++) {
        if (!fires(&server->armed[i], call))
            continue;
        server->counts.faults++;
        apply(ret_plan, &server->armed[i].fault);
    }
}
