/* What may go wrong, and how often; all bounds of the models. */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef RECORDS
#define RECORDS 2
#endif
#ifndef MOVES
#define MOVES 1
#endif
#ifndef REWINDS
#define REWINDS 0
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef REFUSALS
#define REFUSALS 0
#endif
#ifndef TARGET_FAILOVERS
#define TARGET_FAILOVERS 0
#endif
#ifndef LEASE_FAILOVERS
#define LEASE_FAILOVERS 0
#endif
#ifndef LEASE_AWAY
#define LEASE_AWAY 0
#endif
