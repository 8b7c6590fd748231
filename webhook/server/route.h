/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_ROUTE_H
#define MODELBERTH_ROUTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "webhook/config.h"

/* What a request needs of the process. Shared by all threads. */
struct service {
    const struct config *config;
    atomic_bool draining; /* not ready, and every answer closes its connection */
};

struct answer {
    unsigned status;
    const char *content_type;
    const char *allow; /* methods, for 405; else NULL */
    char *body;        /* owned */
    size_t len;
    bool close; /* the connection, after this answer */
};

struct route {
    const char *method;
    const char *path;
    bool takes_json;
    void (*handle)(struct service *service, const char *body, size_t len, struct answer *out);
};

/* The route of a request; NULL with `refusal` filled (404, 405) where there is none. */
const struct route *route_find(const char *method, const char *path, struct answer *refusal);

/* Fills `out` with a status and a JSON body {"error": message}. */
void answer_error(struct answer *out, unsigned status, const char *message);

void answer_release(struct answer *answer);

#endif
