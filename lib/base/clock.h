/*
 * Time. Deciders take it as an argument; threads take it from here, where tests can put their own.
 * monotonic: CLOCK_MONOTONIC, for waits and intervals. boot: CLOCK_BOOTTIME, goes on while the machine
 * sleeps: for the validity of leases. wall: CLOCK_REALTIME, for showing and for signing only.
 */
#ifndef LEAT_BASE_CLOCK_H
#define LEAT_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t leat_clock_monotonic_us(void);
int64_t leat_clock_boot_us(void);
int64_t leat_clock_wall_us(void);
/* CPU time of the calling thread, µs. */
int64_t leat_clock_thread_cpu_us(void);

/* Tests only: from now on the clocks stand still at these values until moved. */
void leat_clock_fake(int64_t monotonic_us, int64_t wall_us);
void leat_clock_advance(int64_t microseconds);
void leat_clock_real(void);
bool leat_clock_is_fake(void);
int64_t leat_clock_real_monotonic_us(void); /* for waits of the system, which know no fake */

#define LEAT_SECOND_US INT64_C(1000000)
#define LEAT_MS_US INT64_C(1000)

#endif
