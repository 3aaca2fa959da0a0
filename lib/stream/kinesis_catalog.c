/* See kinesis_catalog.h. A stream that is being deleted is read on until it is gone: what is in it is wanted, too. */
#include "stream/kinesis_catalog.h"

#include <stdlib.h>

#include "base/memory.h"
#include "stream/kinesis_inside.h"

struct kinesis_catalog {
    struct leat_catalog catalog; /* first */
    struct leat_kinesis_clients *clients;
    struct leat_region_pool *regions;
};

struct listing {
    leat_catalog_each_fn each;
    void *context;
};

static int
tell(void *context, const struct leat_kinesis_summary *summary)
{
    const struct listing *listing = context;
    struct leat_catalog_item item = {.is_ready = true};

    leat_kinesis_facts_of(summary, &item.facts);
    if (strcmp(summary->status, "DELETING") == 0 || strcmp(summary->status, "CREATING") == 0)
        item.is_ready = false;
    return listing->each(listing->context, &item);
}

static int
list(struct leat_catalog *catalog, leat_catalog_each_fn each, void *context, struct leat_error *err)
{
    struct kinesis_catalog *kinesis = (struct kinesis_catalog *)catalog;
    struct leat_kinesis *client = leat_kinesis_clients_take(kinesis->clients, err);
    struct listing listing = {each, context};
    int status;

    if (client == NULL)
        return err->code;
    status = leat_kinesis_list_summaries(client, tell, &listing, err);
    leat_kinesis_clients_give_back(kinesis->clients, client);
    return status;
}

static int
describe(struct leat_catalog *catalog, const char *name, struct leat_source_facts *ret_facts,
         struct leat_error *err)
{
    struct kinesis_catalog *kinesis = (struct kinesis_catalog *)catalog;
    struct leat_kinesis *client = leat_kinesis_clients_take(kinesis->clients, err);
    struct leat_kinesis_summary summary;
    int status;

    if (client == NULL)
        return err->code;
    status = leat_kinesis_describe_stream_summary(client, name, &summary, err);
    leat_kinesis_clients_give_back(kinesis->clients, client);
    if (status != 0)
        return status;
    if (strcmp(summary.status, "DELETING") == 0 || strcmp(summary.status, "CREATING") == 0)
        return leat_error_set(err, LEAT_E_CONFLICT, "stream \"%s\" is being %s", name,
                              summary.status[0] == 'D' ? "deleted" : "created");
    snprintf(summary.name, sizeof summary.name, "%s", name);
    leat_kinesis_facts_of(&summary, ret_facts);
    return 0;
}

static int
open_source(struct leat_catalog *catalog, const struct leat_source_facts *facts,
            struct leat_source **ret_source, struct leat_error *err)
{
    struct kinesis_catalog *kinesis = (struct kinesis_catalog *)catalog;

    *ret_source = leat_kinesis_source_new(facts, kinesis->clients, kinesis->regions);
    return 0;
}

static void
interrupt(struct leat_catalog *catalog)
{
    leat_kinesis_clients_interrupt(((struct kinesis_catalog *)catalog)->clients);
}

static void
catalog_close(struct leat_catalog *catalog)
{
    struct kinesis_catalog *kinesis = (struct kinesis_catalog *)catalog;

    leat_kinesis_clients_free(kinesis->clients);
    free(kinesis);
}

struct leat_catalog *
leat_kinesis_catalog_new(const struct leat_aws *aws, enum leat_kinesis_encoding encoding,
                         struct leat_region_pool *regions, struct leat_error *err)
{
    static const struct leat_catalog_ops ops = {.list = list,
                                                .describe = describe,
                                                .open = open_source,
                                                .interrupt = interrupt,
                                                .close = catalog_close};
    struct leat_kinesis_clients *clients = leat_kinesis_clients_new(aws, encoding, err);
    struct kinesis_catalog *kinesis;

    if (clients == NULL)
        return NULL;
    kinesis = LEAT_NEW(struct kinesis_catalog);
    kinesis->catalog.ops = &ops;
    kinesis->clients = clients;
    kinesis->regions = regions;
    return &kinesis->catalog;
}
