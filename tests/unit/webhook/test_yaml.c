/* SPDX-License-Identifier: Apache-2.0 */
/* YAML in, JSON out. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "common/cleanup.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "webhook/yaml/yaml.h"

static const struct yaml_limits limits = {.depth = 64, .nodes = 10000};

static int parse(const char *text, json_t **out, struct err *err)
{
    struct yaml_doc doc = {.text = text, .len = strlen(text)};

    return yaml_parse_document(&doc, "f.yaml", &limits, out, NULL, err);
}

static void check_reads_as(const char *text, const char *json)
{
    json_auto_t *expected = json_of(json);
    json_auto_t *value = NULL;
    struct err err = {0};

    if (parse(text, &value, &err) != 1)
        fail_msg("%s: %s", text, err.msg);
    if (!json_equal(value, expected)) {
        autofree char *got = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        fail_msg("%s: got %s, not %s", text, got, json);
    }
}

static void check_refused(const char *text, const char *message)
{
    json_auto_t *value = NULL;
    struct err err = {0};

    if (parse(text, &value, &err) != -1)
        fail_msg("accepted: %s", text);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_has(err.msg, message);
    assert_null(value);
}

static void plain_scalars_are_what_kubernetes_reads(void **state)
{
    static const struct {
        const char *text;
        const char *json;
    } cases[] = {
        {"~", "null"},
        {"null", "null"},
        {"NULL", "null"},
        {"nUll", "'nUll'"},
        {"true", "true"},
        {"yes", "true"},
        {"On", "true"},
        {"y", "true"},
        {"no", "false"},
        {"OFF", "false"},
        {"yEs", "'yEs'"},
        {"0", "0"},
        {"-1", "-1"},
        {"+12", "12"},
        {"0x1F", "31"},
        {"-0x10", "-16"},
        {"0o17", "15"},
        {"017", "15"},
        {"08", "8"},
        {"0b101", "5"},
        {"1_000", "1000"},
        {"0x", "'0x'"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"18446744073709551615", "18446744073709551615.0"},
        {"123456789012345678901234567890", "123456789012345678901234567890.0"},
        {"1.5", "1.5"},
        {"1.0", "1"},
        {"1e3", "1000"},
        {".5", "0.5"},
        {"5.", "5"},
        {"-.5e-1", "-0.05"},
        {"1e999", "'1e999'"},
        {"1.2.3", "'1.2.3'"},
        {"0x1p4", "'0x1p4'"},
        {"-", "[null]"},
        {"--", "'--'"},
        {"2026-01-02", "'2026-01-02'"},
        {"1:30", "'1:30'"},
        {"500m", "'500m'"},
        {"infinity", "'infinity'"},
        {"nan", "'nan'"},
        {"hello world", "'hello world'"},
        {"'true'", "'true'"},
        {"\"12\"", "'12'"},
        {"!!str 12", "'12'"},
        {"!!int \"12\"", "12"},
        {"!!float 1", "1"},
        {"! 12", "'12'"},
        {"\"\\u00e9\"", "'\\u00e9'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_reads_as(cases[i].text, cases[i].json);
}

static void keys_become_text(void **state)
{
    (void)state;
    check_reads_as("{1: a, 0x10: b, true: c, 1.5: d, \"e\": f}",
                   "{'1':'a', '16':'b', 'true':'c', '1.5':'d', 'e':'f'}");
    check_refused("{a: {[1]: b}}", "f.yaml:1:6: a key must be text");
    check_refused("~: a", "f.yaml:1:1: a key must be text");
}

static void order_of_keys_stays(void **state)
{
    json_auto_t *value = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse("z: 1\na: 2\nm: 3\n", &value, &err), 1);
    autofree char *text = json_dumps(value, JSON_COMPACT);
    assert_string_equal(text, "{\"z\":1,\"a\":2,\"m\":3}");
}

static void aliases_are_expanded_into_copies(void **state)
{
    json_auto_t *value = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse("a: &x {k: [1]}\nb: *x\n", &value, &err), 1);
    json_object_set_new(json_object_get(value, "a"), "more", json_true());
    json_auto_t *expected = json_of("{'k':[1]}");
    assert_true(json_equal(json_object_get(value, "b"), expected));
}

static void the_last_anchor_of_a_name_counts(void **state)
{
    (void)state;
    check_reads_as("[&a 1, *a, &a 2, *a]", "[1, 1, 2, 2]");
}

static void unknown_and_circular_aliases_are_refused(void **state)
{
    (void)state;
    check_refused("a: *x", "f.yaml:1:4: this alias names an anchor");
    check_refused("&x [*x]", "f.yaml:1:5: this alias names an anchor");
}

static void merge_keys_add_what_is_missing(void **state)
{
    (void)state;
    check_reads_as("base: &b {x: 1, w: 2}\nuse:\n  w: 3\n  <<: *b\n  z: 4\n",
                   "{'base':{'x':1,'w':2}, 'use':{'w':3,'z':4,'x':1}}");
    check_reads_as("- &a {x: 1}\n- &b {x: 2, w: 2}\n- <<: [*a, *b]\n",
                   "[{'x':1}, {'x':2,'w':2}, {'x':1,'w':2}]");
    check_reads_as("'<<': 1", "{'<<':1}");
    check_refused("<<: 1", "'<<' needs a mapping");
}

static void billion_laughs_are_refused(void **state)
{
    strbuf_auto struct strbuf text = STRBUF_INIT(4096);

    (void)state;
    strbuf_adds(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++)
        strbuf_addf(&text, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i,
                    i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    check_refused(strbuf_text(&text), "aliases make this document too large or too deep");
}

static void aliases_cannot_pass_the_depth(void **state)
{
    strbuf_auto struct strbuf text = STRBUF_INIT(4096);

    (void)state;
    strbuf_adds(&text, "a: &a ");
    for (int i = 0; i < 40; i++)
        strbuf_adds(&text, "[");
    for (int i = 0; i < 40; i++)
        strbuf_adds(&text, "]");
    strbuf_adds(&text, "\nb: &b ");
    for (int i = 0; i < 40; i++)
        strbuf_adds(&text, "[");
    strbuf_adds(&text, "*a");
    for (int i = 0; i < 40; i++)
        strbuf_adds(&text, "]");
    check_refused(strbuf_text(&text), "too large or too deep");
}

static void depth_and_nodes_are_limited(void **state)
{
    struct yaml_limits few = {.depth = 3, .nodes = 5};
    struct yaml_doc deep = {.text = "[[[[1]]]]", .len = 9};
    struct yaml_doc wide = {.text = "[1,2,3,4,5]", .len = 11};
    json_auto_t *value = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(yaml_parse_document(&deep, "f", &few, &value, NULL, &err), -1);
    assert_has(err.msg, "f:1:4: nested too deep");
    assert_int_equal(yaml_parse_document(&wide, "f", &few, &value, NULL, &err), -1);
    assert_has(err.msg, "f:1:10: the document holds too many values");
}

static void bad_input_is_refused_with_its_place(void **state)
{
    (void)state;
    check_refused("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: key 'a' is there twice");
    check_refused("1: a\n'1': b\n", "f.yaml:2:1: key '1' is there twice");
    check_refused("a: [1\nb: 2\n", "f.yaml:2:");
    check_refused("a:\n\t- b\n", "f.yaml:2:1: ");
    check_refused("a: .inf", "f.yaml:1:4: JSON has no number for this value");
    check_refused("a: !!binary aGk=", "f.yaml:1:4: the tag does not fit");
    check_refused("a: !custom x", "f.yaml:1:4: the tag does not fit");
    check_refused("a: !!set {x}", "f.yaml:1:4: this tag is not supported");
    check_refused("a: !!int x", "f.yaml:1:4: the tag does not fit");
    check_refused("a: \"x\\0y\"", "f.yaml:1:4: text must not hold a NUL");
    check_refused("a: 1\nb: \xff\n", "f.yaml:2:4: ");
    check_refused("%YAML 3.0\n---\na\n", "f.yaml:1:1: ");
}

static void empty_documents_are_told_apart_from_null(void **state)
{
    json_auto_t *value = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse("", &value, &err), 0);
    assert_int_equal(parse("# comment\n", &value, &err), 0);
    assert_int_equal(parse("---\n", &value, &err), 0);
    assert_int_equal(parse("null\n", &value, &err), 1);
    assert_true(json_is_null(value));
}

static void positions_of_members_are_known(void **state)
{
    static const char text[] = "# c\na: 1\nb:\n  long: x\n  l:\n  - {k: v}\n";
    yaml_positions_auto struct yaml_positions positions = {0};
    struct yaml_doc doc = {.text = text, .len = strlen(text), .line = 10};
    json_auto_t *value = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(yaml_parse_document(&doc, "f", &limits, &value, &positions, &err), 1);
    const json_t *b = json_object_get(value, "b");
    const json_t *item = json_array_get(json_object_get(b, "l"), 0);
    const struct yaml_position *at = yaml_position(&positions, b, "l");
    assert_non_null(at);
    assert_int_equal(at->line, 15);
    assert_int_equal(at->column, 3);
    at = yaml_position(&positions, item, "k");
    assert_non_null(at);
    assert_int_equal(at->line, 16);
    assert_int_equal(at->column, 6);
    assert_null(yaml_position(&positions, b, "nothing"));
}

/* The documents of `text`, each with '|' behind it. */
static char *split(const char *text)
{
    struct yaml_stream stream = YAML_STREAM(text, strlen(text));
    struct yaml_doc doc;
    strbuf_auto struct strbuf out = STRBUF_INIT(4096);

    while (yaml_next(&stream, &doc)) {
        strbuf_add(&out, doc.text, doc.len);
        strbuf_adds(&out, "|");
    }
    return strbuf_take(&out);
}

static void check_split(const char *text, const char *expected)
{
    autofree char *got = split(text);

    assert_string_equal(got, expected);
}

static void streams_are_split_at_their_markers(void **state)
{
    (void)state;
    check_split("", "");
    check_split("a: 1", "a: 1|");
    check_split("---\na\n---\nb\n", "---\na\n|---\nb\n|");
    check_split("# c\n---\na\n", "# c\n|---\na\n|");
    check_split("a\n...\n# c\n---\nb\n", "a\n...\n|# c\n|---\nb\n|");
    check_split("%YAML 1.1\n---\na\n", "%YAML 1.1\n---\na\n|");
    check_split("a\n...\n%YAML 1.1\n---\nb\n", "a\n...\n|%YAML 1.1\n---\nb\n|");
    check_split("--- a\n--- |\n ---\n x\n---\r\n", "--- a\n|--- |\n ---\n x\n|---\r\n|");
    check_split("a: |\n  ---\n----\n...x\n", "a: |\n  ---\n----\n...x\n|");
    check_split("\xef\xbb\xbf---\na\n---\nb", "\xef\xbb\xbf---\na\n|---\nb|");
}

static void every_document_of_a_stream_parses_alone(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf# head\n---\na: 1\n...\n%YAML 1.1\n--- # x\nb: 2\n---\n...\n# c\n...\n";
    static const int found[] = {0, 1, 1, 0, 0};
    struct yaml_stream stream = YAML_STREAM(text, strlen(text));
    struct yaml_doc doc;
    size_t i = 0;

    (void)state;
    while (yaml_next(&stream, &doc)) {
        json_auto_t *value = NULL;
        struct err err = {0};
        int rc = yaml_parse_document(&doc, "f", &limits, &value, NULL, &err);
        if (rc != found[i])
            fail_msg("document %zu: %d %s", i, rc, err.msg);
        i++;
    }
    assert_int_equal(i, 5);
}

static void lines_are_counted_through_the_stream(void **state)
{
    static const char text[] = "---\na: 1\n---\nb: 1\nb: 2\n";
    struct yaml_stream stream = YAML_STREAM(text, strlen(text));
    struct yaml_doc doc;
    json_auto_t *value = NULL;
    struct err err = {0};

    (void)state;
    assert_true(yaml_next(&stream, &doc));
    assert_true(yaml_next(&stream, &doc));
    assert_int_equal(yaml_parse_document(&doc, "f", &limits, &value, NULL, &err), -1);
    assert_has(err.msg, "f:5:1: key 'b' is there twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_scalars_are_what_kubernetes_reads),
        cmocka_unit_test(keys_become_text),
        cmocka_unit_test(order_of_keys_stays),
        cmocka_unit_test(aliases_are_expanded_into_copies),
        cmocka_unit_test(the_last_anchor_of_a_name_counts),
        cmocka_unit_test(unknown_and_circular_aliases_are_refused),
        cmocka_unit_test(merge_keys_add_what_is_missing),
        cmocka_unit_test(billion_laughs_are_refused),
        cmocka_unit_test(aliases_cannot_pass_the_depth),
        cmocka_unit_test(depth_and_nodes_are_limited),
        cmocka_unit_test(bad_input_is_refused_with_its_place),
        cmocka_unit_test(empty_documents_are_told_apart_from_null),
        cmocka_unit_test(positions_of_members_are_known),
        cmocka_unit_test(streams_are_split_at_their_markers),
        cmocka_unit_test(every_document_of_a_stream_parses_alone),
        cmocka_unit_test(lines_are_counted_through_the_stream),
    };

    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
