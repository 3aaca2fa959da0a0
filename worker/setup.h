/*
 * What every command with a configuration begins with: -c and --set from the command line, the configuration or all that is
 * wrong with it on standard error, plugins loaded with their options resolved, and who to ask AWS as.
 *
 * Threads: for the main thread, at start; what was made may be read by all afterwards.
 */
#ifndef LEAT_WORKER_SETUP_H
#define LEAT_WORKER_SETUP_H

#include <leat/processor.h>
#include <leat/target.h>

#include "aws/client.h"
#include "config/config.h"
#include "worker/command.h"

/* ---- the command line ------------------------------------------------------------------------ */

/* For getopt_long: letters and long options; leat_setup_argument takes what comes of them. */
#define LEAT_SETUP_LETTERS "c:"
#define LEAT_SETUP_LONG                                                                            \
    {"config", 1, NULL, 'c'},                                                                      \
    {                                                                                              \
        "set", 1, NULL, 's'                                                                        \
    }
/* For the commands' help. */
#define LEAT_SETUP_HELP                                                                            \
    "  -c, --config FILE  the configuration; default: $LEAT_CONFIG\n"                              \
    "  --set a.b=c        a value in place of the file's and the environment's; may be repeated\n"

struct leat_setup_arguments {
    const char *file; /* NULL: none given */
    struct leat_config_override *overrides;
    size_t override_count, override_capacity;
};

/* false: not one of ours. */
bool leat_setup_argument(struct leat_setup_arguments *arguments, int letter, const char *value);
void leat_setup_arguments_release(struct leat_setup_arguments *arguments);

/* Tells every problem, one a line, to standard error. Returns LEAT_EXIT_OK or LEAT_EXIT_USAGE. */
int leat_setup_load(const struct leat_setup_arguments *arguments, const char *command,
                    struct leat_config **ret_config);

/* ---- plugins --------------------------------------------------------------------------------- */

struct leat_setup_processor {
    const struct leat_config_processor *config;
    const struct leat_processor *plugin;
    struct leat_options options; /* texts live in arena */
    const struct leat_target *target;
    struct leat_options target_options;
    struct leat_arena arena;
};

/* Loads plugin and target of configured processor `index`, resolves both plugins' options. Every problem is one call of
   report, with its place; LEAT_E_INVALID after any. Release in any case. */
int leat_setup_processor_init(struct leat_setup_processor *setup, const struct leat_config *config,
                              size_t index, leat_config_report_fn report, void *context);
void leat_setup_processor_release(struct leat_setup_processor *setup);

/*
 * What the processor writes: the plugin's tables, or what it makes of its options (then it is opened: *ret_instance is to be
 * closed by leat_setup_tables_release; NULL otherwise). Checked. NULL: err.
 */
const struct leat_table *leat_setup_tables(const struct leat_setup_processor *setup,
                                           const struct leat_host *host, void **ret_instance,
                                           struct leat_error *err);
void leat_setup_tables_release(const struct leat_setup_processor *setup, void *instance);

/* Opens the configured target at this URL, which it may borrow until the target's close. Connects nowhere. */
int leat_setup_target_open(const struct leat_setup_processor *setup,
                           const struct leat_config *config, const char *url, void **ret_target,
                           struct leat_error *err);

/* A host for plugins that are asked, not run: logs go to standard error, metrics nowhere. */
extern const struct leat_host leat_setup_host;

/* "file:line:col: text" to standard error: a leat_config_report_fn; context is NULL. */
void leat_setup_report(void *context, const char *line);

/* ---- the other sides ------------------------------------------------------------------------- */

/* The lease database's URL; read again at each call when it stands in a file. */
int leat_setup_database_url(const struct leat_config *config, struct leat_buf *ret_url,
                            struct leat_error *err);
/* The target's own, or the lease database's. */
int leat_setup_target_url(const struct leat_config *config,
                          const struct leat_config_processor *processor, struct leat_buf *ret_url,
                          struct leat_error *err);

/* Borrows the configuration's texts. Asks nobody. */
/* Can every plugin of the configuration be loaded, does it take its options, and does it say its tables? Silent; what `leat
   validate` finds without asking anybody. */
bool leat_setup_is_right(const struct leat_config *config);

void leat_setup_aws_init(struct leat_aws *aws, const struct leat_config *config);
/* Once more, after region, profile or endpoints have changed, or for whoever wants to know what becomes of them (NULL: nobody). */
void leat_setup_aws_credentials(struct leat_aws *aws, leat_credentials_event_fn on_event);
void leat_setup_aws_release(struct leat_aws *aws);

#endif
