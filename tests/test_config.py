"""Every field of config.json is read, checked and named when it is wrong."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2.common.errors import CheckpointError
from dia2.core.config import ACTIVATIONS, DiaConfig, load_config, parse_config

from .support.models import tiny_config

CONFORMANCE = Path(__file__).parent / "conformance"

SIZES = ("n_layer", "n_embd", "n_hidden", "gqa_query_heads", "kv_heads", "gqa_head_dim")
REQUIRED = [
    *("data", "model", "runtime", "model.decoder", "model.depformer"),
    *(
        f"data.{name}"
        for name in (
            "channels", "text_vocab_size", "audio_vocab_size", "action_vocab_size", "text_pad_token_id",
            "text_new_word_token_id", "action_pad_token_id", "action_new_word_token_id",
        )
    ),
    *(f"model.{block}.{name}" for block in ("decoder", "depformer") for name in SIZES),
]  # fmt: skip

# All others, with their defaults. K = 4 and the audio vocabulary is 19.
DEFAULTS: dict[str, object] = {
    "data.text_zero_token_id": 7,
    "data.audio_pad_token_id": 18,
    "data.audio_bos_token_id": 17,
    "data.first_word_min_start": 0,
    "data.max_pad": 0,
    "data.second_stream_ahead": 0,
    "data.tokenizer_path": None,
    "model.decoder.low_rank_dim": None,
    "model.depformer.low_rank_dim": None,
    "model.depformer.apply_rope": True,
    "model.depformer.text_embedding": True,
    "model.depformer.mlp_activations": ["silu", "linear"],
    "model.linear.mlp_activations": ["silu", "linear"],
    "model.dropout": 0.0,
    "model.rope_min_timescale": 1.0,
    "model.rope_max_timescale": 10000.0,
    "model.normalization_layer_epsilon": 1e-5,
    "runtime.weights_schedule": None,
    "runtime.max_context_steps": 1500,
    "assets.tokenizer": None,
    "assets.mimi": None,
}


def refusal(raw: object) -> str:
    """The message with which `raw` is refused: one line that names the file."""
    with pytest.raises(CheckpointError) as caught:
        parse_config(raw, "some/config.json")
    message = str(caught.value)
    assert message.startswith("some/config.json: ")
    assert message.endswith(".")
    assert len(message.splitlines()) == 1
    return message.removeprefix("some/config.json: ")


def remove(raw: dict[str, Any], name: str) -> None:
    *blocks, field = name.split(".")
    for block in blocks:
        raw = raw[block]
    del raw[field]


def look_up(config: DiaConfig, name: str) -> object:
    value: Any = asdict(config)
    for part in name.split("."):
        value = value[part]
    return value


def leaves(raw: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Names of all fields of parsed JSON, blocks included."""
    for key, value in raw.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")


# What is required and what is not


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_field_is_named(name: str) -> None:
    raw = tiny_config()
    remove(raw, name)
    assert f"field {name} is missing" in refusal(raw)


def test_all_fields_are_either_required_or_have_a_default() -> None:
    assert {*leaves(asdict(parse_config(tiny_config())))} == EVERYTHING


@pytest.mark.parametrize("name", sorted({*leaves(tiny_config())} - {*REQUIRED}))
def test_an_optional_field_may_be_left_out(name: str) -> None:
    raw = tiny_config()
    remove(raw, name)
    if name == "data.delay_pattern":  # its default, none at all, cannot fit any number of codebooks
        assert "data.delay_pattern has 0 entries for 4 codebooks" in refusal(raw)
    else:
        assert look_up(parse_config(raw), name) == DEFAULTS[name]


def test_defaults_are_those_of_the_spec() -> None:
    raw = tiny_config()
    for name in set(leaves(raw)) & DEFAULTS.keys():
        remove(raw, name)
    config = parse_config(raw)
    assert {name: look_up(config, name) for name in DEFAULTS} == DEFAULTS
    assert config.weights_schedule == [0, 1, 2]


def test_an_empty_runtime_block_is_enough() -> None:
    assert parse_config(tiny_config({"runtime": {}})).runtime.max_context_steps == 1500


@pytest.mark.parametrize(
    "name",
    [
        *("data.tokenizer_path", "assets.tokenizer", "assets.mimi", "runtime.weights_schedule"),
        *("model.decoder.low_rank_dim", "model.depformer.low_rank_dim"),
    ],
)
def test_null_means_none_where_none_is_a_default(name: str) -> None:
    assert look_up(parse_config(tiny_config({name: None})), name) is None


def test_unknown_fields_are_left_alone() -> None:
    extra: dict[str, object] = {
        "note": "x",
        "data.note": [1],
        "model.note": None,
        "model.decoder.note": {},
        "runtime.note": 1e300,
    }
    assert parse_config(tiny_config(extra)) == parse_config(tiny_config())


@pytest.mark.parametrize("checkpoint", ["tiny8", "tiny4", "tiny3"])
def test_a_reference_config_is_read_field_by_field(checkpoint: str) -> None:
    path = CONFORMANCE / checkpoint / "config.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    config = load_config(path)
    for name in leaves(raw):
        if not isinstance(value := look_up(config, name), dict):
            expected: Any = raw
            for part in name.split("."):
                expected = expected[part]
            assert value == expected, name
    assert config.data.num_codebooks == int(checkpoint.removeprefix("tiny"))


# Types

BOOLS = ["model.depformer.apply_rope", "model.depformer.text_embedding"]
FLOATS = [
    *("model.dropout", "model.rope_min_timescale", "model.rope_max_timescale", "model.normalization_layer_epsilon"),
]
STRINGS = ["data.tokenizer_path", "assets.tokenizer", "assets.mimi"]
BLOCKS = ["data", "model", "runtime", "assets", "model.decoder", "model.depformer", "model.linear"]
LISTS = [
    *("data.delay_pattern", "runtime.weights_schedule"),
    *("model.linear.mlp_activations", "model.depformer.mlp_activations"),
]
OPTIONAL_INTS = ["model.decoder.low_rank_dim", "model.depformer.low_rank_dim"]
EVERYTHING = {*REQUIRED, *DEFAULTS, "data.delay_pattern", "model.linear", "assets"}
INTS = sorted(EVERYTHING - {*BOOLS, *FLOATS, *STRINGS, *BLOCKS, *LISTS, *OPTIONAL_INTS})


@pytest.mark.parametrize("name", INTS + OPTIONAL_INTS)
@pytest.mark.parametrize("value", ["5", True, 5.0, [5], {}], ids=repr)
def test_only_a_whole_number_is_an_int(name: str, value: object) -> None:
    assert refusal(tiny_config({name: value})).startswith(f"field {name} must be a whole number, not ")


@pytest.mark.parametrize("name", INTS)
def test_null_is_no_int(name: str) -> None:
    assert refusal(tiny_config({name: None})) == f"field {name} must be a whole number, not null."


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize(
    "value",
    ["1", False, None, [], float("nan"), float("inf"), -float("inf"), 10**400, -(10**400)],
    ids=lambda v: repr(v)[:9],
)
def test_only_a_finite_number_is_a_float(name: str, value: object) -> None:
    assert refusal(tiny_config({name: value})).startswith(f"field {name} must be a finite number, not ")


def test_a_whole_number_will_do_as_a_float() -> None:
    value = parse_config(tiny_config({"model.rope_max_timescale": 500})).model.rope_max_timescale
    assert (value, type(value)) == (500.0, float)


@pytest.mark.parametrize("name", BOOLS)
@pytest.mark.parametrize("value", [1, 0, "true", None, []], ids=repr)
def test_only_true_and_false_are_bools(name: str, value: object) -> None:
    assert refusal(tiny_config({name: value})).startswith(f"field {name} must be true or false, not ")


@pytest.mark.parametrize("name", STRINGS)
@pytest.mark.parametrize("value", [1, False, ["kyutai/mimi"], {}], ids=repr)
def test_only_a_string_is_a_name(name: str, value: object) -> None:
    assert refusal(tiny_config({name: value})).startswith(f"field {name} must be a string, not ")


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("value", [1, "x", [], None, True], ids=repr)
def test_only_an_object_is_a_block(name: str, value: object) -> None:
    assert f"{name} must be an object, not " in refusal(tiny_config({name: value}))


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", [1, "silu", {"0": 1}, True], ids=repr)
def test_only_a_list_is_a_list(name: str, value: object) -> None:
    assert refusal(tiny_config({name: value})).startswith(f"field {name} must be a list, not ")


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("item", [None, True, 1.5, [0], {}], ids=repr)
def test_an_item_of_a_list_is_named_by_its_index(name: str, item: object) -> None:
    good = look_up(parse_config(tiny_config({"runtime.weights_schedule": [0, 1, 1]})), name)
    assert isinstance(good, list)
    wanted = "a string" if "activations" in name else "a whole number"
    assert refusal(tiny_config({name: [good[0], item, *good[2:]]})).startswith(
        f"field {name}[1] must be {wanted}, not "
    )


# Contradictions

TOO_MUCH = 1 << 25


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.channels": 2}, "data.channels must be 3 to 1026"),
        ({"data.channels": 1027}, "data.channels must be 3 to 1026"),
        ({"data.channels": -1}, "data.channels must be 3 to 1026"),
        ({"data.channels": 7}, "data.delay_pattern has 4 entries for 5 codebooks (channels - 2)"),
        ({"data.delay_pattern": [0, 1, 2]}, "data.delay_pattern has 3 entries for 4 codebooks"),
        ({"data.delay_pattern": [0, 1, 2, -1]}, "data.delay_pattern entries must be 0 to 4096"),
        ({"data.delay_pattern": [0, 1, 2, 4097]}, "data.delay_pattern entries must be 0 to 4096"),
        ({"data.text_vocab_size": 1}, "data.text_vocab_size must be 2 to"),
        ({"data.text_vocab_size": TOO_MUCH}, "data.text_vocab_size must be 2 to"),
        ({"data.audio_vocab_size": 0}, "data.audio_vocab_size must be 2 to"),
        ({"data.audio_vocab_size": TOO_MUCH}, "data.audio_vocab_size must be 2 to"),
        ({"data.action_vocab_size": 1}, "data.action_vocab_size must be 2 to"),
        ({"data.action_vocab_size": TOO_MUCH}, "data.action_vocab_size must be 2 to"),
        ({"data.text_pad_token_id": 23}, "data.text_pad_token_id is 23, outside its vocabulary of 23"),
        ({"data.text_new_word_token_id": -1}, "data.text_new_word_token_id is -1, outside its vocabulary of 23"),
        ({"data.text_zero_token_id": 99}, "data.text_zero_token_id is 99, outside its vocabulary of 23"),
        ({"data.audio_pad_token_id": 19}, "data.audio_pad_token_id is 19, outside its vocabulary of 19"),
        ({"data.audio_bos_token_id": -2}, "data.audio_bos_token_id is -2, outside its vocabulary of 19"),
        ({"data.action_pad_token_id": 2}, "data.action_pad_token_id is 2, outside its vocabulary of 2"),
        ({"data.action_new_word_token_id": 2}, "data.action_new_word_token_id is 2, outside its vocabulary of 2"),
        ({"data.audio_bos_token_id": 0}, "no codes besides pad/BOS"),
        ({"data.audio_pad_token_id": 0}, "no codes besides pad/BOS"),
        ({"data.second_stream_ahead": -1}, "data.second_stream_ahead must be 0 to 64"),
        ({"data.second_stream_ahead": 65}, "data.second_stream_ahead must be 0 to 64"),
        ({"model.decoder.kv_heads": 3}, "model.decoder.gqa_query_heads 4 is not a multiple of kv_heads 3"),
        ({"model.decoder.kv_heads": 8}, "model.decoder.gqa_query_heads 4 is not a multiple of kv_heads 8"),
        ({"model.depformer.kv_heads": 1}, "model.depformer.kv_heads must equal gqa_query_heads"),
        ({"model.decoder.gqa_head_dim": 7}, "model.decoder.gqa_head_dim must be even (rotary halves), not 7"),
        ({"model.depformer.gqa_head_dim": 5}, "model.depformer.gqa_head_dim must be even"),
        ({"model.decoder.low_rank_dim": 0}, "model.decoder.low_rank_dim must be at least 1"),
        ({"model.decoder.low_rank_dim": TOO_MUCH}, "model.decoder.low_rank_dim"),
        ({"model.linear.mlp_activations": ["silu"]}, "model.linear.mlp_activations must name two activations, not 1"),
        ({"model.linear.mlp_activations": ["silu"] * 3}, "model.linear.mlp_activations must name two activations"),
        ({"model.linear.mlp_activations": ["silu", "tanh"]}, "model.linear.mlp_activations may name silu, "),
        ({"model.depformer.mlp_activations": []}, "model.depformer.mlp_activations must name two activations, not 0"),
        ({"model.depformer.mlp_activations": ["SiLU", "linear"]}, "model.depformer.mlp_activations may name silu, "),
        ({"model.depformer.mlp_activations": ["x\ny", "linear"]}, "model.depformer.mlp_activations may name silu, "),
        ({"model.rope_min_timescale": 0}, "model.rope_min/max_timescale must be 0 < min ≤ max"),
        ({"model.rope_min_timescale": -1.0}, "model.rope_min/max_timescale must be 0 < min ≤ max"),
        ({"model.rope_min_timescale": 20000.0}, "model.rope_min/max_timescale must be 0 < min ≤ max"),
        ({"model.normalization_layer_epsilon": -1e-9}, "model.normalization_layer_epsilon must not be negative"),
        ({"runtime.weights_schedule": [0, 1]}, "runtime.weights_schedule has 2 entries for 3 depformer stages"),
        ({"runtime.weights_schedule": [0, 1, 1, 1]}, "runtime.weights_schedule has 4 entries for 3 depformer stages"),
        ({"runtime.weights_schedule": []}, "runtime.weights_schedule has 0 entries for 3 depformer stages"),
        ({"runtime.weights_schedule": [0, 1, 3]}, "runtime.weights_schedule entries must be 0 to 2"),
        ({"runtime.weights_schedule": [0, 1, -1]}, "runtime.weights_schedule entries must be 0 to 2"),
        ({"runtime.weights_schedule": [0, 1, 10**9]}, "runtime.weights_schedule entries must be 0 to 2"),
        ({"runtime.max_context_steps": 0}, "runtime.max_context_steps must be 1 to 1,000,000"),
        ({"runtime.max_context_steps": 10**7}, "runtime.max_context_steps must be 1 to 1,000,000"),
        *(
            ({f"model.{block}.{name}": value}, f"model.{block}.{name} must be 1 to ")
            for block in ("decoder", "depformer")
            for name in SIZES
            for value in (0, -2, TOO_MUCH, 10**30)
        ),
    ],
    ids=lambda value: re.sub(r"\s+", " ", str(value))[:50] if isinstance(value, dict) else "",
)
def test_a_contradiction_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    assert message in refusal(tiny_config(changes))


def test_a_default_outside_its_vocabulary_is_refused_too() -> None:
    raw = tiny_config({"data.text_vocab_size": 7})
    del raw["data"]["text_zero_token_id"]
    assert "data.text_zero_token_id is 7, outside its vocabulary of 7" in refusal(raw)


def test_the_default_schedule_follows_the_codebooks() -> None:
    raw = tiny_config({"data.channels": 3, "data.delay_pattern": [2]})
    del raw["runtime"]["weights_schedule"]
    assert parse_config(raw).weights_schedule == []


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_accepted(activation: str) -> None:
    pair = ["linear", activation]
    config = parse_config(
        tiny_config({"model.linear.mlp_activations": pair, "model.depformer.mlp_activations": [activation, "relu"]})
    )
    assert config.model.linear.mlp_activations == pair
    assert config.model.depformer.mlp_activations == [activation, "relu"]


def test_a_million_matrices_are_refused_before_they_are_built() -> None:
    stages = 1023  # each with a weight set of its own, in each of as many layers as there may be
    changes: dict[str, object] = {
        "data.channels": stages + 3,
        "data.delay_pattern": [0] * (stages + 1),
        "runtime.weights_schedule": list(range(stages)),
        "model.depformer.n_layer": 1024,
    }
    assert "weights_schedule" in refusal(tiny_config(changes))


@pytest.mark.parametrize(
    ("name", "value"),
    [("data.channels", 10**4000), ("model.linear.mlp_activations", ["silu", "x" * 100_000])],
    ids=["a long number", "a long string"],
)
def test_a_message_does_not_repeat_all_of_a_long_value(name: str, value: object) -> None:
    message = refusal(tiny_config({name: value}))
    assert name in message
    assert len(message) < 500


# Files


def from_text(tmp_path: Path, text: str | bytes) -> DiaConfig:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_config(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "not json",
        '{"data": }',
        "{}{}",
        b"\xff\xfe\x00",
        b"\x00" * 100,
        "[" * 100_000,
        '{"data":' * 100_000,
        '{"data": ' + "9" * 10_000 + "}",
    ],
    ids=lambda text: repr(text)[:20],
)
def test_what_is_not_json_is_refused_in_one_line(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(
        CheckpointError, match=r"config.json is not a JSON file \(.*\): give the model's config.json.$"
    ) as e:
        from_text(tmp_path, text)
    assert len(str(e.value).splitlines()) == 1
    assert len(str(e.value)) < len(str(tmp_path)) + 300


@pytest.mark.parametrize(("text", "kind"), [("[]", "a list"), ("1", "a number"), ('"x"', "a string"), ("null", "null")])
def test_json_that_is_no_object_is_refused(tmp_path: Path, text: str, kind: str) -> None:
    with pytest.raises(CheckpointError, match=f"config.json: the file must be an object, not {kind}.$"):
        from_text(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no config file .*nowhere.json: give the path"):
        load_config(tmp_path / "nowhere.json")


def test_a_folder_is_no_config_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Config file .* cannot be read: "):
        load_config(tmp_path)


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is larger than 1 MB: give the model's config\.json\.$"):
        from_text(tmp_path, json.dumps(tiny_config()) + " " * (2 << 20))


def test_of_two_equal_keys_the_last_counts_and_is_checked(tmp_path: Path) -> None:
    text = json.dumps(tiny_config())
    assert from_text(tmp_path, text.replace('"runtime": {', '"runtime": {"max_context_steps": 7, ')) == from_text(
        tmp_path, text
    )
    with pytest.raises(CheckpointError, match=r"data\.channels must be a whole number, not a string"):
        from_text(tmp_path, text.replace('"channels": 6', '"channels": 6, "channels": "6"'))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_numbers_beyond_float_are_refused(tmp_path: Path, number: str) -> None:
    text = json.dumps(tiny_config()).replace('"rope_max_timescale": 10000', f'"rope_max_timescale": {number}')
    with pytest.raises(CheckpointError, match=r"model\.rope_max_timescale must be a finite number"):
        from_text(tmp_path, text)


def test_hostile_names_stay_in_one_line(tmp_path: Path) -> None:
    raw = tiny_config({"data.tokenizer_path": "a\nb\x1b[31m\u0000\ud800"})
    assert from_text(tmp_path, json.dumps(raw)).data.tokenizer_path == "a\nb\x1b[31m\u0000\ud800"
    raw["model"]["linear"] = {"mlp_activations": ["\n\r\u2028\x1b[31m", "linear"]}
    assert "model.linear.mlp_activations" in refusal(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(name=st.sampled_from(sorted(EVERYTHING)), value=JSON)
@settings(max_examples=120, deadline=None)
def test_whatever_a_field_holds_it_is_read_or_refused_in_one_line(name: str, value: object) -> None:
    raw = tiny_config({name: value})
    kept = copy.deepcopy(raw)
    refused = ""
    try:
        assert look_up(parse_config(raw), name) is not None or value is None
    except CheckpointError as error:
        refused = str(error)
    if refused:
        assert re.match(r"config\.json: .*\b(data|model|runtime|assets|audio vocabulary)\b.*\.$", refused)
        assert len(refused.splitlines()) == 1
    assert repr(raw) == repr(kept)  # the JSON is not changed


@given(raw=JSON)
@settings(max_examples=50, deadline=None)
def test_whatever_the_file_holds_is_refused_in_one_line(raw: object) -> None:
    refusal(raw)
