/* The last ten times in a ring: the eleventh waits until the oldest of them is a second ago. */
#include "lease/notify.h"

#include "base/clock.h"

void
leat_notify_init(struct leat_notify *notify, bool is_wanted)
{
    leat_is_unshared();
    notify->is_wanted = is_wanted;
    notify->workers = 0;
    leat_mutex_init(&notify->lock);
    for (size_t i = 0; i < LEAT_NOTIFY_PER_SECOND; i++)
        notify->sent_us[i] = INT64_MIN / 2;
    notify->next = 0;
    notify->is_owed = false;
}

void
leat_notify_release(struct leat_notify *notify)
{
    leat_mutex_release(&notify->lock);
}

static bool
send_if_there_is_room(struct leat_notify *notify, int64_t now_us) LEAT_REQUIRES(notify->lock)
{
    if (now_us - notify->sent_us[notify->next] < LEAT_SECOND_US)
        return false;
    notify->sent_us[notify->next] = now_us;
    notify->next = (notify->next + 1) % LEAT_NOTIFY_PER_SECOND;
    notify->is_owed = false; /* this one tells all that came before */
    return true;
}

bool
leat_notify_may(struct leat_notify *notify, int64_t now_us)
{
    bool may;

    if (!notify->is_wanted || notify->workers > LEAT_NOTIFY_WORKERS)
        return false;
    leat_mutex_lock(&notify->lock);
    may = send_if_there_is_room(notify, now_us);
    notify->is_owed = !may;
    leat_mutex_unlock(&notify->lock);
    return may;
}

bool
leat_notify_may_owed(struct leat_notify *notify, int64_t now_us)
{
    bool may;

    leat_mutex_lock(&notify->lock);
    may = notify->is_owed && notify->workers <= LEAT_NOTIFY_WORKERS &&
          send_if_there_is_room(notify, now_us);
    leat_mutex_unlock(&notify->lock);
    return may;
}
