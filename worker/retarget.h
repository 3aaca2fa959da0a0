/* `leat processors retarget`: the operator's word that a processor's target is another one from now on. */
#ifndef LEAT_WORKER_RETARGET_H
#define LEAT_WORKER_RETARGET_H

#include "worker/operator.h"

int leat_processors_retarget(struct leat_operator *task); /* an exit code */

#endif
