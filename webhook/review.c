/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/review.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "webhook/admit.h"

#define JSON_DEPTH_MAX 64
#define JSON_MEMORY_MAX_BYTES (64UL * 1024 * 1024)
#define AUDIT_DECISION "decision"

static const char *const outcomes[] = {
    [REVIEW_ALLOWED] = "allowed",
    [REVIEW_PATCHED] = "patched",
    [REVIEW_DENIED] = "denied",
};

const char *review_outcome_name(enum review_outcome outcome)
{
    return outcomes[outcome];
}

/* The request part of a review, borrowed from its tree. */
struct envelope {
    const char *api_version;
    const char *uid;
    const char *kind;
    const char *group;
    const char *version;
    const char *namespace;
    const char *operation;
    const char *sub_resource;
    json_t *object; /* NULL where there is none */
};

struct string_member {
    const char *key;
    const char **out;
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static int read_type(const json_t *root, struct envelope *e, struct err *err)
{
    const char *kind = NULL;

    if (!json_is_object(root))
        return err_set(err, ERR_INPUT, "not an AdmissionReview: an object expected");
    if (json_string_get(root, "review", "kind", &kind, err) < 0 ||
        json_string_get(root, "review", "apiVersion", &e->api_version, err) < 0)
        return -1;
    if (strcmp(or_empty(kind), "AdmissionReview") != 0)
        return err_set(err, ERR_INPUT, "not an AdmissionReview: kind is '%.80s'", or_empty(kind));
    if (strcmp(or_empty(e->api_version), "admission.k8s.io/v1") != 0 &&
        strcmp(or_empty(e->api_version), "admission.k8s.io/v1beta1") != 0)
        return err_set(
            err, ERR_INPUT,
            "apiVersion '%.80s' is not supported: admission.k8s.io/v1 or v1beta1 expected",
            or_empty(e->api_version));
    return 0;
}

static int read_strings(const json_t *object, const char *where, size_t n,
                        const struct string_member *members, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (json_string_get(object, where, members[i].key, members[i].out, err) < 0)
            return -1;
    return 0;
}

static int read_envelope(json_t *root, struct envelope *e, struct err *err)
{
    const struct string_member of_request[] = {{"uid", &e->uid},
                                               {"namespace", &e->namespace},
                                               {"operation", &e->operation},
                                               {"subResource", &e->sub_resource}};
    const struct string_member of_kind[] = {
        {"kind", &e->kind}, {"group", &e->group}, {"version", &e->version}};
    json_t *request = NULL;
    json_t *kind = NULL;

    if (read_type(root, e, err))
        return -1;
    int found = json_object_get_borrow(root, "review", "request", &request, err);
    if (found < 0)
        return -1;
    if (!found)
        return err_set(err, ERR_INPUT, "the AdmissionReview has no request");
    if (read_strings(request, "request", 4, of_request, err) ||
        json_object_get_borrow(request, "request", "kind", &kind, err) < 0 ||
        read_strings(kind, "request.kind", 3, of_kind, err) ||
        json_object_get_borrow(request, "request", "object", &e->object, err) < 0)
        return -1;
    if (!*or_empty(e->uid))
        return err_set(err, ERR_INPUT, "request.uid is missing");
    return 0;
}

/* Why the object is left alone whatever it says; NULL when it is to be looked at. */
static const char *not_ours(const struct envelope *e)
{
    bool is_pod = !strcmp(or_empty(e->kind), "Pod") && !*or_empty(e->group) &&
                  !strcmp(or_empty(e->version), "v1");

    if (!is_pod)
        return "this kind is not handled";
    if (strcmp(or_empty(e->operation), "CREATE") != 0 || *or_empty(e->sub_resource))
        return "only the creation of pods is handled";
    return NULL;
}

/* Claims are looked up in the request's namespace: another one in the object would mislead. */
static int check_namespace(const struct envelope *e, const json_t *metadata, struct err *err)
{
    const char *own = json_string_value(json_object_get(metadata, "namespace"));

    if (own && *own && strcmp(own, or_empty(e->namespace)) != 0)
        return err_set(err, ERR_DENIED,
                       "metadata.namespace is '%.253s' but the request is for namespace '%.253s'",
                       own, or_empty(e->namespace));
    return 0;
}

static int decide(const struct envelope *e, const struct config *config, struct decision *out,
                  struct err *err)
{
    struct pod pod = {.metadata_path = "/metadata", .spec_path = "/spec"};
    int found = json_object_get_borrow(e->object, "object", "metadata", &pod.metadata, err);

    if (found == 1)
        found = json_object_get_borrow(e->object, "object", "spec", &pod.spec, err);
    if (found < 0)
        return -1;
    if (!found)
        return err_set(err, ERR_INPUT, "the object has no metadata or no spec");
    if (check_namespace(e, pod.metadata, err))
        return -1;
    return admit_pod(&pod, config, out, err);
}

static json_t *base64(const char *text)
{
    size_t n = strlen(text);
    autofree char *out = xmalloc(4 * ((n + 2) / 3) + 1);

    (void)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)n);
    return json_string(out);
}

static void put_denial(json_t *response, const struct err *err)
{
    bool malformed = err->kind == ERR_INPUT;

    json_object_set_new(response, "status",
                        json_pack("{s:s, s:s, s:i, s:o}", "status", "Failure", "reason",
                                  malformed ? "BadRequest" : "Forbidden", "code",
                                  malformed ? 400 : 403, "message", json_string_lossy(err->msg)));
}

static void put_decision(json_t *response, const struct decision *d)
{
    if (patch_size(&d->patch)) {
        autofree char *text = json_text(d->patch.ops);
        json_object_set_new(response, "patchType", json_string("JSONPatch"));
        json_object_set_new(response, "patch", base64(text));
    }
    if (!d->warnings.n)
        return;
    json_t *warnings = json_array();
    for (size_t i = 0; i < d->warnings.n; i++) {
        autofree char *text = xasprintf("modelberth: %s", d->warnings.v[i]);
        json_array_append_new(warnings, json_string_lossy(text));
    }
    json_object_set_new(response, "warnings", warnings);
}

static void fill_result(const struct envelope *e, struct review_result *out)
{
    const json_t *metadata = json_object_get(e->object, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));

    if (!name)
        name = json_string_value(json_object_get(metadata, "generateName"));
    out->kind = xstrdup(or_empty(e->kind));
    out->uid = xstrdup(e->uid);
    out->namespace = xstrdup(or_empty(e->namespace));
    out->name = xstrdup(or_empty(name));
    out->operation = xstrdup(or_empty(e->operation));
}

static void answer(const struct envelope *e, const struct config *config, struct review_result *out)
{
    decision_auto struct decision decision = {0};
    struct err err = {0};
    const char *skip = not_ours(e);
    json_t *response = json_pack("{s:s}", "uid", e->uid);

    int asked = skip || !e->object ? 0 : decide(e, config, &decision, &err);
    json_object_set_new(response, "allowed", json_boolean(asked >= 0));
    if (asked < 0) {
        put_denial(response, &err);
        out->reason = xstrdup(err.msg);
        out->outcome = REVIEW_DENIED;
    } else {
        put_decision(response, &decision);
        out->reason = xstrdup(decision.reason ? decision.reason : skip ? skip : "no object");
        out->outcome = patch_size(&decision.patch) ? REVIEW_PATCHED : REVIEW_ALLOWED;
    }
    if (asked)
        json_object_set_new(response, "auditAnnotations",
                            json_pack("{s:o}", AUDIT_DECISION, json_string_lossy(out->reason)));
    json_auto_t *review = json_pack("{s:s, s:s, s:o}", "apiVersion", e->api_version, "kind",
                                    "AdmissionReview", "response", response);
    out->body = json_text(review);
    out->body_len = strlen(out->body);
}

int review_answer(const char *body, size_t len, const struct config *config,
                  struct review_result *out, struct err *err)
{
    static const struct json_limits limits = {.depth = JSON_DEPTH_MAX,
                                              .memory_bytes = JSON_MEMORY_MAX_BYTES};
    json_auto_t *root = NULL;
    struct envelope envelope = {0};

    if (json_parse(body, len, &limits, &root, err) || read_envelope(root, &envelope, err))
        return -1;
    memset(out, 0, sizeof *out);
    fill_result(&envelope, out);
    answer(&envelope, config, out);
    return 0;
}

void review_result_release(struct review_result *result)
{
    free(result->body);
    free(result->kind);
    free(result->uid);
    free(result->namespace);
    free(result->name);
    free(result->operation);
    free(result->reason);
    memset(result, 0, sizeof *result);
}
