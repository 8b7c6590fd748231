/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_LAYOUT_H
#define MODELBERTH_INITC_LAYOUT_H

#include <stdbool.h>

#include "common/plan.h"

/*
 * Where a model and what belongs to it stand on a volume:
 *
 *   <parent>/<name>/                       the model
 *   <parent>/<name>/.modelberth/receipt.json
 *   <parent>/<name>/.download-complete
 *   <parent>/.modelberth/<key>/<nonce>/    staging of one owner
 *   <parent>/.modelberth/<key>.<generation>, <key>.failed
 *
 * Where the model is the claim's root, <parent> is the root itself and <name> is ".".
 */
#define LAYOUT_STATE ".modelberth"
#define LAYOUT_RECEIPT ".modelberth/receipt.json"
#define LAYOUT_MARKER ".download-complete"

struct layout {
    const struct plan_model *model;
    char *shown;  /* the model's directory, for messages */
    char *above;  /* path of the parent below the volume's root; "." is the root */
    char *name;   /* of the model's directory in the parent */
    bool is_root; /* the model is the volume's root */
    int root_fd;
    int parent_fd; /* -1 while the parent does not exist */
};

#define layout_auto __attribute__((cleanup(layout_release)))
#define LAYOUT_INIT                                                                                \
    {                                                                                              \
        .root_fd = -1, .parent_fd = -1                                                             \
    }

/*
 * Opens the volume and, where it exists, the model's parent. `model` must outlive the layout.
 * Returns 0, or -1 with *err.
 */
int layout_open(struct layout *l, const struct plan_model *model, struct err *err);

/* Makes the parent and its state directory. Returns 0, or -1 as err_errno(). */
int layout_prepare(struct layout *l, struct err *err);

/*
 * Opens the model's directory for reading, or the file it is. Returns 1 with the descriptor, 0
 * where there is none, -1 with *err.
 */
int layout_open_model(const struct layout *l, int *fd, struct err *err);

/* ERR_MISSING: what was asked, and what stands in the deepest directory that exists. Returns -1. */
int layout_missing(const struct layout *l, struct err *err);

/*
 * Adds to an ERR_PERMISSION of the volume who this process is, whose the directory is, and which
 * annotation helps. Returns -1.
 */
int layout_explain_permission(const struct layout *l, struct err *err);

void layout_release(struct layout *l);

#endif
