/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <stdio.h>

#include "common/json.h"
#include "webhook/request.h"

#define PVC "'ome.io/storage-type':'pvc'"
#define CLAIM PVC ",'ome.io/pvc-name':'models'"

static int read_request(const char *quoted, struct request *out, struct strlist *warnings,
                        struct err *err)
{
    json_auto_t *annotations = json_of(quoted);

    return request_read(annotations, out, warnings, err);
}

static void is_denied(const char *members, const char *part)
{
    struct err err = {0};
    struct request r = {0};
    struct strlist warnings = {0};
    char quoted[4096];

    (void)snprintf(quoted, sizeof quoted, "{%s}", members);
    int rc = read_request(quoted, &r, &warnings, &err);
    if (rc != -1)
        fail_msg("%s gave %d", quoted, rc);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_has(err.msg, part);
    strlist_release(&warnings);
}

static void objects_without_a_trigger_ask_for_nothing(void **state)
{
    (void)state;
    static const char *const none[] = {
        "null",
        "{}",
        "{'a':'b'}",
        "{'ome.io/storage-type':'hostpath'}",
        "{'ome.io/storage-type':null}",
        "{'ome.io/pvc-name':'models'}",
        "{" CLAIM ",'modelberth.io/inject':'false'}",
    };

    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct err err = {0};
        struct request r = {0};
        struct strlist warnings = {0};
        assert_int_equal(read_request(none[i], &r, &warnings, &err), 0);
        assert_int_equal(warnings.n, 0);
    }
}

static void every_annotation_is_read(void **state)
{
    (void)state;
    struct err err = {0};
    request_auto struct request r = {0};
    struct strlist warnings = {0};

    int rc = read_request(
        "{" CLAIM ",'ome.io/pvc-subpath':'meta/llama','ome.io/mount-path':'/raid/llama',"
        "'modelberth.io/source':'hf://meta/llama','modelberth.io/version':'v1',"
        "'modelberth.io/verify':'full','modelberth.io/secret':'hf-token',"
        "'modelberth.io/include':'*.json, *.safetensors','modelberth.io/exclude':'*.bin',"
        "'modelberth.io/containers':'main,worker','modelberth.io/"
        "init-resources':'cpu=0.5,memory=1024Mi',"
        "'modelberth.io/run-as-user':'1000','modelberth.io/fs-group':'0','modelberth.io/"
        "timeout':'2h',"
        "'ome.io/base-model-name':'llama','modelberth.io/injected':'whatever'}",
        &r, &warnings, &err);
    if (rc != 1)
        fail_msg("%d: %s", rc, err.msg);
    assert_string_equal(r.claim, "models");
    assert_string_equal(r.path, "meta/llama");
    assert_string_equal(r.mount, "/raid/llama");
    assert_string_equal(r.source, "hf://meta/llama");
    assert_string_equal(r.version, "v1");
    assert_int_equal(r.verify, VERIFY_FULL);
    assert_string_equal(r.secret, "hf-token");
    assert_int_equal(r.include.n, 2);
    assert_int_equal(r.exclude.n, 1);
    assert_int_equal(r.containers.n, 2);
    assert_string_equal(r.cpu, "500m");
    assert_string_equal(r.memory, "1Gi");
    assert_int_equal(r.run_as_user, 1000);
    assert_int_equal(r.fs_group, 0);
    assert_int_equal(r.timeout_s, 7200);
    assert_string_equal(r.base_model, "llama");
}

static void a_missing_claim_is_denied_with_its_key(void **state)
{
    (void)state;
    is_denied(PVC, "annotation ome.io/pvc-name is missing");
    is_denied(PVC ",'ome.io/pvc-name':''", "ome.io/pvc-name");
}

static void a_denial_names_key_value_and_way_out(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"'ome.io/pvc-name':'Bad_Name'", "ome.io/pvc-name: \"Bad_Name\"", "PersistentVolumeClaim"},
        {"'ome.io/pvc-subpath':'../x'", "ome.io/pvc-subpath: \"../x\"", "relative to the claim"},
        {"'ome.io/pvc-subpath':'a/.modelberth/b'", "reserved for modelberth",
         "relative to the claim"},
        {"'ome.io/pvc-subpath':'/x'", "must be relative", "relative to the claim"},
        {"'ome.io/mount-path':'models'", "ome.io/mount-path: \"models\"", "absolute path"},
        {"'ome.io/mount-path':'/a:b'", "may not contain ':'", "absolute path"},
        {"'modelberth.io/source':'ftp://x'", "modelberth.io/source: \"ftp://x\"", "use hf://"},
        {"'modelberth.io/source':'hf://a/b@v1','modelberth.io/version':'v2'", "give one of them",
         "use hf://"},
        {"'modelberth.io/version':'v1'", "modelberth.io/version: \"v1\"", "add the source"},
        {"'modelberth.io/verify':'maybe'", "modelberth.io/verify: \"maybe\"", "leave it out"},
        {"'modelberth.io/include':' ,'", "modelberth.io/include", "*.safetensors"},
        {"'modelberth.io/containers':'a,*'", "'*' stands alone", "or *"},
        {"'modelberth.io/init-resources':'gpu=1'", "'gpu=1' is neither", "cpu=2"},
        {"'modelberth.io/init-resources':'cpu=lots'", "'lots' is not a quantity", "cpu=2"},
        {"'modelberth.io/run-as-user':'root'", "modelberth.io/run-as-user: \"root\"", "numeric"},
        {"'modelberth.io/run-as-user':'-1'", "a number from 0", "numeric"},
        {"'modelberth.io/fs-group':'99999999999'", "a number from 0", "numeric"},
        {"'modelberth.io/timeout':'soon'", "'soon' is not a duration", "2h"},
        {"'modelberth.io/timeout':'9999h'", "at most 168h", "2h"},
        {"'modelberth.io/inject':'no'", "modelberth.io/inject: \"no\"", "leaves the"},
        {"'modelberth.io/sourc':'hf://a/b'", "modelberth.io/sourc is not known",
         "correct or remove"},
        {"'modelRef':'llama'", "annotation modelRef names a model object", "instead"},
        {"'modelberth.io/model-ref':'llama'", "modelberth.io/model-ref names", "instead"},
        {"'modelberth.io/verify':true", "modelberth.io/verify is not a string", "quotes"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char members[1024];
        bool sets_claim = strstr(cases[i][0], "pvc-name") != NULL;
        (void)snprintf(members, sizeof members, "%s,%s", sets_claim ? PVC : CLAIM, cases[i][0]);
        is_denied(members, cases[i][1]);
        is_denied(members, cases[i][2]);
    }
}

static void a_source_without_a_trigger_gets_a_warning(void **state)
{
    (void)state;
    struct err err = {0};
    struct request r = {0};
    struct strlist warnings = {0};

    assert_int_equal(read_request("{'modelberth.io/source':'hf://a/b'}", &r, &warnings, &err), 0);
    assert_int_equal(warnings.n, 1);
    assert_has(warnings.v[0], "no effect without ome.io/storage-type");
    strlist_release(&warnings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_without_a_trigger_ask_for_nothing),
        cmocka_unit_test(every_annotation_is_read),
        cmocka_unit_test(a_missing_claim_is_denied_with_its_key),
        cmocka_unit_test(a_denial_names_key_value_and_way_out),
        cmocka_unit_test(a_source_without_a_trigger_gets_a_warning),
    };

    json_setup();
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
