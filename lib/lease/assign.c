/*
 * Who is there, what each lease costs, and who gets what nobody owns. Evening out is in assign_even.c.
 *
 * A lease under way to somebody counts as his already. One that is hotter than a fair share stands alone: it is never moved for
 * balance, all others leave its worker, and what is fair is reckoned without the two.
 *
 * A rolling deploy must not move a shard twice: while a newer build is taking over (some of its workers began within five
 * minutes) what is released goes to its workers up to one and a half fair shares, and they give nothing back below that. After
 * that it is no deploy but a fleet of two builds, and evened out as any other.
 *
 * Workers of several configurations: a lease is where least of its processors is lacking (leat_lacks), whatever that costs.
 *
 * n leases, m workers: O(n log n + moves × log m), times the number of configurations.
 */
#include "lease/assign.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "lease/assign_inside.h"

#define LEASE_US 3000 /* what an idle lease costs in a second: its reads */
#define ALIKE 1.5     /* costs within this factor are taken as the same */
#define LITTLE_US                                                                                  \
    100000 /* of busy time for each worker in a second: not worth more than counting */
#define DEPLOY_US (300 * LEAT_SECOND_US)

/* ---- who --------------------------------------------------------------------------------------- */

static int
by_incarnation(const void *a, const void *b)
{
    const struct leat_incarnation *left = a, *right = b;

    return left->incarnation < right->incarnation ? -1 : left->incarnation > right->incarnation;
}

static void
list_incarnations(struct leat_assigning *a)
{
    const struct leat_assign_input *input = a->input;

    a->incarnations = LEAT_NEW_ARRAY(struct leat_incarnation, input->worker_count + 1);
    for (size_t w = 0; w < input->worker_count; w++) {
        if (input->workers[w].state != LEAT_WORKER_DEAD)
            a->incarnations[a->incarnation_count++] =
                (struct leat_incarnation){input->workers[w].incarnation, w};
    }
    leat_sort(a->incarnations, a->incarnation_count, sizeof *a->incarnations, by_incarnation);
}

static size_t
find_seat(const struct leat_assigning *a, int64_t incarnation)
{
    struct leat_incarnation wanted = {incarnation, 0};
    const struct leat_incarnation *found;

    if (incarnation == 0 || a->incarnation_count == 0)
        return LEAT_NO_SEAT;
    found = bsearch(&wanted, a->incarnations, a->incarnation_count, sizeof *a->incarnations,
                    by_incarnation);
    return found != NULL ? found->seat : LEAT_NO_SEAT;
}

static bool
is_deploying(const struct leat_assigning *a)
{
    bool has_old = false, has_young = false;

    for (size_t w = 0; w < a->seats.count; w++) {
        const struct leat_seat *seat = &a->seats.seats[w];

        has_old = has_old || (seat->is_open && !seat->is_newest);
        has_young = has_young || (seat->is_open && seat->is_newest && seat->age_us < DEPLOY_US);
    }
    return has_old && has_young;
}

/* ---- what it costs ----------------------------------------------------------------------------- */

struct sorted {
    double cost;
    int64_t lease_counter;
    size_t lease;
};

/* Among equals the one that was moved least: so pauses are shared out, too. */
static int
by_cost(const void *a, const void *b)
{
    const struct sorted *left = a, *right = b;

    if (left->cost < right->cost || left->cost > right->cost)
        return left->cost > right->cost ? -1 : 1;
    if (left->lease_counter != right->lease_counter)
        return left->lease_counter < right->lease_counter ? -1 : 1;
    return left->lease < right->lease ? -1 : left->lease > right->lease;
}

static void
sort_leases(struct leat_assigning *a)
{
    struct sorted *sorted = LEAT_NEW_ARRAY(struct sorted, a->input->lease_count + 1);

    for (size_t i = 0; i < a->input->lease_count; i++) {
        if (a->input->leases[i].state == LEAT_LEASE_ACTIVE)
            sorted[a->active_count++] =
                (struct sorted){a->cost[i], a->input->leases[i].lease_counter, i};
    }
    leat_sort(sorted, a->active_count, sizeof *sorted, by_cost);
    for (size_t i = 0; i < a->active_count; i++)
        a->order[i] = sorted[i].lease;
    free(sorted);
}

/* What nothing is known of costs what the known ones do on the average. */
static void
price(struct leat_assigning *a)
{
    const struct leat_lease *leases = a->input->leases;
    double sum = 0, mean, least = 0, most = 0, total = 0, weight = 0;
    size_t known = 0, active = 0;

    for (size_t i = 0; i < a->input->lease_count; i++) {
        if (leases[i].state != LEAT_LEASE_ACTIVE || leases[i].busy_us < 0)
            continue;
        sum += (double)leases[i].busy_us;
        known++;
    }
    mean = known > 0 ? sum / (double)known : 0;
    for (size_t i = 0; i < a->input->lease_count; i++) {
        double cost = LEASE_US + (leases[i].busy_us < 0 ? mean : (double)leases[i].busy_us);

        if (leases[i].state != LEAT_LEASE_ACTIVE)
            continue;
        a->cost[i] = cost / 1e6;
        least = active == 0 || cost < least ? cost : least;
        most = cost > most ? cost : most;
        total += cost / 1e6;
        active++;
    }
    for (size_t w = 0; w < a->seats.count; w++)
        weight += a->seats.seats[w].is_open ? a->seats.seats[w].weight : 0;
    a->is_counted = most <= ALIKE * least || sum <= LITTLE_US * weight;
    for (size_t i = 0; i < a->input->lease_count && a->is_counted; i++)
        a->cost[i] = 1;
    a->seats.unit = a->is_counted || active == 0 ? 1 : total / (double)active;
}

/* ---- who holds it ------------------------------------------------------------------------------ */

void
leat_assign_move(struct leat_assigning *a, enum leat_move_kind kind, size_t lease, size_t to)
{
    if (a->holder[lease] != LEAT_NO_SEAT)
        leat_seats_add(&a->seats, a->holder[lease], -a->cost[lease], -1);
    a->holder[lease] = to;
    leat_seats_add(&a->seats, to, a->cost[lease], 1);
    a->output->moves[a->output->move_count++] = (struct leat_move){kind, lease, to};
}

/* A handoff to somebody who is gone is cancelled; the lease may be moved again at once. */
static void
find_holders(struct leat_assigning *a)
{
    for (size_t i = 0; i < a->input->lease_count; i++) {
        const struct leat_lease *lease = &a->input->leases[i];
        size_t owner = find_seat(a, lease->lease_owner), next = find_seat(a, lease->next_owner);
        bool is_under_way = next != LEAT_NO_SEAT && a->seats.seats[next].is_open;

        a->holder[i] = LEAT_NO_SEAT;
        if (lease->state != LEAT_LEASE_ACTIVE || owner == LEAT_NO_SEAT)
            continue;
        if (lease->next_owner != 0 && !is_under_way)
            a->output->moves[a->output->move_count++] =
                (struct leat_move){LEAT_MOVE_CANCEL, i, LEAT_NO_SEAT};
        a->holder[i] = is_under_way ? next : owner;
        a->is_fixed[i] = is_under_way;
        a->has_under_way = a->has_under_way || is_under_way;
        a->seats.seats[a->holder[i]].held++;
        a->seats.seats[a->holder[i]].cost += a->cost[i];
    }
}

/* The next lease that is more than what is fair for all that its worker holds; one for each worker. */
static size_t
next_hot(const struct leat_assigning *a, const bool *is_hot)
{
    for (size_t i = 0; i < a->active_count; i++) {
        size_t lease = a->order[i], seat = a->holder[lease];

        if (a->cost[lease] <= a->fair * a->least_weight)
            return SIZE_MAX;
        if (seat != LEAT_NO_SEAT && !is_hot[seat] && a->seats.seats[seat].is_open &&
            a->cost[lease] > a->fair * a->seats.seats[seat].weight)
            return lease;
    }
    return SIZE_MAX;
}

/* What is fair, and the hot leases, which are left out of it together with who holds them. */
static void
find_fair(struct leat_assigning *a)
{
    bool *is_hot = LEAT_NEW_ARRAY(bool, a->seats.count + 1);
    double cost = 0, weight = 0;

    for (size_t i = 0; i < a->active_count; i++)
        cost += a->cost[a->order[i]];
    for (size_t w = 0; w < a->seats.count; w++) {
        const struct leat_seat *seat = &a->seats.seats[w];

        if (!seat->is_open)
            continue;
        weight += seat->weight;
        if (a->least_weight <= 0 || seat->weight < a->least_weight)
            a->least_weight = seat->weight;
    }
    a->fair = weight > 0 ? cost / weight : 0;
    while (!a->is_counted) {
        size_t lease = next_hot(a, is_hot), seat = lease != SIZE_MAX ? a->holder[lease] : 0;

        if (lease == SIZE_MAX || weight - a->seats.seats[seat].weight < a->least_weight / 2)
            break;
        is_hot[seat] = a->is_fixed[lease] = true;
        cost -= a->cost[lease];
        weight -= a->seats.seats[seat].weight;
        a->fair = cost > 0 ? cost / weight : 0;
    }
    free(is_hot);
}

static void
open_heaps(struct leat_assigning *a)
{
    for (size_t w = 0; w < a->seats.count; w++) {
        const struct leat_seat *seat = &a->seats.seats[w];

        if (!seat->is_open || seat->held >= seat->limit)
            continue;
        leat_seats_push(&a->seats, LEAT_HEAP_EMPTIEST, w);
        if (seat->is_newest)
            leat_seats_push(&a->seats, LEAT_HEAP_NEWEST, w);
    }
}

/* ---- what nobody owns -------------------------------------------------------------------------- */

size_t
leat_assign_group(const struct leat_assigning *a, size_t lease)
{
    return a->seats.group_of[a->input->leases[lease].stream];
}

unsigned
leat_assign_lacks(const struct leat_assigning *a, size_t lease, size_t seat)
{
    return leat_seats_lacks(&a->seats, leat_assign_group(a, lease), a->seats.seats[seat].kind);
}

/* Of those with room who lack least of it the emptiest; *lacks: what he may lack at most, then what he lacks. */
static size_t
fittest(const struct leat_assigning *a, enum leat_seat_heap heap, size_t group, unsigned *lacks)
{
    size_t best = LEAT_NO_SEAT;

    for (size_t k = 0; k < a->seats.kinds; k++) {
        unsigned its = leat_seats_lacks(&a->seats, group, k);
        size_t top = leat_seats_top(&a->seats, heap, k);

        if (top == LEAT_NO_SEAT || its == LEAT_LACKS_ALL || its > *lacks)
            continue;
        if (best == LEAT_NO_SEAT || its < *lacks ||
            leat_seat_fullness(&a->seats.seats[top], a->seats.unit) <
                leat_seat_fullness(&a->seats.seats[best], a->seats.unit))
            best = top;
        *lacks = its;
    }
    return best;
}

size_t
leat_assign_target(const struct leat_assigning *a, size_t lease, unsigned most_lacks)
{
    size_t group = leat_assign_group(a, lease);
    size_t best = fittest(a, LEAT_HEAP_EMPTIEST, group, &most_lacks), newest;

    if (!a->is_deploying || best == LEAT_NO_SEAT)
        return best;
    newest = fittest(a, LEAT_HEAP_NEWEST, group, &most_lacks);
    return newest != LEAT_NO_SEAT && leat_seat_fullness(&a->seats.seats[newest], a->cost[lease]) <=
                                         LEAT_NEWEST_SHARES * a->fair
               ? newest
               : best;
}

/* Has he room, and lacks nobody less of its processors? */
static bool
can_have(const struct leat_assigning *a, size_t wish, size_t lease)
{
    const struct leat_seat *seat;
    unsigned lacks = LEAT_LACKS_ALL;

    if (wish == LEAT_NO_SEAT)
        return false;
    seat = &a->seats.seats[wish];
    fittest(a, LEAT_HEAP_EMPTIEST, leat_assign_group(a, lease), &lacks);
    return seat->is_open && seat->held < seat->limit && leat_assign_lacks(a, lease, wish) <= lacks;
}

/*
 * Up to his fair share. Where leases are counted and do not divide evenly some get one more: as many as have to, so that nobody
 * has to give one back for it.
 */
static bool
has_share(struct leat_assigning *a, size_t wish, double cost)
{
    const struct leat_seat *seat = &a->seats.seats[wish];
    double share = a->fair * seat->weight;

    if (seat->cost + cost <= share + 1e-9)
        return true;
    if (!a->is_counted || a->crossings == 0 || seat->cost >= share - 1e-9)
        return false;
    a->crossings--;
    return true;
}

/* How many will have to hold a lease more than their share, less those who do already. */
static void
count_crossings(struct leat_assigning *a)
{
    double rest = 0;
    size_t above = 0;

    for (size_t w = 0; w < a->seats.count; w++) {
        const struct leat_seat *seat = &a->seats.seats[w];
        double share = a->fair * seat->weight;

        if (!seat->is_open)
            continue;
        rest += share - floor(share + 1e-9);
        above += seat->cost > share + 1e-9;
    }
    a->crossings = (size_t)(rest + 0.5) > above ? (size_t)(rest + 0.5) - above : 0;
}

static void
assign_one(struct leat_assigning *a, size_t lease, size_t to)
{
    a->is_fixed[lease] = true;
    leat_assign_move(a, LEAT_MOVE_ASSIGN, lease, to);
}

/* To whom it was promised, whatever he holds: somebody wants it so. */
static void
assign_promised(struct leat_assigning *a)
{
    for (size_t i = 0; i < a->active_count; i++) {
        size_t lease = a->order[i], to;

        if (a->holder[lease] != LEAT_NO_SEAT)
            continue;
        to = find_seat(a, a->input->leases[lease].next_owner);
        if (can_have(a, to, lease))
            assign_one(a, lease, to);
    }
}

/* To who had it last, while that costs nobody anything; of an old build only if that stays. */
static void
assign_back(struct leat_assigning *a)
{
    struct leat_map by_id;

    leat_map_init(&by_id);
    for (size_t w = 0; w < a->seats.count; w++) {
        if (a->seats.seats[w].is_open && a->input->workers[w].worker_id.size > 0 &&
            (!a->is_deploying || a->seats.seats[w].is_newest))
            leat_map_put(&by_id, a->input->workers[w].worker_id, (void *)(uintptr_t)(w + 1));
    }
    count_crossings(a);
    for (size_t i = 0; i < a->active_count; i++) {
        size_t lease = a->order[i], to;

        if (a->holder[lease] != LEAT_NO_SEAT)
            continue;
        to = (size_t)(uintptr_t)leat_map_get(&by_id, a->input->leases[lease].last_worker_id) - 1;
        if (can_have(a, to, lease) && has_share(a, to, a->cost[lease]))
            assign_one(a, lease, to);
    }
    leat_map_release(&by_id, NULL);
}

static void
assign_rest(struct leat_assigning *a)
{
    for (size_t i = 0; i < a->active_count; i++) {
        size_t lease = a->order[i], to;

        if (a->holder[lease] != LEAT_NO_SEAT)
            continue;
        to = leat_assign_target(a, lease, LEAT_LACKS_ALL);
        if (to != LEAT_NO_SEAT)
            assign_one(a, lease, to);
        else
            a->output->spilled++;
    }
}

/* By kind as the database does them, then by key: rows are locked in one order. */
static int
by_kind(const void *a, const void *b)
{
    static const int ranks[] = {
        [LEAT_MOVE_CANCEL] = 0, [LEAT_MOVE_ASSIGN] = 1, [LEAT_MOVE_HANDOFF] = 2};
    const struct leat_move *left = a, *right = b;

    if (left->kind != right->kind)
        return ranks[left->kind] < ranks[right->kind] ? -1 : 1;
    return left->lease < right->lease ? -1 : left->lease > right->lease;
}

void
leat_assign(const struct leat_assign_input *input, struct leat_assign_output *output)
{
    struct leat_assigning a = {.input = input, .output = output};
    struct leat_move *moves = output->moves;
    size_t streams = 1;

    for (size_t i = 0; i < input->lease_count; i++)
        streams = input->leases[i].stream >= streams ? input->leases[i].stream + 1 : streams;
    *output = (struct leat_assign_output){.moves = moves, .balance = input->balance};
    leat_seats_init(&a.seats, input->workers, input->worker_count, streams);
    a.holder = LEAT_NEW_ARRAY(size_t, input->lease_count + 1);
    a.is_fixed = LEAT_NEW_ARRAY(bool, input->lease_count + 1);
    a.cost = LEAT_NEW_ARRAY(double, input->lease_count + 1);
    a.order = LEAT_NEW_ARRAY(size_t, input->lease_count + 1);
    a.is_deploying = is_deploying(&a);
    list_incarnations(&a);
    price(&a);
    sort_leases(&a);
    find_holders(&a);
    find_fair(&a);
    open_heaps(&a);
    assign_promised(&a);
    assign_back(&a);
    assign_rest(&a);
    leat_even_begin(&a);
    leat_even_empty(&a);
    leat_even_out(&a);
    leat_even_end(&a);
    leat_sort(output->moves, output->move_count, sizeof *output->moves, by_kind);
    free(a.order);
    free(a.cost);
    free(a.is_fixed);
    free(a.holder);
    free(a.incarnations);
    leat_seats_release(&a.seats);
}
