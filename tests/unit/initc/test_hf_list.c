/* SPDX-License-Identifier: Apache-2.0 */
/* The Hub's answers: lists of files, links to the next page, refusals. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "initc/source/hf_list.h"
#include "initc/source/remote.h"

#define SHA1 "a80fbffe1548d8ce00537b1765135c4ee7beae7b"
#define SHA256 "1c68db94a1049f1cad29992e516cb34ff659b95e951186862468dc2db1fafe1f"
#define PLAIN(path) "{\"type\":\"file\",\"oid\":\"" SHA1 "\",\"size\":5,\"path\":\"" path "\"}"

static int parse(const char *text, const char *inside, struct manifest *m, struct err *err)
{
    return hf_list_parse(text, strlen(text), inside, m, err);
}

static void a_file_in_lfs_is_pinned_by_its_content_and_not_by_its_pointer(void **state)
{
    (void)state;
    manifest_auto struct manifest m = {0};
    struct err err = {0};
    char digest[DIGEST_TEXT_BYTES];

    assert_ok(parse("[" PLAIN("config.json") ",{\"type\":\"file\",\"oid\":\"" SHA1
                                             "\",\"size\":134,\"path\":\"w.safetensors\","
                                             "\"xetHash\":\"x\",\"lfs\":{"
                                             "\"oid\":\"" SHA256
                                             "\",\"size\":460344,\"pointerSize\":134}},"
                                             "{\"type\":\"directory\",\"oid\":\"" SHA1
                                             "\",\"size\":0,\"path\":\"d\"}]",
                    "", &m, &err),
              err);
    assert_int_equal(m.n, 2);
    assert_string_equal(digest_format(&m.files[0].digest, digest), "gitsha1:" SHA1);
    assert_string_equal(digest_format(&m.files[1].digest, digest), "sha256:" SHA256);
    assert_int_equal(m.files[1].size, 460344);
    assert_string_equal(m.files[1].locator, "w.safetensors");
}

static void a_path_inside_a_repository_is_where_names_begin(void **state)
{
    (void)state;
    static const char page[] =
        "[" PLAIN("a/b/c.bin") "," PLAIN("a/bc") "," PLAIN("a/b.bin") "," PLAIN("x") "]";
    static const struct {
        const char *inside, *name, *locator;
    } cases[] = {{"a/b", "c.bin", "a/b/c.bin"}, {"a/b.bin", "b.bin", "a/b.bin"}, {"x", "x", "x"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        manifest_auto struct manifest m = {0};
        struct err err = {0};
        assert_ok(parse(page, cases[i].inside, &m, &err), err);
        assert_int_equal(m.n, 1);
        assert_string_equal(m.files[0].path, cases[i].name);
        assert_string_equal(m.files[0].locator, cases[i].locator);
    }
}

static void what_is_no_list_is_the_sources_fault(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "<html>",
        "{}",
        "[1]",
        "[{\"type\":\"file\"}]",
        "[{\"type\":\"file\",\"path\":\"a\"}]",
        "[{\"type\":\"file\",\"path\":\"a\",\"size\":\"5\",\"oid\":\"" SHA1 "\"}]",
        "[{\"type\":\"file\",\"path\":\"a\",\"size\":-5,\"oid\":\"" SHA1 "\"}]",
        "[{\"type\":\"file\",\"path\":\"a\",\"size\":5,\"oid\":\"" SHA256 "\"}]",
        "[{\"type\":\"file\",\"path\":\"a\",\"size\":5,\"oid\":\"" SHA1 "\",\"lfs\":[]}]",
        "[{\"type\":\"file\",\"path\":\"a\",\"size\":5,\"oid\":\"" SHA1
        "\",\"lfs\":{\"size\":5,\"oid\":\"" SHA1 "\"}}]",
        "[" PLAIN("../a") "]",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        manifest_auto struct manifest m = {0};
        struct err err = {0};
        if (!parse(bad[i], "", &m, &err))
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(err.kind, ERR_SOURCE);
    }
}

static void the_next_page_is_found_among_links(void **state)
{
    (void)state;
    static const struct {
        const char *link, *next;
    } cases[] = {
        {"<https://h/a?cursor=x>; rel=\"next\"", "https://h/a?cursor=x"},
        {"<https://h/first>; rel=\"first\", <https://h/n>; rel=\"next\"", "https://h/n"},
        {"</relative?x=<1>; rel=next", "/relative?x=<1"},
        {"<https://h/first>; rel=\"first\"", NULL},
        {"<https://h/unfinished", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        autofree char *next = hf_list_next(cases[i].link);
        if (cases[i].next)
            assert_string_equal(next, cases[i].next);
        else
            assert_null(next);
    }
}

static void refusals_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *code, *message;
        enum err_kind kind;
        const char *part;
    } cases[] = {
        {401, "GatedRepo", "", ERR_SOURCE, "is gated"},
        {403, "GatedRepo", "", ERR_SOURCE, "is gated"},
        {401, "RepoNotFound", "", ERR_SOURCE, "no repository 'org/name'"},
        {401, "", "", ERR_SOURCE, "no repository 'org/name'"},
        {404, "RevisionNotFound", "", ERR_SOURCE, "no revision 'v1'"},
        {404, "EntryNotFound", "", ERR_SOURCE, "lost a file"},
        {401, "", "Invalid credentials in Authorization header", ERR_SOURCE, "wrong or expired"},
        {403, "", "Access to this resource is disabled.", ERR_SOURCE, "is disabled"},
        {400, "", "", ERR_SOURCE, "answers 400"},
        {429, "", "", ERR_RETRY, "too many requests"},
        {503, "RepoNotFound", "", ERR_RETRY, "answers 503"},
    };
    char version[] = "v1", name[] = "org/name", where[] = "file '/s/HF_TOKEN'";
    const struct identity id = {.uri = {.name = name}, .version = version};
    const struct source source = {
        .id = &id, .endpoint = (char[]){"https://hub"}, .token_where = where};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_response response = {.status = cases[i].status};
        struct err err = {0};
        (void)strcpy(response.error_code, cases[i].code);
        (void)strcpy(response.error_message, cases[i].message);
        assert_int_equal(hf_explain(&source, &response, &err), -1);
        assert_int_equal(err.kind, cases[i].kind);
        assert_has(err.msg, cases[i].part);
    }
}

static void a_commit_is_forty_digits_or_no_answer(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}", "{\"sha\":1}", "{\"sha\":\"main\"}", "[]", "x"};
    autofree char *sha = NULL;
    struct err err = {0};

    assert_ok(hf_parse_sha("{\"sha\":\"" SHA1 "\"}", strlen(SHA1) + 10, &sha, &err), err);
    assert_string_equal(sha, SHA1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(hf_parse_sha(bad[i], strlen(bad[i]), &sha, &err), -1);
        assert_int_equal(err.kind, ERR_SOURCE);
    }
}

static void paths_are_percent_encoded(void **state)
{
    (void)state;
    autofree char *path = hf_quote("b\xc3\xbcro + 100%/a?b#c", true);
    autofree char *segment = hf_quote("refs/pr/1", false);

    assert_string_equal(path, "b%C3%BCro%20%2B%20100%25/a%3Fb%23c");
    assert_string_equal(segment, "refs%2Fpr%2F1");
}

static void a_content_range_is_read_or_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "bytes 0-4",
                                      "bytes 0-4/*",
                                      "bytes */5",
                                      "bytes 5-4/10",
                                      "bytes 0-5/5",
                                      "bytes 0-4/5x",
                                      "items 0-4/5",
                                      "bytes 0-99999999999999999999999/5"};
    uint64_t from = 9, to = 9, total = 9;

    assert_int_equal(remote_parse_content_range("bytes 5-9/10", &from, &to, &total), 0);
    assert_int_equal(from, 5);
    assert_int_equal(to, 9);
    assert_int_equal(total, 10);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(remote_parse_content_range(bad[i], &from, &to, &total), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_in_lfs_is_pinned_by_its_content_and_not_by_its_pointer),
        cmocka_unit_test(a_path_inside_a_repository_is_where_names_begin),
        cmocka_unit_test(what_is_no_list_is_the_sources_fault),
        cmocka_unit_test(the_next_page_is_found_among_links),
        cmocka_unit_test(refusals_are_told_apart),
        cmocka_unit_test(a_commit_is_forty_digits_or_no_answer),
        cmocka_unit_test(paths_are_percent_encoded),
        cmocka_unit_test(a_content_range_is_read_or_refused),
    };

    json_setup();
    return cmocka_run_group_tests_name("hf_list", tests, NULL, NULL);
}
